import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Agent, fetch } from 'undici'
import type { Response } from 'undici'
import { needs } from '../helpers/clients.js'
import { DIFFERENCES, EVERYWHERE, differencesTable } from '../helpers/differences.js'
import type { Difference } from '../helpers/differences.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { blob, image, index, sha256, sha512 } from '../helpers/images.js'
import type { Blob, Manifest } from '../helpers/images.js'
import { startProduct } from '../helpers/product.js'
import { RECORDED } from '../helpers/recorded.js'
import type { Recorded } from '../helpers/recorded.js'

const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const DOCKER_INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json'

// The last Location that was told, and the one it took the place of.
const LOCATION = '{location}'
const STALE = '{stale}'

const OCTETS = { 'content-type': 'application/octet-stream' }
const N = '/v2/more/one'
const UPLOADS = `${N}/blobs/uploads/`
const BYTES = 'more recorded bytes'
const DIGEST = sha256(BYTES)
const ABSENT = sha256('absent')
const EMPTY = sha256('')
const NO_SESSION = '00000000-0000-4000-8000-000000000000'

const get = (name: string, path: string, headers: Record<string, string> = {}): Recorded => ({ name, method: 'GET', path, headers })
const send = (method: string, name: string, path: string, rest: Partial<Recorded> = {}): Recorded => ({ name, method, path, ...rest })
const start = (name: string): Recorded => send('POST', name, UPLOADS)
const put = (name: string, { bytes, mediaType }: Pick<Blob, 'bytes' | 'mediaType'>, reference: string, headers: Record<string, string> = { 'content-type': mediaType }): Recorded =>
  send('PUT', name, `${N}/manifests/${reference}`, { headers, body: bytes })

const oci = image('more')
const docker = dockerImage()
const list = blob(JSON.stringify({
  schemaVersion: 2,
  mediaType: DOCKER_INDEX,
  manifests: [{ mediaType: docker.mediaType, digest: docker.digest, size: docker.size, platform: { os: 'linux', architecture: 'amd64' } }]
}), DOCKER_INDEX)
const both = { accept: `${DOCKER_INDEX}, ${DOCKER_MANIFEST}` }
const { mediaType, digest, size } = oci
const referrer = image('referrer', { subject: { mediaType, digest, size }, config: descriptorOf(oci.blobs[0]), layers: [descriptorOf(oci.blobs[1])] })

function dockerImage (): Manifest {
  const config = blob('{"architecture":"amd64","os":"linux"}', 'application/vnd.docker.container.image.v1+json')
  const layer = blob('a docker layer', 'application/vnd.docker.image.rootfs.diff.tar.gzip')
  const content = { schemaVersion: 2, mediaType: DOCKER_MANIFEST, config: descriptorOf(config), layers: [descriptorOf(layer)] }
  return { ...blob(JSON.stringify(content), DOCKER_MANIFEST), blobs: [config, layer] }
}

function descriptorOf (content: Blob | undefined): object {
  if (content === undefined) throw new Error('no such blob')
  const { mediaType, digest, size } = content
  return { mediaType, digest, size }
}

function pushed (name: string, content: string | Buffer): Recorded[] {
  return [start(`${name}, start`), send('PUT', `${name}, all in the close`, `${LOCATION}&digest=${sha256(content)}`, { headers: OCTETS, body: content })]
}

const BASE: readonly Recorded[] = [
  send('HEAD', 'base HEAD', '/v2/'),
  send('POST', 'base POST', '/v2/'),
  get('outside of the API', '/elsewhere'),
  get('API version 1', '/v1/_ping'),
  get('repository without a resource', N),
  get('double slash', '/v2//more/one/tags/list'),
  send('HEAD', 'catalog HEAD', '/v2/_catalog'),
  send('POST', 'catalog POST', '/v2/_catalog'),
  get('catalog with a slash', '/v2/_catalog/'),
  get('catalog, no entries asked for', '/v2/_catalog?n=0'),
  get('catalog, negative page', '/v2/_catalog?n=-1'),
  get('catalog after one', '/v2/_catalog?last=rec/one'),
  get('name with a leading underscore', '/v2/_more/one/tags/list'),
  get('name with three underscores', '/v2/more/a___b/tags/list'),
  get('name of 256 characters', `/v2/${'a/'.repeat(127)}aa/manifests/latest`),
  get('name like a host with a port', '/v2/localhost:5000/one/tags/list')
]

const BLOBS: readonly Recorded[] = [
  ...pushed('one more blob', BYTES),
  ...pushed('empty blob', ''),
  get('empty blob GET', `${N}/blobs/${EMPTY}`),
  get('empty blob, part', `${N}/blobs/${EMPTY}`, { range: 'bytes=0-' }),
  send('HEAD', 'blob HEAD of nothing', `${N}/blobs/${ABSENT}`),
  send('HEAD', 'blob HEAD of a part', `${N}/blobs/${DIGEST}`, { headers: { range: 'bytes=0-3' } }),
  get('blob to its end', `${N}/blobs/${DIGEST}`, { range: 'bytes=5-' }),
  get('blob, more last bytes than there are', `${N}/blobs/${DIGEST}`, { range: 'bytes=-1000' }),
  get('blob, a range that runs backwards', `${N}/blobs/${DIGEST}`, { range: 'bytes=5-2' }),
  get('blob in another unit', `${N}/blobs/${DIGEST}`, { range: 'lines=1-2' }),
  get('blob, two parts that are more than it', `${N}/blobs/${DIGEST}`, { range: 'bytes=0-18,0-18' }),
  get('blob that the client has, unquoted', `${N}/blobs/${DIGEST}`, { 'if-none-match': DIGEST }),
  get('blob that the client has, weak', `${N}/blobs/${DIGEST}`, { 'if-none-match': `W/"${DIGEST}"` }),
  get('blob, part of the same', `${N}/blobs/${DIGEST}`, { range: 'bytes=0-3', 'if-range': `"${DIGEST}"` }),
  get('blob, part of another', `${N}/blobs/${DIGEST}`, { range: 'bytes=0-3', 'if-range': `"${ABSENT}"` }),
  get('blob by upper case hex', `${N}/blobs/${DIGEST.toUpperCase().replace('SHA', 'sha')}`),
  get('blob by a tag', `${N}/blobs/latest`),
  send('POST', 'blob POST', `${N}/blobs/${DIGEST}`),
  send('PATCH', 'blob PATCH', `${N}/blobs/${DIGEST}`),
  send('DELETE', 'delete of a blob by a malformed digest', `${N}/blobs/sha256:zz`)
]

const UPLOADS_AND_MOUNTS: readonly Recorded[] = [
  send('GET', 'uploads GET', UPLOADS),
  send('PUT', 'uploads PUT', UPLOADS),
  send('DELETE', 'uploads DELETE', UPLOADS),
  send('POST', 'uploads without slash', `${N}/blobs/uploads`),
  send('POST', 'blob in one request', `${UPLOADS}?digest=${sha256('at once')}`, { headers: OCTETS, body: 'at once' }),
  send('POST', 'blob in one request, wrong digest', `${UPLOADS}?digest=${ABSENT}`, { headers: OCTETS, body: 'at once' }),
  send('POST', 'mount from itself', `${UPLOADS}?mount=${DIGEST}&from=more/one`),
  send('POST', 'mount without a source', `/v2/more/two/blobs/uploads/?mount=${DIGEST}`),
  send('POST', 'mount from where it is not', `/v2/more/two/blobs/uploads/?mount=${DIGEST}&from=more/none`),
  send('POST', 'mount of a malformed digest', '/v2/more/two/blobs/uploads/?mount=sha256:zz&from=more/one'),
  send('POST', 'mount from a malformed name', `/v2/more/two/blobs/uploads/?mount=${DIGEST}&from=-/`),
  send('POST', 'source without a mount', '/v2/more/two/blobs/uploads/?from=more/one'),
  start('chunks: start'),
  send('PATCH', 'chunks: one', LOCATION, { headers: OCTETS, body: 'one ' }),
  send('PATCH', 'chunks: at a stale Location', STALE, { headers: OCTETS, body: 'again' }),
  send('HEAD', 'chunks: status by HEAD', LOCATION),
  send('PATCH', 'chunks: two, with its range', LOCATION, { headers: { ...OCTETS, 'content-range': '4-6' }, body: 'two' }),
  send('PUT', 'chunks: close', `${LOCATION}&digest=${sha256('one two')}`),
  get('chunks: the blob', `${N}/blobs/${sha256('one two')}`),
  get('chunks: status after the close', STALE),
  start('overlap: start'),
  send('PATCH', 'overlap: first chunk', LOCATION, { headers: OCTETS, body: 'one ' }),
  send('PATCH', 'overlap: second chunk', LOCATION, { headers: { ...OCTETS, 'content-range': '2-4' }, body: 'two' }),
  start('sha512: start'),
  send('PUT', 'sha512: close', `${LOCATION}&digest=${sha512('sha512')}`, { headers: OCTETS, body: 'sha512' }),
  get('sha512: the blob', `${N}/blobs/${sha512('sha512')}`),
  start('odd chunks: start'),
  send('PATCH', 'odd chunks: of another type', LOCATION, { headers: { 'content-type': 'text/plain' }, body: 'odd' }),
  start('odd chunks: second start'),
  send('PATCH', 'odd chunks: range that is none', LOCATION, { headers: { ...OCTETS, 'content-range': 'odd' }, body: 'odd' }),
  start('odd chunks: third start'),
  send('PATCH', 'odd chunks: range of another length', LOCATION, { headers: { ...OCTETS, 'content-range': '0-9' }, body: 'odd' }),
  start('odd chunks: fourth start'),
  send('PATCH', 'odd chunks: empty', LOCATION, { headers: OCTETS, body: '' }),
  send('PATCH', 'odd chunks: one byte', LOCATION, { headers: OCTETS, body: 'x' }),
  send('DELETE', 'odd chunks: cancel', LOCATION),
  send('DELETE', 'odd chunks: cancel once more', LOCATION),
  send('PATCH', 'chunk of no session', `${UPLOADS}${NO_SESSION}`, { headers: OCTETS, body: 'x' }),
  send('PUT', 'close of no session', `${UPLOADS}${NO_SESSION}?digest=${ABSENT}`),
  send('DELETE', 'cancel of no session', `${UPLOADS}${NO_SESSION}`),
  start('session of another repository: start'),
  send('PATCH', 'session of another repository: chunk', '{foreign}', { headers: OCTETS, body: 'x' }),
  get('session of another repository: status', '{foreign}'),
  send('POST', 'POST on a session', LOCATION)
]

const MANIFESTS: readonly Recorded[] = [
  ...[...oci.blobs, ...docker.blobs].flatMap((content, i) => pushed(`one more blob ${i}`, content.bytes)),
  put('one more manifest', oci, 'oci'),
  put('manifest once more', oci, 'oci'),
  put('manifest with a charset', oci, 'oci', { 'content-type': `${oci.mediaType}; charset=utf-8` }),
  put('manifest without Content-Type', oci, 'oci', {}),
  put('manifest of another type than its own', oci, 'oci', { 'content-type': DOCKER_MANIFEST }),
  put('manifest of schema 1', blob('{"schemaVersion":1,"name":"more/one","tag":"old"}'), 'old', { 'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws' }),
  put('manifest with manifests', image('mixed', { manifests: [] }), 'mixed'),
  put('index with layers', index([oci], { layers: [], config: {} }), 'mixed'),
  put('manifest that is too large', blob(`{"x":"${'x'.repeat(4 * 1024 * 1024)}"}`, oci.mediaType), 'large'),
  put('manifest by a malformed digest PUT', oci, 'sha256:zz'),
  put('tag of 128 characters', oci, 't'.repeat(128)),
  put('tag of 129 characters', oci, 't'.repeat(129)),
  put('manifest with a subject', referrer, referrer.digest),
  put('docker manifest', docker, 'docker'),
  put('docker list', list, 'list'),
  get('docker manifest GET', `${N}/manifests/docker`, both),
  get('docker manifest, any type', `${N}/manifests/docker`),
  get('docker manifest, another type', `${N}/manifests/docker`, { accept: oci.mediaType }),
  get('docker list GET', `${N}/manifests/list`, both),
  get('docker list, any type', `${N}/manifests/list`),
  get('docker list, only manifests', `${N}/manifests/list`, { accept: DOCKER_MANIFEST }),
  get('docker list by digest, only manifests', `${N}/manifests/${list.digest}`, { accept: DOCKER_MANIFEST }),
  send('HEAD', 'manifest HEAD of nothing', `${N}/manifests/none`, { headers: { accept: oci.mediaType } }),
  get('manifest by an unknown digest', `${N}/manifests/${ABSENT}`),
  get('manifest by the digest of a layer', `${N}/manifests/${oci.blobs[1]?.digest ?? ''}`),
  get('manifest, another type', `${N}/manifests/oci`, { accept: DOCKER_MANIFEST }),
  get('manifest that the client has, unquoted', `${N}/manifests/oci`, { accept: oci.mediaType, 'if-none-match': oci.digest }),
  get('manifest that the client has, weak', `${N}/manifests/oci`, { accept: oci.mediaType, 'if-none-match': `W/"${oci.digest}"` }),
  get('manifest that the client has, of two', `${N}/manifests/oci`, { accept: oci.mediaType, 'if-none-match': `"${ABSENT}", "${oci.digest}"` }),
  get('manifest that the client does not have', `${N}/manifests/oci`, { accept: oci.mediaType, 'if-none-match': `"${ABSENT}"` }),
  send('PATCH', 'manifest PATCH', `${N}/manifests/oci`),
  send('HEAD', 'tags HEAD', `${N}/tags/list`),
  send('POST', 'tags POST', `${N}/tags/list`),
  get('tags with a slash', `${N}/tags/list/`),
  send('DELETE', 'delete of an unknown tag', `${N}/manifests/none`),
  send('DELETE', 'delete by a malformed digest', `${N}/manifests/sha256:zz`),
  send('DELETE', 'delete of a tagged manifest', `${N}/manifests/${oci.digest}`),
  get('tag of a deleted manifest', `${N}/manifests/oci`, { accept: oci.mediaType }),
  send('DELETE', 'delete of a list', `${N}/manifests/${list.digest}`),
  get('child of a deleted list', `${N}/manifests/${docker.digest}`, both),
  put('manifest that was deleted', oci, 'oci'),
  get('manifest that came back', `${N}/manifests/oci`, { accept: oci.mediaType }),
  send('DELETE', 'delete of the last manifests', `${N}/manifests/${docker.digest}`)
]

const ALL = [...RECORDED, ...BASE, ...BLOBS, ...UPLOADS_AND_MOUNTS, ...MANIFESTS]
const COMPARED = [
  'location', 'docker-content-digest', 'docker-upload-uuid', 'range', 'content-range', 'content-type', 'etag', 'link', 'allow', 'accept-ranges',
  'cache-control', 'www-authenticate', 'oci-subject', 'docker-distribution-api-version'
]

type Answer = Readonly<Record<string, string>>

/** A connection for each request: the oracle closes some after an answer that it cut off, without a word. */
const dispatcher = new Agent({ pipelining: 0 })

/**
 * The oracle closes the connection under a body that is too large, and which of the two arrives first, its answer or
 * the end, is chance: asked again it is asked the same.
 */
async function answered (send: () => Promise<Response>, tries = 20): Promise<Response> {
  try {
    return await send()
  } catch (error) {
    const { code = '' } = (error as Error).cause as NodeJS.ErrnoException
    if (tries === 1 || !['EPIPE', 'ECONNRESET', 'UND_ERR_SOCKET'].includes(code)) throw error
    return await answered(send, tries - 1)
  }
}

/** Sends the list and returns what of each answer clients look at, free of what differs from run to run. */
async function replay (url: string): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>()
  let location = ''
  let stale = ''
  for (const { name, method, path, headers = {}, body } of ALL) {
    // A Location may have a query of its own or not; clients append with what fits.
    const target = path
      .replace('{location}&', location.includes('?') ? `${location}&` : `${location}?`)
      .replace('{location}', location).replace('{stale}', stale).replace('{foreign}', location.replace('/one/', '/two/'))
    const response = await answered(async () => await fetch(new URL(target, url), { method, headers, redirect: 'manual', dispatcher, ...(body === undefined ? {} : { body }) }))
    // The oracle announces more than it sends with a 416.
    const text = await response.text().catch(() => 'cut off')
    answers.set(name, shape(response, text, method))
    const next = response.headers.get('location') ?? location
    if (next !== location) [stale, location] = [location, next]
  }
  return answers
}

function shape ({ status, headers }: Response, text: string, method: string): Answer {
  const shaped: Record<string, string> = { status: String(status) }
  for (const name of COMPARED) {
    const value = headers.get(name)
    if (value !== null) shaped[name] = name === 'docker-upload-uuid' ? 'yes' : withoutSession(value)
  }
  // How long an error is depends on its wording.
  if (method === 'HEAD' && status < 400) shaped['content-length'] = headers.get('content-length') ?? ''
  return { ...shaped, body: status >= 400 ? codes(text) : text.trim() }
}

function withoutSession (value: string): string {
  return value.replace(/^http:\/\/[^/]+/, '').replace(/[0-9a-f]{8}-[0-9a-f-]{27}(?:\.\d+)?(?:\?.*)?$/, '<session>')
}

function codes (text: string): string {
  try {
    return (JSON.parse(text) as { errors: Array<{ code: string }> }).errors.map(({ code }) => code).join(' ')
  } catch {
    return text.trim()
  }
}

/** Digests are cut, and what is longer than a line is told by its hash. */
function short (value = '', name = ''): string {
  if (name === 'body' && value.length > 90) return `${value.length} bytes, ${sha256(value).slice(0, 15)}`
  return value === '' ? '–' : value.replace(/(sha\d+:[0-9a-f]{8})[0-9a-f]{56,}/g, '$1')
}

function compare (request: string, theirs: Answer, ours: Answer, everywhere: Set<unknown>): Difference[] {
  const what = ['status', ...COMPARED, 'content-length', 'body'].filter(name => {
    if (theirs[name] === ours[name]) return false
    const general = EVERYWHERE.find(({ what, theirs: from, ours: to }) => what === name && from === short(theirs[name]) && to === short(ours[name]))
    if (general !== undefined) everywhere.add(general)
    return general === undefined
  })
  if (what.length === 0) return []
  const values = (answer: Answer): string => what.map(name => short(answer[name], name)).join(' | ')
  return [{ request, what: what.join(' | '), theirs: values(theirs), ours: values(ours) }]
}

t.test('a list of requests is answered as docker\'s registry answers it, but for what is written down', needs('docker-registry'), async t => {
  const directory = t.testdir({ theirs: {} })
  const oracle = await startDockerRegistry(t, directory, `${directory}/theirs`)
  const product = await startProduct(t, directory)
  const [theirs, ours] = await Promise.all([replay(oracle.url), replay(product.url)])
  t.equal(theirs.size, ALL.length, 'every request has a name of its own')
  const everywhere = new Set<unknown>()
  const found = [...theirs].flatMap(([name, answer]) => compare(name, answer, ours.get(name) ?? {}, everywhere))
  const order = new Map(ALL.map(({ name }, place) => [name, place]))
  const listed = DIFFERENCES.flatMap(({ differences }) => differences)
  t.same(found, listed.toSorted((a, b) => (order.get(a.request) ?? -1) - (order.get(b.request) ?? -1)))
  t.same(EVERYWHERE.filter(difference => !everywhere.has(difference)), [], 'what is said to be different everywhere occurs')
})

t.test('docs/drop-in.md has the differences that were found', async t => {
  const document = await readFile(new URL('../../../docs/drop-in.md', import.meta.url), 'utf8')
  t.ok(document.endsWith(differencesTable()))
})

t.test('a browser may ask before it asks: OPTIONS has the configured CORS headers, as docker\'s registry has them', needs('docker-registry'), async t => {
  const http = { headers: { 'Access-Control-Allow-Origin': ['http://ui.example'], 'Access-Control-Allow-Methods': ['DELETE'] } }
  const preflight = async (url: string): Promise<object> => {
    const { status, headers } = await fetch(`${url}/v2/any/manifests/latest`, { method: 'OPTIONS', headers: { origin: 'http://ui.example' } })
    return { status, origin: headers.get('access-control-allow-origin'), methods: headers.get('access-control-allow-methods') }
  }
  const directory = t.testdir()
  const oracle = await startDockerRegistry(t, directory, join(directory, 'theirs'), http)
  const product = await startProduct(t, directory, { http })
  const theirs = await preflight(oracle.url)
  t.same(theirs, { status: 200, origin: 'http://ui.example', methods: 'DELETE' })
  t.same(await preflight(product.url), theirs)
})
