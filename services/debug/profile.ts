import { Session } from 'node:inspector/promises'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { getHeapSnapshot } from 'node:v8'

/** Longest CPU profile, in seconds. */
export const MAX_PROFILE_SECONDS = 60

/**
 * What the CPU did from now on, as the text of a `.cpuprofile`. Profiling costs some speed while it lasts; the signal
 * ends it early.
 */
export async function cpuProfile (seconds: number, signal: AbortSignal): Promise<string> {
  const session = new Session()
  session.connect()
  try {
    await session.post('Profiler.enable')
    await session.post('Profiler.start')
    await sleep(seconds * 1000, undefined, { signal, ref: false }).catch(() => {})
    const { profile } = await session.post('Profiler.stop')
    return JSON.stringify(profile)
  } finally {
    session.disconnect()
  }
}

/**
 * Everything in memory, as a `.heapsnapshot`. The process stands still while it is taken, and needs about as much memory
 * again. It holds whatever the process holds, secrets included.
 */
export function heapSnapshot (): Readable {
  return getHeapSnapshot()
}
