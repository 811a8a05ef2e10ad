import t from 'tap'
import { resourceOfUrl, splitResourcePath } from '../../../services/reference/resource-path.js'
import type { Resource } from '../../../services/reference/resource-path.js'

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`
const SHA512 = `sha512:${'0123456789abcdef'.repeat(8)}`

/** Tail, resource, reference. */
const TAILS: Array<[string, Resource, string]> = [
  ['/manifests/latest', 'manifest', 'latest'],
  [`/manifests/${DIGEST}`, 'manifest', DIGEST],
  [`/manifests/${SHA512}`, 'manifest', SHA512],
  ['/manifests/list', 'manifest', 'list'],
  ['/manifests/uploads', 'manifest', 'uploads'],
  ['/manifests/blobs', 'manifest', 'blobs'],
  ['/manifests/.INVALID', 'manifest', '.INVALID'],
  [`/blobs/${DIGEST}`, 'blob', DIGEST],
  ['/blobs/uploads/', 'upload', ''],
  ['/blobs/uploads', 'upload', ''],
  ['/blobs/uploads/0b7a0f3e-1111-4222-8333-444455556666.0', 'upload-session', '0b7a0f3e-1111-4222-8333-444455556666.0'],
  ['/blobs/uploads/uploads', 'upload-session', 'uploads'],
  ['/tags/list', 'tags', ''],
  ['/_oci/ext/discover', 'extensions', ''],
  [`/referrers/${DIGEST}`, 'referrers', DIGEST]
]
const MIDDLES: Readonly<Record<Resource, readonly string[]>> = {
  manifest: ['/manifests/'],
  blob: ['/blobs/'],
  upload: ['/blobs/uploads', '/blobs/uploads/'],
  'upload-session': ['/blobs/uploads/'],
  tags: ['/tags/list'],
  extensions: ['/_oci/ext/discover'],
  referrers: ['/referrers/']
}
const WORDS = ['blobs', 'manifests', 'tags', 'uploads', 'referrers', 'list', 'v2', 'a', 'team-x', 'sha256', '0']

t.test('every endpoint is found behind a plain name', async t => {
  for (const [tail, resource, reference] of TAILS) {
    for (const name of ['a', 'library/alpine', 'a/b/c/d', 'n'.repeat(255)]) {
      t.equal(resourceOfUrl(`/v2/${name}${tail}`), resource, `${name}${tail}`)
      t.same(splitResourcePath(`${name}${tail}`), { resource, name, reference }, `${name}${tail}`)
    }
  }
})

t.test('every endpoint is found behind a name made of the words of endpoints, from the right (R-029)', async t => {
  const names = WORDS.flatMap(first => [first, ...WORDS.flatMap(second => [`${first}/${second}`, ...WORDS.map(third => `${first}/${second}/${third}`)])])
  const wrong: string[] = []
  for (const name of names) {
    for (const [tail, resource, reference] of TAILS) {
      const split = splitResourcePath(name + tail)
      if (split?.resource !== resource || split.name !== name || split.reference !== reference) wrong.push(`split ${name}${tail}`)
      if (resourceOfUrl(`/v2/${name}${tail}`) !== resource) wrong.push(`url ${name}${tail}`)
    }
  }
  t.equal(names.length, 11 + 121 + 1331)
  t.same(wrong, [])
})

t.test('both functions agree on paths put together at random, and the parts are the whole again', async t => {
  // A generator with a fixed seed: the same paths every time.
  let state = 20_240_229
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * below)
  }
  const pieces = [...WORDS, '_oci/ext/discover', '_catalog', '', '.', '..', 'latest', DIGEST, 'Blobs', 'xblobs', 'blobsx', 'tags.list', 'é', 'a b']
  const wrong: string[] = []
  let found = 0
  for (let i = 0; i < 60_000; i++) {
    const path = Array.from({ length: 1 + next(7) }, () => pieces[next(pieces.length)]).join('/')
    const resource = resourceOfUrl(`/v2/${path}`)
    const split = splitResourcePath(path)
    const named = splitResourcePath(`x/${path}`)
    if (named?.resource !== resource) wrong.push(`${path}: ${String(named?.resource)} is no ${String(resource)}`)
    if (split !== undefined) {
      found++
      if (split.resource !== resource) wrong.push(`${path}: ${split.resource} is no ${String(resource)}`)
      const middles = MIDDLES[split.resource]
      if (split.name === '' || split.reference.includes('/') || !middles.some(middle => split.name + middle + split.reference === path)) wrong.push(`parts of ${path}`)
    } else if (resource !== undefined && named?.name !== 'x' && named?.name !== 'x/') {
      wrong.push(`${path} has a name and is refused`)
    }
  }
  t.same(wrong.slice(0, 10), [])
  t.ok(found > 3000, `${found} of them are resources`)
})

t.test('a path without a name is no resource path', async t => {
  for (const [tail] of TAILS) {
    t.equal(splitResourcePath(tail.slice(1)), undefined, tail.slice(1))
    t.equal(splitResourcePath(tail), undefined, tail)
  }
})

t.test('a path that is no endpoint is none', async t => {
  const paths = [
    '', '/', 'a', 'a/b', 'a/b/c', '_catalog', 'a/', 'a/tags', 'a/tags/', 'a/tags/list/', 'a/tags/lists', 'a/tags/list/x', 'a/xtags/list',
    'a/blobs', 'a/blobs/', 'a/manifests', 'a/manifests/', 'a/manifests/latest/', 'a/manifests/x/y', 'a/referrers', 'a/referrers/',
    'a/blobs/uploads//', 'a/blobs/uploads/x/', 'a/blobs/uploads/x/y', 'a/xblobs/x', 'a/blobsx/x', 'a/Manifests/x', 'a/MANIFESTS/x', 'a/uploads/x', 'a/list/x',
    'a/_oci/ext', 'a/_oci/ext/discover/', 'a/_oci/ext/discover/x', 'a/x_oci/ext/discover', 'a/ext/discover'
  ]
  for (const path of paths) {
    t.equal(splitResourcePath(path), undefined, JSON.stringify(path))
    t.equal(resourceOfUrl(`/v2/${path}`), undefined, JSON.stringify(path))
  }
})

t.test('a query or a fragment does not belong to the path of a URL', async t => {
  for (const [tail, resource] of TAILS) {
    for (const rest of ['?', '?n=1', '?digest=sha256:00', '?a=/b/blobs/x', '?from=a/b&mount=x', '#', '#/a/tags/list', '?x#y', '#x?y', '?/']) {
      t.equal(resourceOfUrl(`/v2/team/app${tail}${rest}`), resource, `${tail}${rest}`)
    }
  }
  for (const url of ['/v2/a?x=/tags/list', '/v2/?x=/a/tags/list', '/v2/a#/manifests/x', '/v2/a/manifests?/x', '/v2/a/b?/blobs/uploads/', '/v2/a/manifests/?x']) {
    t.equal(resourceOfUrl(url), undefined, url)
  }
})

t.test('a URL outside of /v2/ is none of ours', async t => {
  const urls = ['', '/', '*', '/v2', '/v1/a/tags/list', '/a/manifests/latest', '/a/blobs/uploads/', '/v2a/b/tags/list', '/xv2/a/tags/list', 'v2/a/tags/list', '/V2/a/tags/list']
  for (const url of urls) t.equal(resourceOfUrl(url), undefined, url)
})

t.test('a prefix in front of /v2/ does not matter', async t => {
  for (const [tail, resource] of TAILS) t.equal(resourceOfUrl(`/host/registry/v2/team/app${tail}`), resource, tail)
})

t.test('grammar is not judged here: what is between the words is handed on', async t => {
  t.same(splitResourcePath('UPPER/../x//manifests/a b'), { resource: 'manifest', name: 'UPPER/../x/', reference: 'a b' })
  t.same(splitResourcePath('//blobs/x'), { resource: 'blob', name: '/', reference: 'x' })
})

t.test('hostile URLs of 100 kB are classified at once', async t => {
  for (const part of ['/', 'a/', '/blobs/uploads', '/tags/list', '?', '#', '/v2/']) {
    const url = `/v2/${part.repeat(100_000 / part.length)}!`
    const start = performance.now()
    resourceOfUrl(url)
    splitResourcePath(url)
    t.ok(performance.now() - start < 250, part)
  }
})
