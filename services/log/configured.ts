import type { RegistryConfig } from '../../schemas/config/index.js'
import type { AccessFormatName } from './access-line.js'

/** `log.accesslog.format`; without it combined, or the JSON that the rest of the log is written in. */
export function accessFormatName ({ formatter, accesslog: { format } }: RegistryConfig['log']): AccessFormatName {
  if (format === 'combined') return 'combined'
  if (formatter === 'text') return format ?? 'combined'
  return formatter
}
