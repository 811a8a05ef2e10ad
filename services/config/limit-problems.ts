import type { RegistryConfig } from '../../schemas/config/index.js'
import { parseDuration } from './duration.js'

/** What the schema cannot say of `http.limits`. One line each. */
export function limitProblems ({ requests, eventloopdelay, retryafter }: RegistryConfig['http']['limits']): string[] {
  const least: ReadonlyArray<readonly [key: string, value: string, ms: number]> = [
    ['requests.interval', requests.interval, 1],
    ['eventloopdelay', eventloopdelay, 0],
    ['retryafter', retryafter, 0]
  ]
  return least.filter(([, value, ms]) => parseDuration(value) < ms)
    .map(([key, value, ms]) => `http.limits.${key}: ${ms === 0 ? 'nothing below 0s' : 'at least 1ms'} is needed, not ${JSON.stringify(value)}`)
}
