#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { serve } from './serve.js'
import { effectiveConfig } from './services/config/effective.js'
import { loadConfig } from './services/config/load.js'
import type { ConfigSources } from './services/config/load.js'
import { configWarnings } from './services/config/supported.js'
import { ConfigError } from './services/errors/config-error.js'

const USAGE = `oci-registry: an OCI container registry

Usage:
  oci-registry serve [options] [CONFIG.yml]   serve; without a file on 127.0.0.1:5000, data in ./data
  oci-registry check [options] [CONFIG.yml]   check the configuration and print it, with the origin of each value
  oci-registry --version
  oci-registry --help

Options:
  --set KEY=VALUE   a value of the configuration, for example --set http.addr=:5001; may be repeated
  --strict          a key that does not exist is an error, not a warning

The environment variable REGISTRY_CONFIGURATION_PATH names the file too; REGISTRY_HTTP_ADDR and its like
set single values over those of the file.
`

/** Runs a command line and says how the process is to end: an exit status, or undefined while it serves. */
async function main (args: string[]): Promise<number | undefined> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean', short: 'v' },
      set: { type: 'string', multiple: true },
      strict: { type: 'boolean' }
    }
  })
  const [command, file, ...rest] = positionals
  if (values.version === true) return say(`oci-registry ${version()}\n`)
  if (values.help === true || command === undefined || command === 'help') return say(USAGE)
  if (command !== 'serve' && command !== 'check') throw new UsageError(`unknown command: ${command}`)
  if (rest.length > 0) throw new UsageError(`too many arguments: ${rest.join(' ')}`)
  const sources = { file, environment: process.env, settings: values.set ?? [], strict: values.strict ?? false }
  if (command === 'check') return await check(sources)
  await serve(await loadConfig(sources))
  return undefined
}

async function check (sources: ConfigSources): Promise<number> {
  const { config, warnings, origins } = await loadConfig(sources)
  for (const warning of [...warnings, ...configWarnings(config)]) process.stderr.write(`oci-registry: warning: ${warning}\n`)
  return say(effectiveConfig(config, origins))
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

/** What the user can put right is a line each; only a bug of ours shows a stack. */
function explain (error: unknown): readonly string[] {
  const isArgument = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  if (error instanceof ConfigError) return error.lines
  if (error instanceof UsageError || isArgument) return [`${(error as Error).message.split('\n')[0]} (see oci-registry --help)`]
  return [error instanceof Error ? error.stack ?? error.message : String(error)]
}

try {
  const status = await main(process.argv.slice(2))
  if (status !== undefined) process.exitCode = status
} catch (error) {
  for (const line of explain(error)) process.stderr.write(`oci-registry: ${line}\n`)
  process.exitCode = 1
}
