import { GarbageModel } from './garbage-model.js'
import { LATER, blobsIn, collect, isAside, openNamespace } from './garbage-world.js'
import { Interleaving, Random } from './interleaving.js'
import { MemoryDriver } from '../../services/storage/memory.js'

const MINUTE = 60_000

export interface Outcome { readonly steps: number, readonly acknowledged: number, readonly refused: number, readonly read: number, readonly restored: number, readonly deleted: number }

/** Clients, and one collection or two at once, one storage call at a time. Rejects when an acknowledged manifest lacks anything. */
export async function schedule (seed: number): Promise<Outcome> {
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
  await interleaving.run([client, client, reader, ...collectors], { stalls: collectors.length === 1 })
  await model.check()
  for (let run = 2; run < 4; run++) await collect(storage, { deleteUntagged, clock: { now: () => LATER + run * MINUTE } })
  await model.check()
  // Of two at once one may put back the link of an untagged manifest that the other one has just deleted: nobody was promised anything of it.
  const { manifests, content, optional } = await model.reachable(storage, { untaggedCount: collectors.length === 1 || !deleteUntagged })
  const left = { manifests: await model.linked(storage), content: (await blobsIn(storage)).filter(digest => !optional.has(digest)), isAside: await isAside(storage) }
  if (JSON.stringify(left) !== JSON.stringify({ manifests, content, isAside: false })) throw new Error(`left: ${JSON.stringify(left, null, 1)}, reachable: ${JSON.stringify({ manifests, content }, null, 1)}`)
  return { steps: interleaving.steps, ...model.counts, ...totals }
}

/** Says after how many schedules something was lost. */
export async function firstLoss (from: number, count: number): Promise<number | undefined> {
  for (let i = 0; i < count; i++) {
    try {
      await schedule(from + i)
    } catch {
      return i + 1
    }
  }
  return undefined
}
