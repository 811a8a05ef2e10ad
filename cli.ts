#!/usr/bin/env node
import { parseArgs } from 'node:util'
import type { Command } from './services/commands/command.js'
import { ConfigError } from './services/errors/config-error.js'
import { packageVersion } from './services/version.js'

/** Each is loaded when it is asked for: a server starts without what the others need. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.js')).serveCommand,
  check: async () => (await import('./services/commands/check.js')).check,
  explain: async () => (await import('./services/commands/explain.js')).explain,
  'purge-uploads': async () => (await import('./services/commands/purge-uploads.js')).purgeUploadsCommand,
  verify: async () => (await import('./services/commands/verify.js')).verifyCommand,
  stats: async () => (await import('./services/commands/stats.js')).statsCommand,
  'garbage-collect': async () => (await import('./services/commands/garbage-collect.js')).garbageCollectCommand,
  copy: async () => (await import('./services/commands/copy.js')).copyCommand
}

const CONFIG_OPTIONS = {
  set: { type: 'string', multiple: true },
  strict: { type: 'boolean' }
} as const

const GENERAL_OPTIONS = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' }
} as const

/** Runs a command line and says how the process is to end: an exit status, or undefined while it serves. */
async function main (args: string[]): Promise<number | undefined> {
  // Most command lines begin with their word. It may stand anywhere; until it is known, options of all commands are.
  const first = await commandOf(args[0])
  const { positionals: [word], values: { help, version } } = parseArgs({ args, strict: false, allowPositionals: true, options: optionsOf(first === undefined ? await allCommands() : [first]) })
  if (version === true) return say(`oci-registry ${packageVersion}\n`)
  if (help === true || word === undefined || word === 'help') {
    const commands = await allCommands()
    // An option that does not exist is a mistake also where nothing else is said.
    parseArgs({ args, allowPositionals: true, options: optionsOf(commands) })
    return say(usage(commands))
  }
  const command = await commandOf(word)
  if (command === undefined) throw new UsageError(`unknown command: ${word}`)
  const { values, positionals: [, file, ...rest] } = parseArgs({ args, allowPositionals: true, options: { ...command.options, ...CONFIG_OPTIONS } })
  if (rest.length > 0) throw new UsageError(`too many arguments: ${rest.join(' ')}`)
  const sources = { file, environment: process.env, settings: values.set ?? [], strict: values.strict ?? false }
  return await command.run(sources, values, { out: process.stdout, err: process.stderr })
}

async function commandOf (word = ''): Promise<Command | undefined> {
  return Object.hasOwn(COMMANDS, word) ? await COMMANDS[word]?.() : undefined
}

async function allCommands (): Promise<Command[]> {
  return await Promise.all(Object.values(COMMANDS).map(async load => await load()))
}

function optionsOf (commands: readonly Command[]): NonNullable<Command['options']> {
  return Object.assign({}, ...commands.map(({ options }) => options), CONFIG_OPTIONS, GENERAL_OPTIONS) as NonNullable<Command['options']>
}

function usage (commands: readonly Command[]): string {
  const options = commands.flatMap(({ optionHelp }) => optionHelp ?? [])
  return `oci-registry: an OCI container registry

Usage:
${table(commands.map(({ usage, summary }) => [`oci-registry ${usage} [CONFIG.yml]`, summary]))}
  oci-registry --version
  oci-registry --help

Options:
${table([
    ...options,
    ['--set KEY=VALUE', 'a value of the configuration, for example --set http.addr=:5001; may be repeated'],
    ['--strict', 'a key that does not exist is an error, not a warning']
  ])}

The environment variable REGISTRY_CONFIGURATION_PATH names the file too; REGISTRY_HTTP_ADDR and its like
set single values over those of the file.
`
}

function table (rows: ReadonlyArray<readonly [string, string]>): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}   ${right}`).join('\n')
}

class UsageError extends Error {}

function say (text: string): number {
  process.stdout.write(text)
  return 0
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
