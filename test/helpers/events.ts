import type { Clock } from '../../services/notifications/delivery.js'
import type { EventAction, RegistryEvent } from '../../services/notifications/event.js'
import type { Serialized } from '../../services/notifications/queue.js'
import type { Log } from '../../services/log/log.js'
import type { Digest, RepositoryName, Tag } from '../../services/reference/reference.js'

/** An event with fixed fields and this id. */
export function event (id: string, action: EventAction = 'push', tag = id): RegistryEvent {
  return {
    id,
    timestamp: '2026-01-02T03:04:05.678Z',
    action,
    target: {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: `sha256:${'a'.repeat(64)}` as Digest,
      size: 7,
      length: 7,
      repository: 'team/app' as RepositoryName,
      url: `http://registry.example/v2/team/app/manifests/sha256:${'a'.repeat(64)}`,
      tag: tag as Tag
    },
    request: { id: 'req-1', addr: '10.0.0.1:5000', host: 'registry.example', method: 'PUT', useragent: 'test' },
    actor: { name: 'somebody' },
    source: { addr: 'node:5000', instanceID: '00000000-0000-4000-8000-000000000000' }
  }
}

export function serialized (...ids: string[]): Serialized[] {
  return ids.map(id => {
    const made = event(id)
    return { event: made, json: JSON.stringify(made) }
  })
}

/** `e0`, `e1`, … */
export function ids (count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => `e${from + i}`)
}

/** Time that passes when somebody sleeps, and is noted. */
export class FakeClock implements Clock {
  time = Date.parse('2026-01-02T03:04:06.678Z')
  readonly slept: number[] = []

  now (): number {
    return this.time
  }

  async sleep (ms: number, signal: AbortSignal): Promise<void> {
    // Real time goes on too, so that what is done in turns does not starve the rest.
    await new Promise<void>(resolve => { setImmediate(resolve) })
    if (signal.aborted) return
    this.slept.push(ms)
    this.time += ms
  }
}

export interface LogLine { readonly level: string, readonly fields: Record<string, unknown>, readonly message: string }

/** Keeps what was logged. */
export function recordingLog (): { log: Log, lines: LogLine[] } {
  const lines: LogLine[] = []
  const at = (level: string) => (fields: object, message: string) => { lines.push({ level, fields: fields as Record<string, unknown>, message }) }
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } as Log }
}
