import { writeSync } from 'node:fs'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { accessFormat } from './access-line.js'
import { AccessLog } from './access-log.js'
import { accessFormatName } from './configured.js'
import type { StandaloneLog } from './logger.js'

/** The access log of the standalone server, on standard output; undefined where there is none. */
export function openAccessLog (config: RegistryConfig['log'], { base, logger }: StandaloneLog): AccessLog | undefined {
  if (config.accesslog.disabled) return undefined
  const access = new AccessLog({ format: accessFormat(accessFormatName(config), base), stream: process.stdout, log: logger })
  process.on('exit', () => { access.flushSync(writeNow) })
  return access
}

/** The process ends: a pipe that is full or closed is left. */
function writeNow (text: string): void {
  try {
    writeSync(1, text)
  } catch {}
}
