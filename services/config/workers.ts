import { availableParallelism } from 'node:os'

/** How many processes `http.workers` means: a number, or `auto` for one per core. */
export function workerCount (workers: string): number {
  return workers === 'auto' ? availableParallelism() : Number(workers)
}
