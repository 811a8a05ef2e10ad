import type { RegistryConfig } from '../../schemas/config/index.js'
import { parseDuration } from '../config/duration.js'
import type { StorageDriver } from '../storage/driver.js'
import type { HealthCheck } from './check.js'
import { fileCheck, httpCheck, storageCheck, tcpCheck } from './checks.js'
import type { Run } from './checks.js'

const DEFAULT_INTERVAL_MS = 10_000

interface Timing { readonly interval: string, readonly timeout?: string, readonly threshold?: number | undefined }

/** The checks of a configuration, under the names that docker's registry gives them. */
export function configuredChecks ({ storagedriver, file, http, tcp }: RegistryConfig['health'], driver: StorageDriver): HealthCheck[] {
  return [
    ...storagedriver.enabled ? [check(`storagedriver_${driver.name}`, storageCheck(driver), storagedriver)] : [],
    ...file.map(({ file: path, interval }) => check(path, fileCheck(path), { interval })),
    ...http.map(options => check(options.uri, httpCheck(options.uri, { headers: options.headers, status: options.statuscode }), options)),
    ...tcp.map(options => check(options.addr, tcpCheck(options.addr), options))
  ]
}

/** As in docker's registry an interval of nothing or less is the default. */
function check (name: string, run: Run, { interval, timeout = '0s', threshold = 0 }: Timing): HealthCheck {
  const configured = parseDuration(interval)
  const intervalMs = configured > 0 ? configured : DEFAULT_INTERVAL_MS
  const limit = parseDuration(timeout)
  return { name, run, intervalMs, threshold, timeoutMs: limit > 0 ? limit : intervalMs }
}
