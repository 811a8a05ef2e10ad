import type { RegistryConfig } from '../../schemas/config/index.js'
import { cacheWarnings } from '../cache/configured.js'
import { redisWarnings } from '../redis/options.js'

/**
 * What is asked for and not built yet, where leaving it out would change what the registry does: who may come in, where
 * data lies, who is told. One line each.
 */
export function unsupported (config: RegistryConfig): string[] {
  const { middleware, proxy } = config
  const wanted: Record<string, boolean> = {
    'middleware.storage (cloudfront)': middleware.storage.some(({ name, disabled }) => name === 'cloudfront' && !disabled),
    'proxy.remoteurl': proxy.remoteurl !== undefined && proxy.remoteurl !== ''
  }
  return lines(wanted, 'is not supported yet')
}

/** What is asked for and has no effect, or another name by now; nothing that clients would notice. One line each. */
export function configWarnings (config: RegistryConfig): string[] {
  const { log, loglevel, redis, reporting, compatibility } = config
  return [
    ...lines({ 'log.hooks': log.hooks.some(({ disabled }) => disabled !== true) }, 'no mail is sent; watch the log with your log pipeline instead'),
    ...lines({ reporting: reporting !== undefined, compatibility: compatibility !== undefined }, 'was removed in registry 3 and has no effect'),
    ...cacheWarnings(config),
    ...redisWarnings(redis),
    ...(loglevel === undefined ? [] : ['loglevel: is the old name of log.level'])
  ]
}

function lines (keys: Readonly<Record<string, boolean>>, text: string): string[] {
  return Object.entries(keys).filter(([, isWanted]) => isWanted).map(([key]) => `${key}: ${text}`)
}
