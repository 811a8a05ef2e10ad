import type { EndpointSettings, EndpointStats } from './endpoint.js'

const MASKED = '***'

/**
 * An endpoint as `/debug/vars` of docker's registry shows it, durations in nanoseconds; without what is secret, and with
 * what it does not have: `Dropped`, `OldestSeconds`, `LastError`.
 */
export function endpointVariables (settings: EndpointSettings, stats: EndpointStats): object {
  const { name, url, headers, timeout, threshold, backoff, ignore: { mediatypes, actions } } = settings
  const { pending, events, successes, failures, errors, statuses, dropped, oldestSeconds, lastError } = stats
  return {
    name,
    url: maskedUrl(url),
    Headers: Object.fromEntries(Object.entries(headers).map(([header, values]) => [header, values.map(() => MASKED)])),
    Timeout: timeout * 1e6,
    Threshold: threshold,
    Backoff: backoff * 1e6,
    IgnoredMediaTypes: mediatypes,
    Ignore: { MediaTypes: mediatypes, Actions: actions },
    Metrics: {
      Pending: pending,
      Events: events,
      Successes: successes,
      Failures: failures,
      Errors: errors,
      Statuses: statuses,
      Dropped: dropped,
      OldestSeconds: oldestSeconds,
      LastError: lastError ?? null
    }
  }
}

/** Names and passwords, and what a query may hold, are nobody's business. */
export function maskedUrl (text: string): string {
  const url = new URL(text)
  if (url.username !== '') url.username = MASKED
  if (url.password !== '') url.password = MASKED
  for (const key of new Set(url.searchParams.keys())) url.searchParams.set(key, MASKED)
  return url.href
}
