import { readFileSync } from 'node:fs'

/** Version of this package. */
export const packageVersion: string = read()

function read (): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  return version
}
