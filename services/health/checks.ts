import { stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { isPathNotFound } from '../errors/driver-error.js'
import { parseAddress } from '../config/address.js'
import type { StorageDriver } from '../storage/driver.js'

/** What one run of a check does. Rejects when it is not well. */
export type Run = (signal: AbortSignal) => Promise<void>

/** Storage answers; whether it holds anything is another matter. */
export function storageCheck (driver: StorageDriver): Run {
  return async () => {
    try {
      await driver.stat('/')
    } catch (error) {
      if (!isPathNotFound(error)) throw error
    }
  }
}

/** The file is not there: operators make it to take a server out of service. */
export function fileCheck (path: string): Run {
  return async () => {
    const exists = await stat(path).then(() => true, (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false
      throw error
    })
    if (exists) throw new Error('file exists')
  }
}

/** HEAD is answered with the status; redirects are followed. */
export function httpCheck (uri: string, { headers, status }: { readonly headers: Readonly<Record<string, readonly string[]>>, readonly status: number }): Run {
  const fields = Object.entries(headers).flatMap(([name, values]) => values.map((value): [string, string] => [name, value]))
  return async signal => {
    let answered: number
    try {
      answered = (await fetch(uri, { method: 'HEAD', headers: fields, signal })).status
    } catch (error) {
      throw new Error(`error while checking: ${uri}: ${reasonOf(error)}`, { cause: error })
    }
    if (answered !== status) throw new Error(`${uri}: downstream service returned unexpected status: ${answered}`)
  }
}

/** A connection is accepted. */
export function tcpCheck (addr: string): Run {
  return async signal => {
    const address = parseAddress(addr, 'tcp', 'health.tcp.addr')
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ ...address, signal })
      socket.once('connect', () => { resolve() })
      socket.once('error', error => { reject(new Error(`${addr}: connection failed: ${reasonOf(error)}`, { cause: error })) })
      socket.once('connect', () => { socket.destroy() })
    })
  }
}

/** `fetch` keeps to itself in its message what went wrong; of several addresses the first one is told. */
function reasonOf (error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return error.cause === undefined ? error.message : reasonOf(error.cause)
}
