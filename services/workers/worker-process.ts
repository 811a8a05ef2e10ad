import cluster from 'node:cluster'
import { ConfigError } from '../errors/config-error.js'
import { isOurs } from './messages.js'
import type { ToPrimary, ToWorker } from './messages.js'
import { RelayedWorkers } from './relayed-workers.js'

/** A worker's tie to its primary process. */
export interface WorkerProcess {
  readonly workers: RelayedWorkers
  /** Tells that it listens, and where. */
  ready (url: string): void
  /** Tells why it cannot start, and ends the process with status 1. */
  failed (error: unknown): void
  /** Called once, when the primary process says so or is gone. */
  onStop (handler: () => void): void
}

/** Makes this process one of `count` workers of its primary process. */
export function joinAsWorker (count: number): WorkerProcess {
  // Of the primary process too, when the terminal or the service manager signals the whole group.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})
  const send = (message: ToPrimary): void => {
    // An error is that the primary process is gone, which `disconnect` tells.
    if (process.connected) process.send?.(message, undefined, undefined, () => {})
  }
  const workers = new RelayedWorkers({ id: cluster.worker?.id ?? 1, count, send })
  let stop: (() => void) | undefined
  let isStopping = false
  const onEnd = (): void => {
    if (isStopping) return
    isStopping = true
    stop?.()
  }
  process.on('message', (message: unknown) => {
    if (!isOurs<ToWorker>(message)) return
    if (message.oci === 'stop') onEnd()
    else workers.receive(message)
  })
  process.on('disconnect', onEnd)
  return {
    workers,
    ready: url => { send({ oci: 'listening', url }) },
    failed: error => {
      const lines = error instanceof ConfigError ? error.lines : [error instanceof Error ? error.stack ?? error.message : String(error)]
      process.send?.({ oci: 'fatal', lines }, undefined, undefined, () => { process.exit(1) })
    },
    onStop: handler => { stop = handler }
  }
}
