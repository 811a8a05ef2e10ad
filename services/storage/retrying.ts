import { setTimeout } from 'node:timers/promises'

/** The first attempt and four more, as for S3. */
const MAX_ATTEMPTS = 5
const PAUSE_MS = 100
const TRANSIENT: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

/** Whether a store that answered with the status may answer otherwise in a moment. */
export function isTransientStatus (status: number): boolean {
  return TRANSIENT.has(status)
}

/** Tries again, with growing, jittered pauses, as long as the error may pass by itself. */
export async function retrying<T> (operation: () => Promise<T>, isTransient: (error: unknown) => boolean, signal?: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await operation()
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || signal?.aborted === true || !isTransient(error)) throw error
    }
    const longest = PAUSE_MS * 2 ** attempt
    await setTimeout(longest / 2 + Math.random() * longest / 2, undefined, signal === undefined ? {} : { signal })
  }
}
