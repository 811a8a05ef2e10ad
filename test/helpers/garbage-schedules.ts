import { parentPort, workerData } from 'node:worker_threads'
import { schedule } from './garbage-schedule.js'

/** Which seeds to run. */
export interface Schedules { readonly from: number, readonly count: number }

/** What happened in all schedules together. */
export type Sums = Record<string, number>

// Storage often says that something is missing; where it said so matters to nobody here.
Error.stackTraceLimit = 3

/** Ends with the seed and the message of the first schedule that lost something. */
async function schedules ({ from, count }: Schedules): Promise<Sums | string> {
  const sums: Sums = {}
  for (let seed = from; seed < from + count; seed++) {
    try {
      for (const [key, value] of Object.entries(await schedule(seed))) sums[key] = (sums[key] ?? 0) + value
    } catch (error) {
      return `SEED=${seed}: ${(error as Error).message}`
    }
  }
  return sums
}

parentPort?.postMessage(await schedules(workerData as Schedules))
