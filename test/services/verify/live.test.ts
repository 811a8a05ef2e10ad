import t from 'tap'
import { parseReference } from '../../../services/reference/reference.js'
import { blobPath, linkPath, tagCurrentPath } from '../../../services/registry/layout.js'
import type { Repository } from '../../../services/registry/types.js'
import { parseTag } from '../../../services/reference/reference.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { FaultDriver } from '../../helpers/fault-driver.js'
import { image, sha256 } from '../../helpers/images.js'
import { NAME, open, push, pushBlob, stored, verified } from '../../helpers/verified.js'

const first = image('first')
const [, layer] = first.blobs
const LAYER = layer?.digest ?? sha256('none')
const BYTES = layer?.bytes ?? Buffer.alloc(0)
const LATEST = parseTag('latest')
/** Real time, but the second look comes soon. */
const NOW = { now: Date.now, sleep: async (ms: number): Promise<void> => { await new Promise(resolve => setTimeout(resolve, Math.min(ms, 20))) } }

t.test('what was written within the grace period is not judged, whatever it looks like', async t => {
  const driver = new MemoryDriver()
  await push(open(driver), first)
  await driver.write(linkPath(NAME, '_layers', sha256('on its way')), Buffer.from(sha256('on its way')))
  await driver.write(blobPath(sha256('half')), Buffer.from('ha'))
  await driver.write(tagCurrentPath(NAME, parseTag('new')), Buffer.from(sha256('on its way')))
  const before = await stored(driver)
  const { result, lines } = await verified(driver, { repair: true, clock: NOW })
  t.same(lines, [])
  t.match(result, { corrupt: 0, missing: 0, orphaned: 0, repaired: 0, young: 4 })
  t.same(await stored(driver), before)
})

t.test('what is right at the second look is not reported', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  await push(open(driver), first)
  await driver.delete(blobPath(LAYER))
  const clock = { now: () => Date.now() + 3_600_000, sleep: async () => { await driver.write(blobPath(LAYER), BYTES) } }
  const { lines, result } = await verified(driver, { repair: true, clock })
  t.same(lines, [])
  t.match(result, { missing: 0, repaired: 0 })
})

t.test('a call to storage that fails once is no finding; one that fails twice is one, and nothing is repaired', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  await push(open(driver), first)
  let failures = 1
  driver.before = ({ operation, path }) => { if (operation === 'createReadStream' && path === blobPath(LAYER) && failures-- > 0) throw new Error('EIO') }
  t.same((await verified(driver, { repair: true })).lines, [])
  failures = 2
  const { lines, result } = await verified(driver, { repair: true })
  t.equal(lines.length, 1)
  t.match(lines[0], /^corrupt: sha256:.*: cannot be read: .*EIO/)
  t.match(result, { corrupt: 1, errors: 1, repaired: 0 })
  t.ok((await driver.read(blobPath(LAYER))).equals(BYTES))
})

for (const [what, come] of [
  ['is written again', async (driver: FaultDriver) => { await driver.write(linkPath(NAME, '_layers', LAYER), Buffer.from(LAYER)) }],
  ['gets its content back', async (driver: FaultDriver) => { await driver.write(blobPath(LAYER), BYTES) }]
] as const) {
  t.test(`a dangling link that ${what} in the moment it is set aside is put back`, async t => {
    const driver = new FaultDriver(new MemoryDriver())
    await pushBlob(open(driver), BYTES, LAYER)
    await driver.delete(blobPath(LAYER))
    let moves = 0
    driver.before = async ({ operation, path }) => {
      if (operation !== 'move' || !path.endsWith('/link') || moves++ > 0) return
      await new Promise(resolve => setTimeout(resolve, 2)) // a write in the same millisecond has the same time
      await come(driver)
    }
    const { lines, result } = await verified(driver, { repair: true })
    t.equal(moves > 0, true)
    t.match(lines, [/^orphaned: .*nothing needs$/])
    t.match(result, { repaired: 0, quarantine: null })
    t.equal((await driver.read(linkPath(NAME, '_layers', LAYER))).toString(), LAYER)
  })
}

t.test('a corrupt blob that is pushed again in the moment it is set aside stays', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  await push(open(driver), first)
  await driver.write(blobPath(LAYER), Buffer.from('rotten'))
  driver.before = async ({ operation, path }) => {
    if (operation === 'move' && path === blobPath(LAYER)) await driver.write(blobPath(LAYER), BYTES)
  }
  await verified(driver, { repair: true })
  t.ok((await driver.read(blobPath(LAYER))).equals(BYTES))
})

t.test('a dangling tag that is pushed again in the moment it is set aside points to what was pushed', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  const repository = open(driver)
  await push(repository, first)
  await driver.write(tagCurrentPath(NAME, LATEST), Buffer.from(sha256('gone')))
  const second = image('second')
  let moves = 0
  driver.before = async ({ operation }) => {
    if (operation === 'move' && moves++ === 0) {
      driver.before = () => {}
      await new Promise(resolve => setTimeout(resolve, 2))
      await push(repository, second)
    }
  }
  const { lines } = await verified(driver, { repair: true })
  t.equal(moves, 1)
  t.match(lines, [/^missing: team\/app:latest: /])
  const { descriptor } = await repository.manifests.get({ tag: LATEST })
  t.equal(descriptor.digest, second.digest)
})

t.test('a manifest that is deleted between the looks is no finding', async t => {
  const driver = new MemoryDriver()
  const repository = open(driver)
  await push(repository, first)
  await driver.delete(blobPath(LAYER))
  const clock = { now: () => Date.now() + 3_600_000, sleep: async () => { await repository.manifests.delete(parseReference(first.digest)).catch(() => {}) } }
  const { result } = await verified(driver, { clock })
  t.match(result, { missing: 0 })
})

t.test('repairs beside clients that push, tag and delete: everything acknowledged stays', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  driver.before = async ({ operation }) => { if (operation === 'write' || operation === 'move') await new Promise(resolve => setTimeout(resolve, 1)) }
  const repository = open(driver)
  const kept = new Map<string, ReturnType<typeof image>>()
  const over = new AbortController()
  const client = async (number: number): Promise<void> => {
    for (let round = 0; !over.signal.aborted; round++) {
      const manifest = image(`${number}/${round}`)
      await push(repository, manifest, `tag-${number}`)
      kept.set(`tag-${number}`, manifest)
      if (round % 3 === 2) {
        kept.delete(`tag-${number}`)
        await repository.manifests.delete(parseReference(manifest.digest))
        for (const { digest } of manifest.blobs) await repository.blobs.delete(digest)
      }
    }
  }
  const clients = [0, 1, 2, 3].map(client)
  for (let run = 0; run < 40; run++) {
    const { result } = await verified(driver, { repair: true, clock: NOW, graceMs: 500 })
    t.match(result, { corrupt: 0, missing: 0, errors: 0 })
  }
  over.abort()
  await Promise.all(clients)
  for (const [tag, manifest] of kept) await pullable(repository, tag, manifest)
  t.ok(kept.size > 0)
  t.same((await verified(driver)).lines.filter(line => !line.startsWith('orphaned')), [])
})

async function pullable (repository: Repository, tag: string, manifest: ReturnType<typeof image>): Promise<void> {
  const { bytes } = await repository.manifests.get({ tag: parseTag(tag) })
  if (!bytes.equals(manifest.bytes)) throw new Error(`${tag} is another manifest`)
  for (const { digest, size } of manifest.blobs) {
    if ((await repository.blobs.stat(digest)).size !== size) throw new Error(`${digest} has another size`)
  }
}
