import { Connection, requestBytes } from './connection.mjs'
import { MANIFEST } from './image.mjs'

/** A registry client on one connection. Every request checks its status. */
export class Client {
  #connection
  #url

  static async open (url) {
    return new Client(url, await Connection.open(url))
  }

  constructor (url, connection) {
    this.#url = url
    this.#connection = connection
  }

  async request (expected, method, path, options) {
    const answer = await this.#connection.request(method, requestBytes(this.#url, method, path, options))
    if (answer.status === expected) return answer
    throw new Error(`${method} ${path}: ${answer.status} instead of ${expected}`)
  }

  /** POST, and a PUT with the body and its digest: what containerd, BuildKit, oras and helm do. */
  async putBlob (name, body, digest) {
    const started = await this.request(202, 'POST', `/v2/${name}/blobs/uploads/`, { body: Buffer.alloc(0) })
    await this.#finish(started, digest, body)
  }

  /** POST, one PATCH, PUT: what docker, skopeo and crane do. */
  async pushBlob (name, body, digest) {
    const started = await this.request(202, 'POST', `/v2/${name}/blobs/uploads/`, { body: Buffer.alloc(0) })
    const sent = await this.request(202, 'PATCH', this.#location(started), { headers: { 'content-type': 'application/octet-stream' }, body })
    await this.#finish(sent, digest, Buffer.alloc(0))
  }

  async pushManifest (name, reference, body) {
    await this.request(201, 'PUT', `/v2/${name}/manifests/${reference}`, { headers: { 'content-type': MANIFEST }, body })
  }

  /** Reads a blob and returns how many bytes came. */
  async pullBlob (name, digest) {
    const { length } = await this.request(200, 'GET', `/v2/${name}/blobs/${digest}`)
    return length
  }

  close () {
    this.#connection.close()
  }

  async #finish (answer, digest, body) {
    const location = this.#location(answer)
    const headers = { 'content-type': 'application/octet-stream' }
    await this.request(201, 'PUT', `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`, { headers, body })
  }

  /** The path of a Location, which may be relative. */
  #location ({ head }) {
    const { pathname, search } = new URL(/\r\nlocation: *([^\r]+)/i.exec(head)[1], this.#url)
    return pathname + search
  }
}

/** Runs `task` with clients of that many connections at once. */
export async function withClients (url, count, task) {
  const clients = await Promise.all(Array.from({ length: count }, () => Client.open(url)))
  try {
    return await task(clients)
  } finally {
    for (const client of clients) client.close()
  }
}
