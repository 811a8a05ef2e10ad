import type { StorageDriver } from '../storage/driver.js'
import { withoutSecrets } from './error-text.js'
import type { Log } from './log.js'
import { goDuration } from './request-fields.js'

/** What docker's registry calls them. */
const ACTIONS: Readonly<Record<string, string>> = {
  read: 'GetContent',
  write: 'PutContent',
  createReadStream: 'Reader',
  openWriter: 'Writer',
  stat: 'Stat',
  list: 'List',
  move: 'Move',
  delete: 'Delete',
  redirectUrl: 'RedirectURL'
}

/**
 * The driver, with a line at level debug for each call, as docker's registry writes them:
 * `filesystem.Stat("/docker/registry/…")`, with `trace.duration`, and `err.message` where it failed. To be put in front
 * of a driver while somebody looks for a mistake: whatever a driver offers is passed on.
 */
export function loggedDriver (driver: StorageDriver, log: Log): StorageDriver {
  return new Proxy(driver, {
    get (target, key) {
      // Left out, so that all that is read is read by `read`, and told.
      if (key === 'readNow') return undefined
      const member: unknown = Reflect.get(target, key, target)
      if (typeof member !== 'function') return member
      const action = typeof key === 'string' ? ACTIONS[key] : undefined
      if (action === undefined) return member.bind(target) as unknown
      return (path: string, ...rest: unknown[]): unknown => {
        const began = performance.now()
        const tell = (error?: unknown): void => {
          const failure = error === undefined ? {} : { 'err.message': withoutSecrets(error instanceof Error ? error.message : String(error)) }
          log.debug({ 'trace.duration': goDuration(performance.now() - began), ...failure }, `${target.name}.${action}(${JSON.stringify(path)})`)
        }
        const result: unknown = Reflect.apply(member, target, [path, ...rest])
        if (result instanceof Promise) result.then(() => { tell() }, tell)
        else tell()
        return result
      }
    }
  })
}
