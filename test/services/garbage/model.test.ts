import t from 'tap'
import { ManifestContents } from '../../../services/registry/manifest-contents.js'
import { Publication } from '../../../services/registry/publication.js'
import { Quarantine } from '../../../services/garbage/quarantine.js'
import { WithdrawnManifests } from '../../../services/garbage/withdrawn-manifests.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { GarbageModel } from '../../helpers/garbage-model.js'
import { LATER, blobsIn, collect, isAside, openNamespace } from '../../helpers/garbage-world.js'
import { Interleaving, Random } from '../../helpers/interleaving.js'

const SCHEDULES = Number(process.env['SCHEDULES'] ?? 10_000)
const MINUTE = 60_000

interface Outcome { readonly steps: number, readonly acknowledged: number, readonly refused: number, readonly read: number, readonly restored: number, readonly deleted: number }

/** Clients, and one collection or two at once, one storage call at a time. Rejects when an acknowledged manifest lacks anything. */
async function schedule (seed: number): Promise<Outcome> {
  const random = new Random(seed)
  const deleteUntagged = random.chance(0.5)
  const movesInTwo = random.chance(0.4)
  const storage = new MemoryDriver()
  const interleaving = new Interleaving(random)
  const driver = interleaving.driver(storage, { movesInTwo })
  const namespaces = random.chance(0.5) ? [openNamespace(driver)] : [openNamespace(driver), openNamespace(driver)]
  const model = new GarbageModel(namespaces, random, { deleteUntagged })
  const totals = { restored: 0, deleted: 0 }
  const client = async (): Promise<void> => { for (let i = 0; i < 2; i++) await model.act() }
  const reader = async (): Promise<void> => { for (let i = 0; i < 2; i++) await model.look() }
  const collector = async (number: number): Promise<void> => {
    for (let run = 0; run < 2; run++) {
      const result = await collect(driver, { deleteUntagged, graceMs: random.of([0, MINUTE]), clock: { now: () => LATER + run * MINUTE + number } })
      totals.restored += result.blobs.restored + result.manifests.restored
      totals.deleted += result.blobs.deleted + result.manifests.deleted
    }
  }
  // One storage call of a collection does not outlast the grace period; of two with none, where a move is two calls, it may.
  const collectors = Array.from({ length: movesInTwo || random.chance(0.7) ? 1 : 2 }, (_, number) => async () => { await collector(number) })
  for (let i = 0; i < 2; i++) await model.abandon()
  await model.act()
  await interleaving.run([client, client, reader, ...collectors])
  await model.check()
  for (let run = 2; run < 4; run++) await collect(storage, { deleteUntagged, clock: { now: () => LATER + run * MINUTE } })
  await model.check()
  const { manifests, content } = await model.reachable(storage)
  const left = { manifests: await model.linked(storage), content: await blobsIn(storage), isAside: await isAside(storage) }
  if (JSON.stringify(left) !== JSON.stringify({ manifests, content, isAside: false })) throw new Error(`left: ${JSON.stringify(left, null, 1)}, reachable: ${JSON.stringify({ manifests, content }, null, 1)}`)
  return { steps: interleaving.steps, ...model.counts, ...totals }
}

/** Says after how many schedules something was lost. */
async function firstLoss (from: number, count: number): Promise<number | undefined> {
  for (let i = 0; i < count; i++) {
    try {
      await schedule(from + i)
    } catch {
      return i + 1
    }
  }
  return undefined
}

t.setTimeout(600_000)
// Storage often says that something is missing; where it said so matters to nobody here.
Error.stackTraceLimit = 3

const seed = Number(process.env['SEED'] ?? 1)

t.test(`in ${SCHEDULES} schedules from seed ${seed} no acknowledged manifest lacks anything, and what is unreachable is gone two runs later`, async t => {
  const sums: Record<string, number> = {}
  for (let i = 0; i < SCHEDULES; i++) {
    try {
      for (const [key, value] of Object.entries(await schedule(seed + i))) sums[key] = (sums[key] ?? 0) + value
    } catch (error) {
      t.fail(`SEED=${seed + i}: ${(error as Error).message}`)
      return
    }
  }
  // Nothing of it is proved where nothing of the kind happened.
  for (const [key, sum] of Object.entries(sums)) t.ok(sum > SCHEDULES / 100, `${key}: ${sum}`)
})

// A test that cannot fail proves nothing: without each of these something is lost.
const WEAKENED: ReadonlyArray<readonly [what: string, weaken: () => () => void]> = [
  ['without the last look at what a manifest needs', () => replace(Publication.prototype, 'confirm', async () => {})],
  ['when a push trusts its memory for the bytes of a manifest', () => replace(ManifestContents.prototype, 'keep', async () => {})],
  ['when no manifest is put back', () => replace(WithdrawnManifests.prototype, 'putBack', async () => false)],
  ['when nobody puts content back', () => replace(Quarantine.prototype, 'restore', async () => false)]
]

function replace<T, K extends keyof T> (target: T, key: K, by: T[K]): () => void {
  const original = target[key]
  target[key] = by
  return () => { target[key] = original }
}

for (const [what, weaken] of WEAKENED) {
  t.test(`${what}, something is lost`, async t => {
    t.teardown(weaken())
    const found = await firstLoss(seed, 2000)
    t.ok(found !== undefined, `after ${String(found)} schedules`)
  })
}
