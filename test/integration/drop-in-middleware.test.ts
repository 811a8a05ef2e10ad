import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { needs } from '../helpers/clients.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { blob, sha256 } from '../helpers/images.js'
import { startProduct } from '../helpers/product.js'

const layer = blob('a blob that lies elsewhere')
const HEADERS = ['location', 'content-type', 'content-length', 'docker-content-digest', 'etag', 'cache-control', 'accept-ranges']

/** What a client sees, as one text. */
async function seen (url: string, method: string, path: string, headers: Record<string, string>): Promise<string> {
  const answer = await fetch(`${url}${path}`, { method, headers, redirect: 'manual' })
  return [answer.status, ...HEADERS.map(name => `${name}: ${answer.headers.get(name) ?? '–'}`), await answer.text()].join('\n')
}

/** Both registries, the same configuration, the same data. */
async function both (t: Test, baseurl: string, storage: Record<string, unknown> = {}): Promise<{ theirs: string, ours: string }> {
  const directory = t.testdir({ data: {} })
  const middleware = { storage: [{ name: 'redirect', options: { baseurl } }] }
  const rootdirectory = join(directory, 'data')
  const { url: ours } = await startProduct(t, directory, { middleware, storage: { filesystem: { rootdirectory }, delete: { enabled: true }, ...storage } })
  const pushed = await fetch(`${ours}/v2/team/app/blobs/uploads/?digest=${layer.digest}`, { method: 'POST', body: layer.bytes })
  t.equal(pushed.status, 201)
  const { url: theirs } = await startDockerRegistry(t, directory, rootdirectory, {}, { middleware, storage })
  return { theirs, ours }
}

t.test('with the redirect middleware clients see what they see of docker\'s registry', needs('docker-registry'), async t => {
  for (const baseurl of ['https://cdn.example.com', 'http://cdn.example.com:8080/?a=1']) {
    const { theirs, ours } = await both(t, baseurl)
    for (const method of ['GET', 'HEAD']) {
      for (const headers of [{}, { range: 'bytes=1-2' }, { 'if-none-match': `"${layer.digest}"` }]) {
        const path = `/v2/team/app/blobs/${layer.digest}`
        const expected = await seen(theirs, method, path, headers)
        t.match(expected, /^307\nlocation: https?:\/\/cdn\.example\.com/)
        t.equal(await seen(ours, method, path, headers), expected)
      }
    }
    const unknown = `/v2/team/app/blobs/${sha256('unknown')}`
    t.equal((await seen(ours, 'HEAD', unknown, {})).slice(0, 3), (await seen(theirs, 'HEAD', unknown, {})).slice(0, 3))
  }
})

t.test('the path of the base URL, which registry 2 drops, is kept as registry 3 keeps it', needs('docker-registry'), async t => {
  const { theirs, ours } = await both(t, 'https://cdn.example.com/some/base')
  const path = `/v2/team/app/blobs/${layer.digest}`
  t.match(await seen(theirs, 'GET', path, {}), 'location: https://cdn.example.com/docker/registry/v2/')
  t.match(await seen(ours, 'GET', path, {}), 'location: https://cdn.example.com/some/base/docker/registry/v2/')
})

t.test('with redirects switched off both serve the blob', needs('docker-registry'), async t => {
  const { theirs, ours } = await both(t, 'https://cdn.example.com', { redirect: { disable: true } })
  for (const url of [theirs, ours]) t.match(await seen(url, 'GET', `/v2/team/app/blobs/${layer.digest}`, {}), /^200\nlocation: –\n[^]*a blob that lies elsewhere$/)
})
