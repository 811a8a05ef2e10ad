import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { buildServer } from '../../../server.js'
import { copyRegistry } from '../../../services/copy/copy.js'
import type { CopyFailure, CopyOptions, CopyResult } from '../../../services/copy/copy.js'
import { systemClock } from '../../../services/maintenance/clock.js'
import { silent } from '../../../services/maintenance/progress.js'
import { parseRepositoryName } from '../../../services/reference/reference.js'
import { blobPath, tagCurrentPath, uploadDataPath } from '../../../services/registry/layout.js'
import type { StorageDriver } from '../../../services/storage/driver.js'
import { FilesystemDriver } from '../../../services/storage/filesystem.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { FaultDriver } from '../../helpers/fault-driver.js'
import type { Call } from '../../helpers/fault-driver.js'
import { blob, image, index, pushBlob, pushManifest, sha512 } from '../../helpers/images.js'
import { lackingBehindTags, storedTree } from '../../helpers/stored-tree.js'

const LARGE = blob(Buffer.alloc(3 * 1024 * 1024 + 7, 'large'))
const ONE = image('one')
const TWO = image('two')
const BOTH = index([ONE, TWO])
const SIGNATURE = image('signature', { subject: { mediaType: ONE.mediaType, digest: ONE.digest, size: ONE.size } })
// Nothing in its bytes says what it is, so its media type lies beside it in storage.
const PLAIN = { ...image('plain', { mediaType: undefined }), mediaType: 'application/vnd.docker.distribution.manifest.v2+json' }
const WRITES: ReadonlySet<string> = new Set(['write', 'openWriter', 'writer.write', 'writer.close', 'move', 'delete'])
const isWrite = ({ operation }: Call): boolean => WRITES.has(operation)

async function copy (from: StorageDriver, to: StorageDriver, options: Partial<CopyOptions> = {}): Promise<CopyResult & { failed: CopyFailure[] }> {
  const failed: CopyFailure[] = []
  const result = await copyRegistry({ from, to, progress: silent, signal: new AbortController().signal, onFailure: failure => { failed.push(failure) }, ...options })
  return { ...result, failed }
}

/** A registry with one of everything that is laid out in a way of its own. */
async function filled (t: Test, driver: StorageDriver): Promise<FastifyInstance> {
  const app = buildServer({ storage: { delete: { enabled: true } }, instances: { driver } })
  t.teardown(async () => { await app.close() })
  await pushManifest(t, app, 'team/app', ONE, 'one')
  await pushManifest(t, app, 'team/app', ONE, 'moved')
  await pushManifest(t, app, 'team/app', TWO, 'moved')
  await pushManifest(t, app, 'team/app', BOTH, 'both')
  await pushManifest(t, app, 'team/app', SIGNATURE)
  await pushManifest(t, app, 'other', PLAIN, 'plain')
  await pushBlob(t, app, 'other', { bytes: LARGE.bytes, digest: sha512(LARGE.bytes) })
  await pushManifest(t, app, 'other', ONE, sha512(ONE.bytes))
  await driver.write(uploadDataPath(parseRepositoryName('team/app'), '0190d8a0-1234-7abc-8def-0123456789ab'), Buffer.from('unfinished'))
  return app
}

for (const name of ['files', 'memory']) {
  t.test(`all of a registry lies in ${name} as it lay in files, and a second run finds nothing to do`, async t => {
    const directory = t.testdir({ from: {}, to: {} })
    const files = async (name: string): Promise<StorageDriver> => await FilesystemDriver.open({ rootdirectory: `${directory}/${name}`, fsync: false })
    const from = await files('from')
    await filled(t, from)
    const to = new FaultDriver(name === 'files' ? await files('to') : new MemoryDriver())
    const tree = await storedTree(from)
    for (const part of ['/_layers/sha512/', '/revisions/sha512/', '/_referrers/', '/mediatype', '/index/']) t.ok(Object.keys(tree).some(path => path.includes(part)), part)
    const { failed, ...result } = await copy(from, to)
    t.match(result, { repositories: 2, blobs: { present: 0 }, tags: { copied: 4, present: 0 }, links: { present: 0 }, failures: 0, dangling: 0 })
    t.same(failed, [])
    t.same(await storedTree(to), tree)
    t.same(await storedTree(to, '/oci-registry'), {}, 'nothing is left over')
    to.calls.length = 0
    t.match(await copy(from, to), { blobs: { copied: 0 }, links: { copied: 0, present: result.links.copied }, tags: { copied: 0, present: 4 }, bytes: 0, failures: 0 })
    t.same(to.calls.filter(isWrite).filter(({ path }) => path !== '/oci-registry/copy'), [])
  })
}

t.test('a blob that is damaged is named and not copied, nor are the tags that need it; mended, it comes with the next run', async t => {
  const [from, to] = [new MemoryDriver(), new MemoryDriver()]
  await filled(t, from)
  const [layer] = TWO.blobs.slice(-1)
  if (layer === undefined) throw new Error('no layer')
  await from.write(blobPath(layer.digest), Buffer.alloc(layer.size, 'x'))
  const { failed } = await copy(from, to)
  t.match(failed.shift(), { repository: 'team/app', reference: layer.digest, problem: /^its \d+ bytes in the source are those of sha256:/ })
  t.same(failed.map(({ reference, problem }) => [reference, problem]).sort(), [['both', `not copied, because it needs ${layer.digest}`], ['moved', `not copied, because it needs ${layer.digest}`]])
  t.same(await lackingBehindTags(to), [])
  t.same((await to.list('/docker/registry/v2/repositories/team/app/_manifests/tags')), ['one'])
  t.equal((await storedTree(to))[blobPath(layer.digest)], undefined)
  await from.write(blobPath(layer.digest), layer.bytes)
  t.match(await copy(from, to), { failures: 0, tags: { copied: 2 } })
  t.same(await storedTree(to), await storedTree(from))
})

t.test('a large blob that is damaged is taken back', async t => {
  const [from, to] = [new MemoryDriver(), new MemoryDriver()]
  await filled(t, from)
  await from.write(blobPath(LARGE.digest), Buffer.alloc(LARGE.size))
  t.match((await copy(from, to)).failed.map(({ reference }) => reference).sort(), [LARGE.digest, sha512(LARGE.bytes)])
  t.same(await storedTree(to, '/oci-registry'), {})
})

t.test('links with nothing behind them, as a garbage collection of docker\'s registry leaves them, are left out', async t => {
  const [from, to] = [new MemoryDriver(), new MemoryDriver()]
  await filled(t, from)
  await from.delete(blobPath(LARGE.digest))
  t.match(await copy(from, to), { failures: 0, dangling: 2, tags: { copied: 4 } })
  t.same(await lackingBehindTags(to), [])
})

t.test('killed before any of its writes, the target shows no tag without its content, and the next run completes it', async t => {
  const from = new MemoryDriver()
  await filled(t, from)
  const tree = await storedTree(from)
  let kills = 0
  for (let isOver = false; !isOver; kills++) {
    const to = new FaultDriver(new MemoryDriver())
    let writes = 0
    to.before = call => { if ((isWrite(call) && writes++ >= kills) || writes > kills) throw new Error('killed') }
    const { failures } = await copy(from, to).catch(() => ({ failures: 1 }))
    isOver = failures === 0
    to.before = () => {}
    const lacking = await lackingBehindTags(to)
    if (lacking.length > 0) t.fail('a tag without content', { kills, lacking })
    t.match(await copy(from, to), { failures: 0 })
    const found = await storedTree(to)
    if (JSON.stringify(found) !== JSON.stringify(tree)) t.same(found, tree)
    t.same(await storedTree(to, '/oci-registry'), {})
  }
  t.ok(kills > 40, `${kills} writes`)
})

t.test('what is pushed while it runs does no harm, and comes with the next run', async t => {
  const source = new MemoryDriver()
  const app = await filled(t, source)
  const [from, to] = [new FaultDriver(source), new MemoryDriver()]
  const late = image('late')
  let pushed: Promise<void> | undefined
  // When the tags have been read, and before most of the links are.
  from.before = async ({ operation, path }) => {
    if (operation === 'list' && path.endsWith('team/app/_layers')) await (pushed ??= pushManifest(t, app, 'team/app', late, 'moved').then(async () => { await pushManifest(t, app, 'team/app', late, 'late') }))
  }
  t.match(await copy(from, to), { failures: 0 })
  t.ok(pushed)
  t.same(await lackingBehindTags(to), [])
  t.equal(String(await to.read(tagCurrentPath(parseRepositoryName('team/app'), 'moved' as never))), TWO.digest)
  t.match(await copy(from, to), { failures: 0, tags: { copied: 2 } })
  t.same(await storedTree(to), await storedTree(source))
})

t.test('only the repositories that are named', async t => {
  const [from, to] = [new MemoryDriver(), new MemoryDriver()]
  await filled(t, from)
  t.match(await copy(from, to, { repositories: [parseRepositoryName('other')] }), { repositories: 1, failures: 0 })
  t.same(await to.list('/docker/registry/v2/repositories'), ['other'])
  const tree = Object.entries(await storedTree(from)).filter(([path]) => path.includes('/repositories/other/'))
  t.same(Object.entries(await storedTree(to)).filter(([path]) => path.includes('/repositories/')), tree)
})

t.test('no more than the rate is read', async t => {
  const [from, to] = [new MemoryDriver(), new MemoryDriver()]
  await filled(t, from)
  let now = 0
  const clock = { now: () => now, sleep: async (ms: number) => { now += ms } }
  const { bytes } = await copy(from, to, { rate: 1_000_000, clock: { ...systemClock, ...clock } })
  t.ok(bytes > LARGE.size && now >= bytes / 1000 - 200, `${bytes} bytes in ${now} ms`)
})

t.test('ends when it is told to, and leaves what is complete', async t => {
  const [from, to] = [new MemoryDriver(), new FaultDriver(new MemoryDriver())]
  await filled(t, from)
  const controller = new AbortController()
  to.before = ({ operation, path }) => { if (operation === 'write' && path.endsWith('/link')) controller.abort(new Error('enough')) }
  await t.rejects(copy(from, to, { signal: controller.signal }), { message: 'enough' })
  t.same(await lackingBehindTags(to), [])
})
