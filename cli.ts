#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { serve } from './serve.js'
import { ConfigError } from './services/errors/config-error.js'

const USAGE = `oci-registry: an OCI container registry

Usage:
  oci-registry serve [CONFIG.yml]   serve; without a file on 127.0.0.1:5000, data in ./data
  oci-registry --version
  oci-registry --help
`

/** Runs a command line and says how the process is to end: an exit status, or undefined while it serves. */
async function main (args: string[]): Promise<number | undefined> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } }
  })
  const [command, file, ...rest] = positionals
  if (values.version === true) return say(`oci-registry ${version()}\n`)
  if (values.help === true || command === undefined || command === 'help') return say(USAGE)
  if (command !== 'serve') throw new UsageError(`unknown command: ${command}`)
  if (rest.length > 0) throw new UsageError(`too many arguments: ${rest.join(' ')}`)
  await serve(file)
  return undefined
}

class UsageError extends Error {}

function say (text: string): number {
  process.stdout.write(text)
  return 0
}

function version (): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
  return version
}

/** What the user can put right is one line; only a bug of ours shows a stack. */
function explain (error: unknown): string {
  const isArgument = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  if (error instanceof ConfigError) return error.message
  if (error instanceof UsageError || isArgument) return `${(error as Error).message.split('\n')[0]} (see oci-registry --help)`
  return error instanceof Error ? error.stack ?? error.message : String(error)
}

try {
  const status = await main(process.argv.slice(2))
  if (status !== undefined) process.exitCode = status
} catch (error) {
  process.stderr.write(`oci-registry: ${explain(error)}\n`)
  process.exitCode = 1
}
