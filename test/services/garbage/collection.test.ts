import t from 'tap'
import type { Test } from 'tap'
import { isPathNotFound } from '../../../services/errors/driver-error.js'
import { parseRepositoryName, parseTag } from '../../../services/reference/reference.js'
import { blobPath, linkPath, mediaTypePath, referrerLinkPath, tagCurrentPath } from '../../../services/registry/layout.js'
import { listRepositories } from '../../../services/registry/catalog.js'
import type { CollectionObserver } from '../../../services/garbage/report.js'
import { FilesystemDriver } from '../../../services/storage/filesystem.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { LATER, blobsIn, collect, isAside, missingOf, openRepository, pushBlob, pushImage, pushManifest } from '../../helpers/garbage-world.js'
import { blob, image, index, sha512 } from '../../helpers/images.js'
import type { Manifest } from '../../helpers/images.js'

const NAME = parseRepositoryName('team/app')
const HOUR = 3_600_000

function descriptor ({ mediaType, digest, size }: Manifest): object {
  return { mediaType, digest, size }
}

function recorder (): { observer: CollectionObserver, doubts: string[], kept: Map<string, string[]>, gone: Map<string, string> } {
  const doubts: string[] = []
  const kept = new Map<string, string[]>()
  const gone = new Map<string, string>()
  return {
    doubts,
    kept,
    gone,
    observer: {
      doubt: (_name, _manifest, problem) => { doubts.push(problem) },
      kept: (digest, reason) => { kept.set(digest, [...kept.get(digest) ?? [], reason()]) },
      gone: (digest, reason) => { gone.set(digest, reason) }
    }
  }
}

t.test('a dry run says what would go and changes nothing', async t => {
  const driver = new MemoryDriver()
  const repository = openRepository(driver)
  await pushImage(repository, image('tagged'), 'v1')
  await pushImage(repository, image('untagged'))
  const before = await blobsIn(driver)
  const { gone, kept, observer } = recorder()
  const result = await collect(driver, { dryRun: true, deleteUntagged: true, observer })
  t.match(result, { dryRun: true, manifests: { kept: 1, withdrawn: 1, deleted: 0 }, blobs: { kept: 3, quarantined: 3, deleted: 0 } })
  t.same(await blobsIn(driver), before)
  t.notOk(await isAside(driver))
  t.equal(gone.get(image('untagged').digest), 'no manifest refers to it')
  t.match(kept.get(image('tagged').digest)?.[0], /tagged v1/)
})

t.test('what is younger than the grace period stays, what is aside is still served, and put back for good by who asks for it (R-253)', async t => {
  const driver = new MemoryDriver()
  const repository = openRepository(driver)
  const orphan = blob('nobody refers to it')
  await pushBlob(repository.blobs, orphan)
  t.match(await collect(driver, { graceMs: HOUR, clock: { now: () => Date.now() } }), { blobs: { kept: 1, quarantined: 0 } })
  t.match(await collect(driver, { graceMs: HOUR }), { blobs: { quarantined: 1, deleted: 0 } })
  t.match(await collect(driver, { graceMs: HOUR, clock: { now: () => LATER + HOUR - 1 } }), { blobs: { quarantined: 0, deleted: 0 } })
  t.equal((await repository.blobs.stat(orphan.digest)).size, orphan.size)
  t.match(await collect(driver, { graceMs: HOUR, clock: { now: () => LATER + HOUR } }), { blobs: { quarantined: 1, deleted: 0 } })
  t.match(await collect(driver, { graceMs: HOUR, clock: { now: () => LATER + 2 * HOUR } }), { blobs: { quarantined: 0, deleted: 1 }, bytes: { deleted: orphan.size } })
  await t.rejects(async () => await repository.blobs.stat(orphan.digest), { code: 'BLOB_UNKNOWN' })
  t.notOk(await isAside(driver))
})

t.test('a withdrawn manifest is served until it is deleted, and a client can delete it before', async t => {
  for (const isDeleted of [false, true]) {
    const driver = new MemoryDriver()
    const repository = openRepository(driver)
    await pushImage(repository, image('tagged'), 'v1')
    await pushImage(repository, image('untagged'))
    t.match(await collect(driver, { graceMs: HOUR, deleteUntagged: true }), { manifests: { withdrawn: 1, deleted: 0 } })
    t.equal(await missingOf(repository, image('untagged')), undefined)
    if (isDeleted) await repository.manifests.delete({ digest: image('untagged').digest })
    else await collect(driver, { graceMs: HOUR, deleteUntagged: true, clock: { now: () => LATER + HOUR } })
    t.match(await missingOf(openRepository(driver), image('untagged')), /MANIFEST_UNKNOWN/)
    t.equal(await missingOf(repository, image('tagged'), 'v1'), undefined)
  }
})

t.test('a manifest goes with its aliases, its entry in the referrers list, its media type and its place in histories', async t => {
  const driver = new MemoryDriver()
  const repository = openRepository(driver)
  const manifest = image('once', { subject: descriptor(image('not here')) })
  await pushImage(repository, manifest, 'latest')
  await pushManifest(repository, manifest, sha512(manifest.bytes))
  await driver.write(mediaTypePath(NAME, manifest.digest), Buffer.from(manifest.mediaType))
  await pushImage(repository, image('now'), 'latest')
  const paths = [
    linkPath(NAME, '_manifests/revisions', sha512(manifest.bytes)),
    mediaTypePath(NAME, manifest.digest),
    referrerLinkPath(NAME, image('not here').digest, manifest.digest),
    `/docker/registry/v2/repositories/team/app/_manifests/tags/latest/index/${manifest.digest.replace(':', '/')}/link`
  ]
  for (const path of paths) t.ok(await driver.stat(path))
  await collect(driver, { deleteUntagged: true })
  for (const path of paths) t.ok(await driver.stat(path).then(() => false, isPathNotFound), path)
  t.equal(await missingOf(repository, image('now'), 'latest'), undefined)
})

t.test('layers named by sha512 are kept, and a tag on the sha512 of a manifest keeps it', async t => {
  const driver = new MemoryDriver()
  const repository = openRepository(driver)
  const { bytes, size } = blob('by another algorithm')
  const digest = sha512(bytes)
  await pushBlob(repository.blobs, { bytes, digest })
  const manifest = image('with', { layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size }] })
  for (const part of manifest.blobs) await pushBlob(repository.blobs, part)
  await repository.manifests.put(manifest.bytes, { mediaType: manifest.mediaType, reference: { digest: sha512(manifest.bytes) }, tags: [parseTag('v1')] })
  await collect(driver, { deleteUntagged: true })
  t.equal((await repository.blobs.stat(digest)).size, size)
  t.equal((await repository.manifests.get({ tag: parseTag('v1') })).descriptor.digest, sha512(manifest.bytes))
})

const UNREADABLE: ReadonlyArray<readonly [what: string, bytes: string, problem: RegExp]> = [
  ['is not JSON', '{', /is damaged/],
  ['is of an unknown kind', JSON.stringify({ schemaVersion: 3, mediaType: 'application/vnd.example.future+json', parts: ['sha256:…'] }), /no known kind/],
  ['has layers that are none', JSON.stringify({ schemaVersion: 2, config: {}, layers: [{ digest: 'crc32:12' }] }), /no known kind/],
  ['is too large', ' '.repeat(5 * 1024 * 1024), /is too large/]
]

for (const [what, text, problem] of UNREADABLE) {
  for (const deleteUntagged of [false, true]) {
    t.test(`beside a manifest that ${what} nothing in its repository is deleted${deleteUntagged ? ', untagged or not' : ''}`, async t => {
      const driver = new MemoryDriver()
      const repository = openRepository(driver)
      await pushImage(repository, image('tagged'), 'v1')
      await pushImage(repository, image('untagged'))
      await pushBlob(repository.blobs, blob('perhaps needed'))
      await pushBlob(openRepository(driver, 'other').blobs, blob('needed by nobody'))
      const odd = what === 'is not JSON' ? image('odd').digest : blob(text).digest
      await driver.write(blobPath(odd), Buffer.from(text))
      await driver.write(linkPath(NAME, '_manifests/revisions', odd), Buffer.from(odd))
      await driver.write(tagCurrentPath(NAME, parseTag('odd')), Buffer.from(odd))
      const { doubts, observer } = recorder()
      const result = await collect(driver, { deleteUntagged, observer })
      t.match(result, { doubts: 1, manifests: { deleted: 0 }, blobs: { deleted: 1 } })
      t.match(doubts, [problem])
      t.equal((await repository.blobs.stat(blob('perhaps needed').digest)).size, 14)
      t.equal(await missingOf(repository, image('untagged')), undefined)
    })
  }
}

t.test('a manifest that another one lists as a layer is read all the same', async t => {
  const driver = new MemoryDriver()
  const inner = image('inner')
  const outer = image('outer', { layers: [descriptor(inner)] })
  const repository = openRepository(driver, 'a')
  await pushBlob(repository.blobs, inner)
  await pushImage(repository, outer, 'v1')
  await pushImage(openRepository(driver, 'b'), inner, 'v1')
  await collect(driver)
  t.equal(await missingOf(openRepository(driver, 'b'), inner, 'v1'), undefined)
})

t.test('a broken link of a tag keeps every manifest, a broken link of a manifest that one', async t => {
  const driver = new MemoryDriver()
  const repository = openRepository(driver)
  for (const seed of ['a', 'b']) await pushImage(repository, image(seed), seed)
  await pushImage(repository, image('untagged'))
  await driver.write(linkPath(NAME, '_manifests/revisions', image('a').digest), Buffer.from(''))
  await driver.write(tagCurrentPath(NAME, parseTag('b')), Buffer.from('sha256:'))
  t.match(await collect(driver, { deleteUntagged: true }), { manifests: { kept: 3, deleted: 0 }, blobs: { deleted: 0 } })
})

t.test('an index of a build cache keeps the layers that it lists', async t => {
  const driver = new MemoryDriver()
  const repository = openRepository(driver)
  const layer = blob('x'.repeat(5 * 1024 * 1024))
  await pushBlob(repository.blobs, layer)
  const cache = index([layer])
  await pushManifest(repository, cache, 'cache')
  t.match(await collect(driver, { deleteUntagged: true }), { doubts: 0, blobs: { kept: 2, deleted: 0 } })
})

for (const [what, make] of [['memory', async () => new MemoryDriver()], ['the file system', async (t: Test) => await FilesystemDriver.open({ rootdirectory: t.testdir({}), fsync: false })]] as const) {
  t.test(`a repository without anything left leaves the catalog, on ${what}`, async t => {
    const driver = await make(t)
    await pushImage(openRepository(driver, 'full'), image('full'), 'v1')
    const repository = openRepository(driver)
    await pushImage(repository, image('x'), 'v1')
    await repository.manifests.delete({ digest: image('x').digest })
    t.same((await listRepositories(driver, {})).items, ['full', 'team/app'])
    await collect(driver)
    t.same((await listRepositories(driver, {})).items, ['full'])
    t.same(await blobsIn(driver), [image('full'), ...image('full').blobs].map(({ digest }) => digest).sort())
    await pushImage(repository, image('x'), 'again')
    t.equal(await missingOf(repository, image('x'), 'again'), undefined)
  })
}
