import t from 'tap'
import { blobShards, blobsOf, walkBlobs, walkLinks, walkReferrers, walkRepositories, walkTagHistory, walkTags, walkUploads } from '../../../services/registry/walk.js'
import { parseRepositoryName, parseTag } from '../../../services/reference/reference.js'
import { blobPath, linkPath, referrerLinkPath, tagCurrentPath, tagIndexPath, uploadDataPath } from '../../../services/registry/layout.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { FaultDriver, diskFull } from '../../helpers/fault-driver.js'
import { sha256, sha512 } from '../../helpers/images.js'

const NAME = parseRepositoryName('team/app')
const REPOSITORIES = '/docker/registry/v2/repositories'
const BYTES = Buffer.from('x')
const UUID = '0190d8a0-1234-7abc-8def-0123456789ab'

async function all<T> (walk: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of walk) items.push(item)
  return items
}

async function storage (paths: readonly string[]): Promise<MemoryDriver> {
  const driver = new MemoryDriver()
  for (const path of paths) await driver.write(path, BYTES)
  return driver
}

t.test('an empty storage holds nothing', async t => {
  const driver = new MemoryDriver()
  t.same(await all(walkRepositories(driver)), [])
  t.same(await all(walkBlobs(driver)), [])
  t.same(await all(walkLinks(driver, NAME, '_layers')), [])
  t.same(await all(walkTags(driver, NAME)), [])
  t.same(await all(walkReferrers(driver, NAME)), [])
  t.same(await all(walkUploads(driver, NAME)), [])
})

t.test('repositories: also nested ones, those with nothing but layers or uploads, and names only docker\'s registry takes', async t => {
  const driver = await storage([
    `${REPOSITORIES}/a/_layers/sha256/x/link`,
    `${REPOSITORIES}/a/b/_uploads/${UUID}/data`,
    `${REPOSITORIES}/a/b/c/d/_manifests/tags/x/current/link`,
    `${REPOSITORIES}/Foo/bar/_manifests/x`,
    `${REPOSITORIES}/a-b/_manifests/x`,
    `${REPOSITORIES}/empty/directory/file`,
    `${REPOSITORIES}/a/_other/c/_manifests/x`,
    `${REPOSITORIES}/lost+found/_manifests/x`
  ])
  t.same(await all(walkRepositories(driver)), ['Foo/bar', 'a', 'a/b', 'a/b/c/d', 'a-b'])
})

t.test('a tree deeper than any name is not followed for ever', async t => {
  const deep = Array.from({ length: 200 }, () => 'abc').join('/')
  const driver = new FaultDriver(await storage([`${REPOSITORIES}/${deep}/_manifests/x`]))
  t.same(await all(walkRepositories(driver)), [])
  t.ok(driver.calls.length < 70, `${driver.calls.length} calls`)
})

t.test('links: canonical ones and aliases, of each set', async t => {
  const driver = await storage([
    linkPath(NAME, '_layers', sha256('1')), linkPath(NAME, '_layers', sha512('1')),
    linkPath(NAME, '_manifests/revisions', sha256('2')),
    `${REPOSITORIES}/team/app/_layers/sha256/nonsense/link`, `${REPOSITORIES}/team/app/_layers/md5/d41d8cd98f00b204e9800998ecf8427e/link`
  ])
  t.same(await all(walkLinks(driver, NAME, '_layers')), [sha256('1'), sha512('1')])
  t.same(await all(walkLinks(driver, NAME, '_manifests/revisions')), [sha256('2')])
})

t.test('tags, their history, referrers, upload sessions', async t => {
  const latest = parseTag('latest')
  const driver = await storage([
    tagCurrentPath(NAME, latest), tagIndexPath(NAME, latest, sha256('1')), tagIndexPath(NAME, latest, sha512('2')),
    `${REPOSITORIES}/team/app/_manifests/tags/-bad/current/link`,
    referrerLinkPath(NAME, sha256('s'), sha256('1')), referrerLinkPath(NAME, sha256('s'), sha256('2')), referrerLinkPath(NAME, sha512('s'), sha256('1')),
    uploadDataPath(NAME, UUID), uploadDataPath(NAME, UUID.toUpperCase()), uploadDataPath(NAME, 'somebody-elses')
  ])
  t.same(await all(walkTags(driver, NAME)), ['latest'])
  t.same(await all(walkTagHistory(driver, NAME, latest)), [sha256('1'), sha512('2')])
  const byText = (a: object, b: object): number => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1
  t.same((await all(walkReferrers(driver, NAME))).sort(byText), [
    { subject: sha256('s'), referrer: sha256('1') }, { subject: sha256('s'), referrer: sha256('2') }, { subject: sha512('s'), referrer: sha256('1') }
  ].sort(byText))
  t.same(await all(walkUploads(driver, NAME)), [UUID.toUpperCase(), UUID])
})

t.test('content, one directory of two digits at a time', async t => {
  const digests = ['1', '2', '3', '4'].map(sha256).sort()
  const driver = await storage([...digests.map(blobPath), '/docker/registry/v2/blobs/sha256/zz/x/data', '/docker/registry/v2/blobs/md5/00/x/data', '/docker/registry/v2/blobs/sha256/00/short/data'])
  t.same(await all(walkBlobs(driver)), digests)
  const shards = await blobShards(driver)
  t.same(shards.map(({ prefix }) => prefix), ['00', ...digests.map(digest => digest.slice(7, 9))].sort())
  t.same(await blobsOf(driver, { algorithm: 'sha256', prefix: digests[0]?.slice(7, 9) ?? '' }), [digests[0]])
  t.same(await blobsOf(driver, { algorithm: 'sha256', prefix: 'ff' }), [])
})

t.test('a walk ends with the signal, and with what storage throws', async t => {
  const driver = new FaultDriver(await storage([...['1', '2', '3'].map(sha256).map(blobPath), `${REPOSITORIES}/a/_layers/x`, `${REPOSITORIES}/b/_layers/x`, uploadDataPath(NAME, UUID)]))
  const aborted = AbortSignal.abort(new Error('enough'))
  for (const walk of [walkBlobs(driver, { signal: aborted }), walkRepositories(driver, { signal: aborted }), walkUploads(driver, NAME, { signal: aborted })]) {
    await t.rejects(walk.next(), { message: 'enough' })
  }
  const controller = new AbortController()
  const walk = walkBlobs(driver, { signal: controller.signal })
  t.equal((await walk.next()).done, false)
  controller.abort(new Error('enough'))
  await t.rejects(all(walk), { message: 'enough' })
  driver.before = call => { throw diskFull(call) }
  await t.rejects(all(walkRepositories(driver)), /ENOSPC/)
})
