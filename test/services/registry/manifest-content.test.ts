import { gzipSync } from 'node:zlib'
import t from 'tap'
import { OCI_INDEX, OCI_MANIFEST } from '../../../schemas/media-types.js'
import { OciError } from '../../../services/errors/oci-error.js'
import type { Digest } from '../../../services/reference/reference.js'
import { inferMediaType, parseManifest } from '../../../services/registry/manifest-content.js'
import type { ManifestContent } from '../../../services/registry/manifest-content.js'
import { blob, image, index, sha256, sha512 } from '../../helpers/images.js'
import type { Blob } from '../../helpers/images.js'

const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
const EMPTY = blob('{}', 'application/vnd.oci.empty.v1+json')
const LAYER = blob('layer', 'application/vnd.oci.image.layer.v1.tar+gzip')
const CONFIG = blob('config', 'application/vnd.oci.image.config.v1+json')
const CHILD = image()

function of ({ mediaType, digest, size }: Blob, extra: object = {}): object {
  return { mediaType, digest, size, ...extra }
}

const plain = { schemaVersion: 2, config: of(CONFIG), layers: [of(LAYER)] }
const list = { schemaVersion: 2, manifests: [of(CHILD)] }

function parse (content: unknown, declared: string | undefined = OCI_MANIFEST): ManifestContent {
  return parseManifest(Buffer.from(JSON.stringify(content)), declared)
}

function digests (references: ReadonlyArray<{ readonly digest: Digest }>): Digest[] {
  return references.map(({ digest }) => digest)
}

function refusal (bytes: string | Uint8Array, declared: string | undefined): OciError | undefined {
  try {
    parseManifest(Buffer.from(bytes), declared)
    return undefined
  } catch (error) {
    if (OciError.is(error)) return error
    throw error
  }
}

interface Expected extends Partial<Omit<ManifestContent, 'blobs' | 'children'>> { readonly blobs?: readonly Digest[], readonly children?: readonly Digest[], readonly external?: number }

const accepted: ReadonlyArray<readonly [string, object, string | undefined, Expected]> = [
  ['R-160: an image without mediaType', plain, OCI_MANIFEST, { mediaType: OCI_MANIFEST, declaresMediaType: false, blobs: [CONFIG.digest, LAYER.digest], children: [], external: 0, subject: undefined, annotations: undefined }],
  ['R-160: an index without mediaType', list, OCI_INDEX, { mediaType: OCI_INDEX, declaresMediaType: false, blobs: [], children: [CHILD.digest], external: 0, artifactType: undefined }],
  ['R-161: no Content-Type, mediaType decides', { ...plain, mediaType: OCI_MANIFEST }, undefined, { mediaType: OCI_MANIFEST, declaresMediaType: true }],
  ['R-161: application/json, mediaType decides', { ...list, mediaType: OCI_INDEX }, 'application/json', { mediaType: OCI_INDEX }],
  ['R-161: application/octet-stream, mediaType decides', { ...plain, mediaType: DOCKER_MANIFEST }, 'application/octet-stream', { mediaType: DOCKER_MANIFEST }],
  ['R-162: unknown artifactType', { ...plain, artifactType: 'application/x-what' }, OCI_MANIFEST, { artifactType: 'application/x-what' }],
  ['R-162: an artifactType that is no media type', { ...plain, artifactType: 'no slash' }, OCI_MANIFEST, { artifactType: 'no slash' }],
  ['R-162: unknown config type', { ...plain, config: of(CONFIG, { mediaType: 'application/x-config' }) }, OCI_MANIFEST, { artifactType: 'application/x-config' }],
  ['R-162: unknown layer type', { ...plain, layers: [of(LAYER, { mediaType: 'text/x-layer' })] }, OCI_MANIFEST, { blobs: [CONFIG.digest, LAYER.digest] }],
  ['R-162: extra fields everywhere', { ...plain, config: of(CONFIG, { x: 1 }), layers: [of(LAYER, { y: [] })], 'org.x': { z: null } }, OCI_MANIFEST, { blobs: [CONFIG.digest, LAYER.digest] }],
  ['R-162: annotations', { ...plain, annotations: { a: 'b', '': '' } }, OCI_MANIFEST, { annotations: { a: 'b', '': '' } }],
  ['R-162: annotations that are no text', { ...plain, annotations: { a: 1, b: 'text', c: null } }, OCI_MANIFEST, { annotations: { b: 'text' } }],
  ['R-162: annotations that are no object', { ...plain, annotations: ['a'] }, OCI_MANIFEST, { annotations: undefined }],
  ['R-162: annotations null', { ...plain, annotations: null }, OCI_MANIFEST, { annotations: undefined }],
  ['R-163: no layers', { ...plain, layers: [] }, OCI_MANIFEST, { blobs: [CONFIG.digest] }],
  ['R-164: an artifact of empty JSON', { ...plain, artifactType: 'a/b', config: of(EMPTY), layers: [of(EMPTY)] }, OCI_MANIFEST, { artifactType: 'a/b', blobs: [EMPTY.digest, EMPTY.digest] }],
  ['R-165: uncompressed layers', { ...plain, layers: [of(blob('tar'))] }, OCI_MANIFEST, { blobs: [CONFIG.digest, sha256('tar')] }],
  ['R-165: data in descriptors', { ...plain, config: of(CONFIG, { data: 'Y29uZmln' }), layers: [of(LAYER, { data: 'bGF5ZXI=' })] }, OCI_MANIFEST, { blobs: [CONFIG.digest, LAYER.digest] }],
  ['R-166: OCI non-distributable layers with urls', { ...plain, layers: [of(LAYER, { mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', urls: ['https://example.com/l'] })] }, OCI_MANIFEST, { blobs: [CONFIG.digest], external: 1 }],
  ['R-166: docker foreign layers with urls', { ...plain, layers: [of(LAYER, { mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', urls: ['https://example.com/l'] }), of(blob('own'))] }, DOCKER_MANIFEST, { blobs: [CONFIG.digest, sha256('own')], external: 1 }],
  ['R-166: a foreign layer without urls must be here', { ...plain, layers: [of(LAYER, { mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar' })] }, OCI_MANIFEST, { blobs: [CONFIG.digest, LAYER.digest] }],
  ['R-166: a foreign layer with empty urls must be here', { ...plain, layers: [of(LAYER, { mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar', urls: [] })] }, OCI_MANIFEST, { blobs: [CONFIG.digest, LAYER.digest] }],
  ['R-166: an ordinary layer with urls must be here', { ...plain, layers: [of(LAYER, { urls: ['https://example.com/l'] })] }, OCI_MANIFEST, { blobs: [CONFIG.digest, LAYER.digest] }],
  ['R-167: an empty index', { ...list, manifests: [] }, OCI_INDEX, { children: [], blobs: [] }],
  ['R-167: an index of indexes', { ...list, manifests: [of(index([CHILD])), of(index([]))] }, OCI_INDEX, { children: [index([CHILD]).digest, index([]).digest] }],
  ['R-167: an artifact index', { ...list, artifactType: 'a/b' }, OCI_INDEX, { artifactType: 'a/b' }],
  ['R-168: an index of layers without platform', { ...list, manifests: [of(LAYER), of(CONFIG)] }, OCI_INDEX, { children: [LAYER.digest, CONFIG.digest] }],
  ['R-157: sha512 children', { ...list, manifests: [of(LAYER, { digest: sha512('layer') })] }, OCI_INDEX, { children: [sha512('layer')] }],
  ['R-157: sha512 config and layers', { ...plain, config: of(CONFIG, { digest: sha512('c') }), layers: [of(LAYER, { digest: sha512('l') })] }, OCI_MANIFEST, { blobs: [sha512('c'), sha512('l')] }],
  ['R-171: an image with a subject', { ...plain, subject: of(CHILD) }, OCI_MANIFEST, { subject: CHILD.digest, blobs: [CONFIG.digest, LAYER.digest] }],
  ['R-171: an index with a subject', { ...list, subject: of(CHILD) }, OCI_INDEX, { subject: CHILD.digest }],
  ['R-171: a sha512 subject', { ...plain, subject: of(CHILD, { digest: sha512('s') }) }, OCI_MANIFEST, { subject: sha512('s') }],
  ['R-181: a descriptor of size 0', { ...plain, layers: [of(LAYER, { size: 0 })] }, OCI_MANIFEST, { blobs: [CONFIG.digest, LAYER.digest] }],
  ['R-181: a descriptor of the largest size', { ...plain, layers: [of(LAYER, { size: Number.MAX_SAFE_INTEGER })] }, OCI_MANIFEST, { blobs: [CONFIG.digest, LAYER.digest] }],
  ['R-185: docker schema 2', { ...plain, mediaType: DOCKER_MANIFEST }, DOCKER_MANIFEST, { mediaType: DOCKER_MANIFEST, blobs: [CONFIG.digest, LAYER.digest] }],
  ['R-185: docker list', { ...list, mediaType: DOCKER_LIST }, DOCKER_LIST, { mediaType: DOCKER_LIST, children: [CHILD.digest] }],
  ['R-220: the config\'s media type when artifactType is missing', plain, OCI_MANIFEST, { artifactType: CONFIG.mediaType }],
  ['R-220: the config\'s media type when artifactType is empty', { ...plain, artifactType: '' }, OCI_MANIFEST, { artifactType: CONFIG.mediaType }],
  ['R-220: no artifactType for an index', { ...list, artifactType: '' }, OCI_INDEX, { artifactType: undefined }]
]

for (const [what, content, declared, expected] of accepted) {
  t.test(`accepts ${what}`, async t => {
    const parsed = parse(content, declared)
    const actual = { ...parsed, blobs: digests(parsed.blobs), children: digests(parsed.children), external: parsed.layers.filter(({ isExternal }) => isExternal).length }
    for (const [key, value] of Object.entries(expected)) t.strictSame(actual[key as keyof Expected], value, key)
  })
}

const refusedContent: ReadonlyArray<readonly [string, unknown, string | undefined, RegExp]> = [
  ['R-159: mediaType is another one', { ...plain, mediaType: DOCKER_MANIFEST }, OCI_MANIFEST, /mediaType in the manifest .*docker.* is not the Content-Type/],
  ['R-159: an index pushed as an image', { ...list, mediaType: OCI_INDEX }, OCI_MANIFEST, /is not the Content-Type/],
  ['R-159: mediaType is empty', { ...plain, mediaType: '' }, OCI_MANIFEST, /is not the Content-Type/],
  ['R-159: mediaType is no text', { ...plain, mediaType: 2 }, OCI_MANIFEST, /^\/mediaType must be string$/],
  ['R-159: mediaType is null', { ...plain, mediaType: null }, OCI_MANIFEST, /^\/mediaType must be string$/],
  ['R-161: nothing tells what it is', plain, undefined, /neither Content-Type nor mediaType/],
  ['R-161: application/json without mediaType', plain, 'application/json', /neither Content-Type nor mediaType/],
  ['R-161: an unknown mediaType alone', { ...plain, mediaType: 'text/plain' }, undefined, /unsupported manifest media type: text\/plain/],
  ['R-161: an unknown Content-Type', { ...plain, mediaType: OCI_MANIFEST }, 'text/plain', /unsupported manifest media type: text\/plain/],
  ['R-161: a Content-Type that every object has', plain, 'constructor', /unsupported manifest media type: constructor/],
  ['R-179: an array', [], OCI_MANIFEST, /the manifest must be object/],
  ['R-179: a number', 7, OCI_MANIFEST, /the manifest must be object/],
  ['R-179: text', 'manifest', OCI_MANIFEST, /the manifest must be object/],
  ['R-179: null', null, OCI_MANIFEST, /the manifest must be object/],
  ['R-179: an empty object', {}, OCI_MANIFEST, /required property/],
  ['R-180: no schemaVersion', { ...plain, schemaVersion: undefined }, OCI_MANIFEST, /schemaVersion/],
  ['R-180: schemaVersion 1', { ...plain, schemaVersion: 1 }, OCI_MANIFEST, /^\/schemaVersion must be 2$/],
  ['R-180: schemaVersion "2"', { ...plain, schemaVersion: '2' }, OCI_MANIFEST, /^\/schemaVersion must be 2$/],
  ['R-180: schemaVersion of an index', { ...list, schemaVersion: 3 }, OCI_INDEX, /^\/schemaVersion must be 2$/],
  ['R-181: no config', { ...plain, config: undefined }, OCI_MANIFEST, /config/],
  ['R-181: a docker image without config', { ...plain, config: undefined }, DOCKER_MANIFEST, /config/],
  ['R-181: config null', { ...plain, config: null }, OCI_MANIFEST, /^\/config must be object$/],
  ['R-181: no layers', { ...plain, layers: undefined }, OCI_MANIFEST, /layers/],
  ['R-181: layers null', { ...plain, layers: null }, OCI_MANIFEST, /^\/layers must be array$/],
  ['R-181: layers an object', { ...plain, layers: { 0: of(LAYER) } }, OCI_MANIFEST, /^\/layers must be array$/],
  ['R-181: no manifests', { ...list, manifests: undefined }, OCI_INDEX, /manifests/],
  ['R-181: manifests null', { ...list, manifests: null }, OCI_INDEX, /^\/manifests must be array$/],
  ['R-181: a descriptor without digest', { ...plain, layers: [of(LAYER), of(LAYER, { digest: undefined })] }, OCI_MANIFEST, /^\/layers\/1 .*digest/],
  ['R-181: a descriptor without size', { ...plain, config: of(CONFIG, { size: undefined }) }, OCI_MANIFEST, /^\/config .*size/],
  ['R-181: a descriptor without mediaType', { ...list, manifests: [of(CHILD, { mediaType: undefined })] }, OCI_INDEX, /^\/manifests\/0 .*mediaType/],
  ['R-181: a descriptor with an empty mediaType', { ...plain, config: of(CONFIG, { mediaType: '' }) }, OCI_MANIFEST, /^\/config\/mediaType /],
  ['R-181: a negative size', { ...plain, layers: [of(LAYER, { size: -1 })] }, OCI_MANIFEST, /^\/layers\/0\/size /],
  ['R-181: a fraction of a size', { ...plain, layers: [of(LAYER, { size: 1.5 })] }, OCI_MANIFEST, /^\/layers\/0\/size /],
  ['R-181: a size as text', { ...plain, layers: [of(LAYER, { size: '5' })] }, OCI_MANIFEST, /^\/layers\/0\/size /],
  ['R-181: a size beyond counting', { ...plain, layers: [of(LAYER, { size: 2 ** 53 })] }, OCI_MANIFEST, /^\/layers\/0\/size /],
  ['R-181: an invalid digest in config', { ...plain, config: of(CONFIG, { digest: 'sha256:beef' }) }, OCI_MANIFEST, /^\/config\/digest .*sha256:beef/],
  ['R-181: an upper-case digest in a layer', { ...plain, layers: [of(LAYER, { digest: LAYER.digest.toUpperCase() })] }, OCI_MANIFEST, /^\/layers\/0\/digest /],
  ['R-181: an unsupported digest in an index', { ...list, manifests: [of(CHILD, { digest: 'md5:d41d8cd98f00b204e9800998ecf8427e' })] }, OCI_INDEX, /^\/manifests\/0\/digest /],
  ['R-181: a digest that is a path', { ...plain, layers: [of(LAYER, { digest: `sha256:../../${'a'.repeat(58)}` })] }, OCI_MANIFEST, /^\/layers\/0\/digest /],
  ['R-181: an invalid digest in a foreign layer', { ...plain, layers: [of(LAYER, { digest: 'x', mediaType: 'a/nondistributable', urls: ['https://example.com'] })] }, OCI_MANIFEST, /^\/layers\/0\/digest /],
  ['R-181: urls that are no list', { ...plain, layers: [of(LAYER, { urls: 'https://example.com' })] }, OCI_MANIFEST, /^\/layers\/0\/urls /],
  ['R-173: a subject without digest', { ...plain, subject: { mediaType: OCI_MANIFEST, size: 1 } }, OCI_MANIFEST, /^\/subject .*digest/],
  ['R-173: a subject with a bad digest', { ...plain, subject: of(CHILD, { digest: 'sha256:0' }) }, OCI_MANIFEST, /^\/subject\/digest /],
  ['R-173: a subject that is no object', { ...list, subject: CHILD.digest }, OCI_INDEX, /^\/subject must be object$/],
  ['R-173: a subject that is null', { ...plain, subject: null }, OCI_MANIFEST, /^\/subject must be object$/],
  ['R-182: an image with manifests', { ...plain, manifests: [] }, OCI_MANIFEST, /^\/manifests does not belong/],
  ['R-182: a docker image with manifests', { ...plain, manifests: [of(CHILD)] }, DOCKER_MANIFEST, /^\/manifests does not belong/],
  ['R-182: an index with config', { ...list, config: of(CONFIG) }, OCI_INDEX, /^\/config does not belong/],
  ['R-182: an index with layers', { ...list, layers: [] }, OCI_INDEX, /^\/layers does not belong/],
  ['R-182: a list with layers that are null', { ...list, layers: null }, DOCKER_LIST, /^\/layers does not belong/],
  ['R-186: docker schema 1', { schemaVersion: 1, name: 'a', tag: 'b', fsLayers: [], history: [] }, 'application/vnd.docker.distribution.manifest.v1+json', /unsupported manifest media type/],
  ['R-186: signed docker schema 1', { schemaVersion: 1, fsLayers: [], signatures: [] }, 'application/vnd.docker.distribution.manifest.v1+prettyjws', /unsupported manifest media type/],
  ['R-186: docker schema 1 that says nothing', { schemaVersion: 1, fsLayers: [] }, undefined, /neither Content-Type nor mediaType/]
]

for (const [what, content, declared, detail] of refusedContent) {
  t.test(`refuses ${what}`, async t => {
    const error = refusal(JSON.stringify(content), declared)
    t.match(error, { code: 'MANIFEST_INVALID', status: 400 })
    t.match(error?.detail, detail)
  })
}

const good = JSON.stringify(plain)
const refusedBytes: ReadonlyArray<readonly [string, string | Uint8Array]> = [
  ['nothing', ''],
  ['blanks', '  \n'],
  ['no JSON', 'hello'],
  ['a truncated manifest', good.slice(0, -1)],
  ['trailing junk', `${good}x`],
  ['two manifests', `${good}${good}`],
  ['a byte order mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(good)])],
  ['UTF-16', Buffer.from(good, 'utf16le')],
  ['gzip', gzipSync(good)],
  ['a NUL at the end', `${good}\0`],
  ['single quotes', good.replaceAll('"', '\'')]
]

for (const [what, bytes] of refusedBytes) {
  t.test(`refuses R-179: ${what}`, async t => {
    t.match(refusal(bytes, OCI_MANIFEST), { code: 'MANIFEST_INVALID', status: 400, detail: 'the manifest is not JSON in UTF-8' })
  })
}

t.test('refuses R-183: invalid UTF-8', async t => {
  const bytes = Buffer.from(JSON.stringify({ ...plain, annotations: { a: '?' } }).replace('?', '\xff'), 'latin1')
  t.match(refusal(bytes, OCI_MANIFEST), { code: 'MANIFEST_INVALID', detail: 'the manifest is not JSON in UTF-8' })
})

t.test('R-183: of duplicate keys the last one counts, here and when the type is inferred', async t => {
  const twice = Buffer.from(good.replace('{', `{"config":${JSON.stringify(of(EMPTY))},"mediaType":"${OCI_INDEX}","mediaType":"${OCI_MANIFEST}",`))
  t.strictSame(digests(parseManifest(twice, OCI_MANIFEST).blobs), [CONFIG.digest, LAYER.digest])
  t.strictSame(inferMediaType(twice), { mediaType: OCI_MANIFEST, certain: true })
})

t.test('R-184: names every object has are harmless', async t => {
  const odd = good.replace('{', '{"__proto__":{"subject":{"digest":"x"},"manifests":[]},"constructor":1,"toString":null,"hasOwnProperty":"x",')
  const parsed = parseManifest(Buffer.from(odd), OCI_MANIFEST)
  t.equal(parsed.subject, undefined)
  t.strictSame(digests(parsed.blobs), [CONFIG.digest, LAYER.digest])
  t.equal(Object.hasOwn(Object.prototype, 'subject'), false)
})

t.test('R-184: a required field is not taken from a prototype', async t => {
  const error = refusal(`{"__proto__":${good}}`, OCI_MANIFEST)
  t.match(error, { code: 'MANIFEST_INVALID' })
})

t.test('R-184: annotations keep such names', async t => {
  const bytes = Buffer.from(good.replace('{', '{"annotations":{"__proto__":"a","constructor":"b"},'))
  t.strictSame(Object.entries(parseManifest(bytes, OCI_MANIFEST).annotations ?? {}), [['__proto__', 'a'], ['constructor', 'b']])
})

t.test('R-155: white space and key order are the client\'s affair', async t => {
  const bytes = Buffer.from(`\n\t ${JSON.stringify({ layers: plain.layers, config: plain.config, schemaVersion: 2 }, null, 4)}\r\n`)
  t.strictSame(digests(parseManifest(bytes, OCI_MANIFEST).blobs), [CONFIG.digest, LAYER.digest])
})

t.test('an absurdly long media type or digest is not sent back whole', async t => {
  const long = 'x'.repeat(100_000)
  for (const error of [refusal(good, long), refusal(JSON.stringify({ ...plain, mediaType: long }), OCI_MANIFEST), refusal(JSON.stringify({ ...plain, config: of(CONFIG, { digest: long }) }), OCI_MANIFEST)]) {
    t.equal(error?.code, 'MANIFEST_INVALID')
    t.ok(String(error?.detail).length < 400)
  }
})

t.test('a deeply nested manifest is refused or read, never a crash', async t => {
  const deep = good.replace('{', `{"x":${'['.repeat(50_000)}${']'.repeat(50_000)},`)
  const error = refusal(deep, OCI_MANIFEST)
  t.ok(error === undefined || error.code === 'MANIFEST_INVALID')
})

t.test('what a manifest says of its references is kept: media type, size, and the platform of a child', async t => {
  const platform = { architecture: 'arm64', os: 'linux', variant: 'v8' }
  t.match(parse(plain).blobs, [{ digest: CONFIG.digest, size: CONFIG.size }, { digest: LAYER.digest, size: LAYER.size }])
  const { children } = parse({ ...list, manifests: [of(CHILD, { platform }), of(LAYER)] }, OCI_INDEX)
  t.strictSame(children, [{ mediaType: CHILD.mediaType, digest: CHILD.digest, size: CHILD.size, platform }, { mediaType: LAYER.mediaType, digest: LAYER.digest, size: LAYER.size, platform: undefined }])
})

t.test('stored bytes tell their media type', async t => {
  for (const [content, mediaType, certain] of [
    [JSON.stringify({ ...plain, mediaType: DOCKER_MANIFEST }), DOCKER_MANIFEST, true],
    [JSON.stringify({ mediaType: 'application/x-anything' }), 'application/x-anything', true],
    [JSON.stringify({ ...plain, mediaType: '' }), OCI_MANIFEST, false],
    [JSON.stringify({ ...list, mediaType: 7 }), OCI_INDEX, false],
    [good, OCI_MANIFEST, false],
    [JSON.stringify(list), OCI_INDEX, false],
    [JSON.stringify({ ...list, manifests: [] }), OCI_INDEX, false],
    [JSON.stringify({ ...plain, manifests: null }), OCI_MANIFEST, false],
    ['null', OCI_MANIFEST, false],
    ['7', OCI_MANIFEST, false],
    ['[]', OCI_MANIFEST, false],
    ['', OCI_MANIFEST, false],
    ['\xff not JSON', OCI_MANIFEST, false]
  ] as const) {
    t.strictSame(inferMediaType(Buffer.from(content, 'latin1')), { mediaType, certain }, content)
  }
})
