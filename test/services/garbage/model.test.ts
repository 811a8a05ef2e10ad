import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { ManifestContents } from '../../../services/registry/manifest-contents.js'
import { Publication } from '../../../services/registry/publication.js'
import { Quarantine } from '../../../services/garbage/quarantine.js'
import { WithdrawnManifests } from '../../../services/garbage/withdrawn-manifests.js'
import { firstLoss } from '../../helpers/garbage-schedule.js'
import type { Schedules, Sums } from '../../helpers/garbage-schedules.js'

const SCHEDULES = Number(process.env['SCHEDULES'] ?? 10_000)
t.setTimeout(600_000)
// Storage often says that something is missing; where it said so matters to nobody here.
Error.stackTraceLimit = 3

const seed = Number(process.env['SEED'] ?? 1)

/** In a thread of its own: tap follows every promise of this one, which takes three times as long. */
async function run (from: number, count: number): Promise<Sums | string> {
  const worker = new Worker(new URL('../../helpers/garbage-schedules.js', import.meta.url), { workerData: { from, count } satisfies Schedules, execArgv: [] })
  const [result] = await once(worker, 'message') as [Sums | string]
  return result
}

t.test(`in ${SCHEDULES} schedules from seed ${seed} no acknowledged manifest lacks anything, and what is unreachable is gone two runs later`, async t => {
  const half = Math.ceil(SCHEDULES / 2)
  const parts = await Promise.all([run(seed, half), run(seed + half, SCHEDULES - half)])
  const sums: Sums = {}
  for (const part of parts) {
    if (typeof part === 'string') t.fail(part)
    else for (const [key, sum] of Object.entries(part)) sums[key] = (sums[key] ?? 0) + sum
  }
  // Nothing of it is proved where nothing of the kind happened.
  for (const [key, sum] of Object.entries(sums)) t.ok(sum > 0, `${key}: ${sum}`)
})

// A test that cannot fail proves nothing: without each of these something is lost.
const WEAKENED: ReadonlyArray<readonly [what: string, weaken: () => () => void]> = [
  ['without the last look at what a manifest needs', () => replace(Publication.prototype, 'confirm', async () => {})],
  ['when a push trusts its memory for the bytes of a manifest', () => {
    const { holds } = ManifestContents.prototype
    const undo = [
      replace(ManifestContents.prototype, 'keep', async () => {}),
      replace(ManifestContents.prototype, 'holds', async function (this: ManifestContents, digest, bytes) {
        return this.recent(digest) !== undefined || await holds.call(this, digest, bytes)
      })
    ]
    return () => { for (const back of undo) back() }
  }],
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
