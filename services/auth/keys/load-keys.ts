import { readFile, stat } from 'node:fs/promises'
import { clientAttributes } from '../../tracing/client-attributes.js'
import type { Tracing } from '../../tracing/tracing.js'

const MAX_BYTES = 1024 * 1024
const TIMEOUT_MS = 5000

/** Reads a file when it is another than last time. */
export function fileLoader (path: string): () => Promise<string | undefined> {
  let seen = ''
  return async () => {
    const { mtimeMs, size, ino } = await stat(path)
    const version = `${mtimeMs} ${size} ${ino}`
    if (version === seen) return undefined
    const text = await readFile(path, 'utf8')
    seen = version
    return text
  }
}

export interface UrlLoaderOptions {
  readonly timeoutMs?: number
  readonly maxBytes?: number
  readonly tracing?: Tracing | undefined
}

/** Reads a URL within bounds: 5 seconds, 1 MiB, no redirects to elsewhere. */
export function urlLoader (url: string, { timeoutMs = TIMEOUT_MS, maxBytes = MAX_BYTES, tracing }: UrlLoaderOptions = {}): () => Promise<string> {
  const load = async (): Promise<string> => {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs), headers: { accept: 'application/jwk-set+json, application/json', ...tracing?.headers() } })
    if (!response.ok) {
      await response.body?.cancel()
      throw new Error(`the server answered ${response.status}`)
    }
    const parts: Uint8Array[] = []
    let bytes = 0
    // Leaving the loop cancels the rest.
    for await (const part of response.body ?? []) {
      bytes += (part as Uint8Array).length
      if (bytes > maxBytes) throw new Error(`the key set has more than ${maxBytes} bytes`)
      parts.push(part as Uint8Array)
    }
    return Buffer.concat(parts).toString('utf8')
  }
  if (tracing === undefined) return load
  const step = { name: 'load key set', kind: 'client', attributes: clientAttributes('GET', url) } as const
  return async () => await tracing.step(step, load)
}
