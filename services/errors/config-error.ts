/**
 * A configuration the registry cannot start with. Each line of `lines` names a key; the standalone server prints them
 * and exits with status 1, an embedding host gets them as the rejection of `app.ready()`.
 */
export class ConfigError extends Error {
  readonly lines: readonly string[]

  constructor (lines: string | readonly string[], options?: { cause?: unknown }) {
    const all = typeof lines === 'string' ? [lines] : lines
    super(all.join('\n'), options)
    this.name = 'ConfigError'
    this.lines = all
  }
}
