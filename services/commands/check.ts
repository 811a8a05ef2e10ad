import { effectiveConfig } from '../config/effective.js'
import { loadConfig } from '../config/load.js'
import { configWarnings } from '../config/supported.js'
import { ConfigError } from '../errors/config-error.js'
import { middlewareProblems } from '../middleware/load.js'
import type { Command } from './command.js'

/** `check`: says what is wrong with a configuration, or prints all of it. */
export const check: Command = {
  usage: 'check [options]',
  summary: 'check the configuration and print it, with the origin of each value',
  async run (sources, _values, { out, err }) {
    const { config, warnings, origins } = await loadConfig(sources)
    const problems = middlewareProblems(config)
    if (problems.length > 0) throw new ConfigError(problems)
    for (const warning of [...warnings, ...configWarnings(config)]) err.write(`oci-registry: warning: ${warning}\n`)
    out.write(effectiveConfig(config, origins))
    return 0
  }
}
