import type { ParseArgsConfig } from 'node:util'
import type { ConfigSources } from '../config/load.js'

/** Values of a command's own options, as `parseArgs` reads them. */
export type OptionValues = Readonly<Record<string, string | boolean | Array<string | boolean> | undefined>>

/** What a command gets to write to and to know of the terminal. */
export interface CommandOutput {
  /** Standard output: the result. */
  readonly out: NodeJS.WriteStream
  /** Standard error: progress, warnings. */
  readonly err: NodeJS.WriteStream
}

/** One word of the command line, such as `check`. */
export interface Command {
  /** What stands in front of CONFIG.yml in the help: `check [options]`. */
  readonly usage: string
  /** One line. */
  readonly summary: string
  /** Options of its own; those of the configuration are every command's. */
  readonly options?: NonNullable<ParseArgsConfig['options']>
  /** One line each for the help. */
  readonly optionHelp?: ReadonlyArray<readonly [option: string, meaning: string]>
  /**
   * Runs it and says how the process is to end: an exit status, or undefined when something is to go on.
   *
   * @throws {ConfigError} whose lines are printed, with exit status 1
   */
  run (sources: ConfigSources, values: OptionValues, output: CommandOutput): Promise<number | undefined>
}
