import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { MANIFEST_MEDIA_TYPES } from '../schemas/media-types.js'
import { OciError } from '../services/errors/oci-error.js'
import { parseContentRange } from '../services/http/content-range.js'
import { parsePagination } from '../services/http/pagination.js'
import { decideRange } from '../services/http/range.js'
import { isDigest, isRepositoryName, isTag, parseReference } from '../services/reference/reference.js'
import { resourceOfUrl, splitResourcePath } from '../services/reference/resource-path.js'
import { inferMediaType, parseManifest } from '../services/registry/manifest-content.js'
import { parseUploadLocation } from '../services/uploads/location.js'
import { startRegistry } from '../testing.js'
import { blob, sha256, sha512 } from './helpers/images.js'
import { RawConnection } from './helpers/raw-http.js'

const RUNS = 5000
const BATCHES = 400
const BATCH = 250
// A fixed seed: a failure is the same on every machine. fast-check prints how to replay it.
const SEED = 20261123

// What requests are made of: the words of the API, almost-words, and bytes that mean something to some parser.
const words = fc.constantFrom(
  'v2', 'blobs', 'manifests', 'uploads', 'tags', 'list', 'referrers', '_catalog', '_oci', 'ext', 'discover', 'a', 'team', 'app', 'latest', '..', '.', '', '%2e%2e', '%2F',
  '%252F', '%00', '%ff', 'UPPER', '__proto__', 'constructor', 'a__b', 'a___b', '-', 'x'.repeat(300), sha256('x'), sha512('x'), 'sha256:bad', 'sha256%3A', '0-0', ';', ',', '\u00e9',
  '018f0c5e-0000-4000-8000-000000000000', '018f0c5e-0000-4000-8000-000000000000.99999999'
)
const noise = fc.string({ maxLength: 12 })
const path = fc.array(fc.oneof({ weight: 6, arbitrary: words }, { weight: 1, arbitrary: noise }), { maxLength: 9 }).map(parts => parts.join('/'))
const numbers = fc.oneof(fc.integer().map(String), fc.constantFrom('', '0', '-0', '1e9', '0x1', '99999999999999999999', '٣', '1.5', 'NaN'))
const range = fc.oneof(
  fc.constantFrom('bytes=0-0', 'bytes=5-', 'bytes=0-0,0-0', '0-0'),
  fc.array(fc.tuple(numbers, numbers).map(([a, b]) => `${a}-${b}`), { maxLength: 4 }).map(list => `bytes=${list.join(',')}`),
  fc.tuple(numbers, numbers).map(([a, b]) => `${a}-${b}`),
  noise
)

/** Runs a function that may only return, or throw an OciError that blames the client. */
function blamesClient (operation: () => unknown): boolean {
  try {
    operation()
    return true
  } catch (error) {
    return OciError.is(error) && error.status >= 400 && error.status < 500
  }
}

function holds<T> (name: string, property: fc.IProperty<T>): void {
  t.test(name, async t => {
    t.doesNotThrow(() => { fc.assert(property, { numRuns: RUNS, seed: SEED }) })
  })
}

holds('the path splitter and the router agree on every path that needs no decoding', fc.property(path, text => {
  const plain = text.replace(/[?#]/g, '').replace(/^\/+/, '')
  const split = splitResourcePath(plain)
  return split === undefined || (resourceOfUrl(`/v2/${plain}`) === split.resource && split.name !== '')
}))

holds('what is accepted as a name, tag or digest cannot leave a directory', fc.property(fc.oneof(words, noise, path), text => {
  const accepted = isRepositoryName(text) || isTag(text) || isDigest(text)
  return !accepted || (!text.split('/').some(part => part === '' || part === '.' || part === '..') && !/[^a-zA-Z0-9._:/-]/.test(text))
}))

holds('references, ranges, pages and upload locations are read or refused', fc.property(fc.oneof(words, noise), numbers, range, (text, number, header) =>
  blamesClient(() => parseReference(text)) && blamesClient(() => parseContentRange(header)) &&
  blamesClient(() => parsePagination({ n: number, last: text })) && blamesClient(() => parseUploadLocation(text))))

holds('a range that is served lies inside the content', fc.property(range, fc.nat(5000), (header, size) => {
  const decision = decideRange(header, size)
  if (typeof decision === 'string') return true
  const total = decision.reduce((sum, { start, end }) => sum + end - start + 1, 0)
  return decision.length > 0 && total <= size && decision.every(({ start, end }) => start >= 0 && start <= end && end < size)
}))

const descriptor = fc.record({
  mediaType: fc.oneof(fc.string(), fc.constant('application/vnd.oci.image.layer.v1.tar')),
  digest: fc.oneof(words, fc.string()),
  size: fc.oneof(fc.integer(), fc.double(), fc.string())
}, { requiredKeys: [] })
const manifest = fc.oneof(fc.json(), fc.string(), fc.record({
  schemaVersion: fc.constantFrom(2, 1, '2', null),
  mediaType: fc.oneof(fc.constantFrom(...Object.keys(MANIFEST_MEDIA_TYPES)), fc.string()),
  config: fc.oneof(descriptor, fc.jsonValue()),
  layers: fc.oneof(fc.array(descriptor), fc.jsonValue()),
  manifests: fc.oneof(fc.array(descriptor), fc.jsonValue()),
  subject: fc.oneof(descriptor, fc.jsonValue()),
  annotations: fc.jsonValue(),
  __proto__: fc.jsonValue()
}, { requiredKeys: [] }).map(value => JSON.stringify(value)))

holds('a manifest is understood or refused, and pollutes nothing', fc.property(manifest, fc.constantFrom(undefined, ...Object.keys(MANIFEST_MEDIA_TYPES), 'text/plain'), (text, type) => {
  const bytes = Buffer.from(text)
  const fine = blamesClient(() => parseManifest(bytes, type)) && blamesClient(() => inferMediaType(bytes))
  return fine && Object.keys(Object.prototype).length === 0 && !('polluted' in {})
}))

const INDEX = JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] })
const header = fc.oneof(
  range.map(value => `range: ${value}`), range.map(value => `content-range: ${value}`),
  fc.constantFrom('accept: */*', 'if-none-match: *', 'if-range: "x"', 'content-type: ;;;', 'content-type: application/json', 'host: a b', 'x-forwarded-host: <>', 'forwarded: proto=;host', 'expect: 100-continue')
).map(line => line.replace(/[^\x20-\x7e]/g, ''))
// Mostly sound, so that the handlers are reached and not only the router.
const name = fc.constantFrom('a', 'a', 'a', 'team/app', 'a/blobs/uploads', 'x'.repeat(256), 'A')
const reference = fc.constantFrom('latest', sha256('x'), sha256('x'), sha256('x'), sha512('x'), sha256('absent'), '.bad', 'sha256:bad')
const resourcePath = fc.tuple(name, fc.constantFrom('manifests', 'blobs', 'blobs', 'referrers', 'blobs/uploads', 'tags/list', 'blobs/uploads/'), reference)
  .map(([name, resource, reference]) => resource.endsWith('/') || resource === 'tags/list' ? `${name}/${resource}` : `${name}/${resource}/${reference}`)
const query = fc.array(fc.tuple(fc.constantFrom('n', 'last', 'digest', 'mount', 'from', 'tag', 'artifactType', '__proto__', 'digest-algorithm'), fc.oneof(words, numbers)), { maxLength: 3 })
const requests = fc.record({
  method: fc.constantFrom('GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'),
  path: fc.oneof(path, resourcePath, resourcePath).map(text => `/v2/${text}`.replace(/[^\x21-\x7e]/g, character => encodeURIComponent(character))),
  query: query.map(pairs => pairs.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&')),
  headers: fc.uniqueArray(header, { maxLength: 3, selector: line => line.split(':')[0] }),
  body: fc.oneof({ weight: 4, arbitrary: fc.constant('') }, manifest.map(text => text.replace(/[^\x20-\x7e]/g, '?')), fc.constant(INDEX))
})

t.test(`${BATCHES * BATCH} generated requests: no 5xx, nothing outside the root, memory stays flat`, { timeout: 300_000 }, async t => {
  const base = t.testdir({ root: {}, outside: 'untouched' })
  await using registry = await startRegistry({ storage: { filesystem: { rootdirectory: join(base, 'root'), fsync: false }, delete: { enabled: true } } })

  let connection = await RawConnection.open(registry.host)
  const failures: string[] = []
  const counts = new Map<number, number>()
  const before = process.memoryUsage()
  for (let batch = 0; batch < BATCHES; batch++) {
    // Again and again, because the generated requests also delete it.
    await fetch(`${registry.url}/v2/a/blobs/uploads/?digest=${sha256('x')}`, { method: 'POST', body: blob('x').bytes })
    for (const { method, path, query, headers, body } of fc.sample(requests, { numRuns: BATCH, seed: SEED + batch })) {
      const host = headers.some(line => line.startsWith('host:')) ? [] : ['host: registry.test']
      const lines = [`${method} ${path}${query === '' ? '' : '?'}${query} HTTP/1.1`, ...host, `content-length: ${body.length}`, ...headers]
      connection.send(`${lines.join('\r\n')}\r\n\r\n${body}`)
      let answer = await connection.answer({ head: method === 'HEAD' })
      if (answer.status === 100) answer = await connection.answer({ head: method === 'HEAD' })
      counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1)
      if (answer.status >= 500 || (answer.status === 415 && method !== 'OPTIONS')) failures.push(`${answer.status} ${lines.join(' | ')} ${answer.body}`)
      if (answer.headers.get('connection') === 'close') {
        connection.socket.destroy()
        connection = await RawConnection.open(registry.host)
      }
    }
  }
  connection.socket.destroy()
  t.same(failures.slice(0, 5), [], 'no 5xx, and no 415: bytes are taken whatever their type is called (R-024)')
  t.comment(Object.fromEntries(counts))
  for (const status of [200, 201, 202, 206, 304, 400, 404, 405, 416]) t.ok((counts.get(status) ?? 0) > 5, `some requests reached a ${status}`)
  t.same((await readdir(base)).sort(), ['outside', 'root'])
  t.same(await readdir(join(base, 'root')), ['docker'])
  t.same(Object.keys(Object.prototype), [])
  t.ok(process.memoryUsage().rss - before.rss < 300 * 1024 * 1024, 'memory does not grow with the number of requests')
})
