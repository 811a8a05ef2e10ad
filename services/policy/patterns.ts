import picomatch from 'picomatch'

/** `team/**` is what lies below `team`, and not `team` itself. */
const GLOB = { dot: true, nonegate: true, noextglob: true, strictSlashes: true } as const

/** Whether one of the globs matches all of a text: `*` is any part between slashes, `**` anything. */
export function matcherOf (patterns: readonly string[]): (text: string) => boolean {
  const matchers = patterns.map(pattern => pattern === '**' ? () => true : picomatch(pattern, GLOB))
  return text => matchers.some(matches => matches(text))
}
