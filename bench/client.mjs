import { createHash } from 'node:crypto'
import { Pool } from 'undici'

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

export function sha256 (bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** A registry client with a fixed number of connections. Every request checks its status. */
export class Client {
  #pool
  #url

  constructor (url, connections) {
    this.#url = url
    this.#pool = new Pool(url, { connections, pipelining: 1, headersTimeout: 120_000, bodyTimeout: 120_000 })
  }

  async request (status, method, path, { headers, body } = {}) {
    const answer = await this.#pool.request({ method, path, headers, body })
    if (answer.statusCode === status) return answer
    throw new Error(`${method} ${path}: ${answer.statusCode} instead of ${status}: ${await answer.body.text()}`)
  }

  /** POST, one PATCH, PUT: what docker, skopeo and crane do. `digest` may be a function that is asked after the PATCH. */
  async pushBlob (name, body, digest) {
    const started = await this.#answered(202, 'POST', `/v2/${name}/blobs/uploads/`, {})
    const sent = await this.#answered(202, 'PATCH', this.#path(started), {
      headers: { 'content-type': 'application/octet-stream' }, body
    })
    const location = this.#path(sent)
    const query = `digest=${typeof digest === 'function' ? digest() : digest}`
    await this.#answered(201, 'PUT', `${location}${location.includes('?') ? '&' : '?'}${query}`, {})
  }

  /** POST, and a PUT with the body and its digest: what containerd, BuildKit, oras and helm do. */
  async putBlob (name, body, digest) {
    const started = await this.#answered(202, 'POST', `/v2/${name}/blobs/uploads/`, {})
    const location = this.#path(started)
    await this.#answered(201, 'PUT', `${location}${location.includes('?') ? '&' : '?'}digest=${digest}`, {
      headers: { 'content-type': 'application/octet-stream' }, body
    })
  }

  async pushManifest (name, reference, content) {
    await this.#answered(201, 'PUT', `/v2/${name}/manifests/${reference}`, { headers: { 'content-type': MANIFEST }, body: content })
  }

  /** Reads a blob and returns how many bytes came. */
  async pullBlob (name, digest) {
    const { body } = await this.request(200, 'GET', `/v2/${name}/blobs/${digest}`)
    let bytes = 0
    for await (const chunk of body) bytes += chunk.length
    return bytes
  }

  async close () {
    await this.#pool.close()
  }

  async #answered (...request) {
    const { headers, body } = await this.request(...request)
    await body.dump()
    return headers
  }

  /** The path of a Location, which may be relative. */
  #path ({ location }) {
    const { pathname, search } = new URL(location, this.#url)
    return pathname + search
  }
}
