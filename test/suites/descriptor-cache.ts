import type { Test } from 'tap'
import { parseRepositoryName } from '../../services/reference/reference.js'
import type { Digest } from '../../services/reference/reference.js'
import type { DescriptorCache, Scope } from '../../services/cache/types.js'
import type { Descriptor } from '../../services/registry/types.js'
import { sha256, sha512 } from '../helpers/images.js'

const A = parseRepositoryName('team/a')
const B = parseRepositoryName('team/b')
const LAYERS: Scope = { name: A, set: '_layers' }
const REVISIONS: Scope = { name: A, set: '_manifests/revisions' }
const DIGEST = sha256('content')
const ALIAS = sha512('content')
const BLOB: Descriptor = { mediaType: 'application/octet-stream', digest: DIGEST, size: 7 }
const MANIFEST: Descriptor = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: DIGEST, size: 7 }

async function put (cache: DescriptorCache, digest: Digest, descriptor: Descriptor, scope?: Scope): Promise<void> {
  await cache.fill(digest, descriptor, await cache.lease(digest, scope), scope)
}

/** A blob of a repository, as the registry remembers one: its content, and that it is there. */
async function putBlob (cache: DescriptorCache, scope: Scope = LAYERS): Promise<void> {
  await put(cache, DIGEST, BLOB)
  await put(cache, DIGEST, BLOB, scope)
}

/** What every descriptor cache does. `make` gives an empty one. */
export function descriptorCacheSuite (t: Test, make: (t: Test) => Promise<DescriptorCache>): void {
  t.test('what was filled is found, by its digest and in its scope', async t => {
    const cache = await make(t)
    await putBlob(cache)
    t.same(await cache.get(DIGEST), BLOB)
    t.same(await cache.get(DIGEST, LAYERS), BLOB)
    t.equal(await cache.get(sha256('other'), LAYERS), undefined)
    t.equal(await cache.get(sha256('other')), undefined)
  })

  t.test('knowing a digest in one repository never grants it in another one', async t => {
    const cache = await make(t)
    await putBlob(cache)
    t.equal(await cache.get(DIGEST, { name: B, set: '_layers' }), undefined)
  })

  t.test('content that is known is nobody\'s, and a blob is no manifest, nor a manifest a blob', async t => {
    const cache = await make(t)
    await put(cache, DIGEST, BLOB)
    t.equal(await cache.get(DIGEST, LAYERS), undefined)
    await put(cache, DIGEST, MANIFEST, REVISIONS)
    t.equal(await cache.get(DIGEST, LAYERS), undefined)
    t.same(await cache.get(DIGEST, REVISIONS), MANIFEST)
    await cache.clear(DIGEST, REVISIONS)
    await put(cache, DIGEST, BLOB, LAYERS)
    t.equal(await cache.get(DIGEST, REVISIONS), undefined)
  })

  t.test('a manifest has the media type of its repository', async t => {
    const cache = await make(t)
    await put(cache, DIGEST, MANIFEST, REVISIONS)
    const other = { ...MANIFEST, mediaType: 'application/vnd.docker.distribution.manifest.v2+json; a=b c' }
    await put(cache, DIGEST, other, { name: B, set: '_manifests/revisions' })
    t.same(await cache.get(DIGEST, REVISIONS), MANIFEST)
    t.same(await cache.get(DIGEST, { name: B, set: '_manifests/revisions' }), other)
  })

  t.test('a digest of another algorithm leads to the canonical one', async t => {
    const cache = await make(t)
    await putBlob(cache)
    await put(cache, ALIAS, BLOB, LAYERS)
    t.same(await cache.get(ALIAS, LAYERS), BLOB)
    await put(cache, ALIAS, MANIFEST, REVISIONS)
    t.same(await cache.get(ALIAS, REVISIONS), MANIFEST)
  })

  t.test('what was cleared is gone, there and nowhere else', async t => {
    const cache = await make(t)
    const other: Scope = { name: B, set: '_layers' }
    await putBlob(cache)
    await putBlob(cache, other)
    await put(cache, DIGEST, MANIFEST, REVISIONS)
    await cache.clear(DIGEST, LAYERS)
    t.equal(await cache.get(DIGEST, LAYERS), undefined)
    t.same(await cache.get(DIGEST, other), BLOB)
    t.same(await cache.get(DIGEST, REVISIONS), MANIFEST)
    await putBlob(cache)
    await cache.clear(DIGEST, REVISIONS)
    t.equal(await cache.get(DIGEST, REVISIONS), undefined)
    t.same(await cache.get(DIGEST, LAYERS), BLOB)
  })

  t.test('content that was cleared is a blob of no repository', async t => {
    const cache = await make(t)
    await putBlob(cache)
    await putBlob(cache, { name: B, set: '_layers' })
    await cache.clear(DIGEST)
    t.equal(await cache.get(DIGEST), undefined)
    t.equal(await cache.get(DIGEST, LAYERS), undefined)
    t.equal(await cache.get(DIGEST, { name: B, set: '_layers' }), undefined)
  })

  for (const [what, scope] of [['content', undefined], ['a blob', LAYERS], ['a manifest', REVISIONS]] as const) {
    t.test(`a lease on ${what} ends when it is cleared, and nothing is filled by it any more`, async t => {
      const cache = await make(t)
      if (scope === LAYERS) await put(cache, DIGEST, BLOB)
      const before = await cache.lease(DIGEST, scope)
      t.equal(await cache.lease(DIGEST, scope), before, 'as long as nothing is cleared it is the same one')
      await cache.clear(DIGEST, scope)
      await cache.fill(DIGEST, MANIFEST, before, scope)
      t.equal(await cache.get(DIGEST, scope), undefined)
      const after = await cache.lease(DIGEST, scope)
      t.not(after, before)
      await cache.fill(DIGEST, MANIFEST, after, scope)
      t.match(await cache.get(DIGEST, scope), { digest: DIGEST, size: 7 })
    })
  }

  t.test('a lease that is given back remembers nothing, and what was never there can be cleared', async t => {
    const cache = await make(t)
    await cache.lease(DIGEST, LAYERS)
    await cache.release(DIGEST, LAYERS)
    t.equal(await cache.get(DIGEST, LAYERS), undefined)
    for (const scope of [undefined, LAYERS, REVISIONS]) await cache.clear(DIGEST, scope)
    await putBlob(cache)
    t.same(await cache.get(DIGEST, LAYERS), BLOB)
  })

  t.test('what is filled again is what it says', async t => {
    const cache = await make(t)
    await put(cache, DIGEST, BLOB)
    await put(cache, DIGEST, { ...BLOB, size: 8 })
    t.match(await cache.get(DIGEST), { size: 8 })
    await put(cache, DIGEST, MANIFEST, REVISIONS)
    await put(cache, DIGEST, { ...MANIFEST, mediaType: 'application/x' }, REVISIONS)
    t.match(await cache.get(DIGEST, REVISIONS), { mediaType: 'application/x' })
  })
}
