import { ConfigError } from '../errors/config-error.js'
import { createProgress } from '../maintenance/progress-bar.js'
import { formatStatistics } from '../stats/report.js'
import { StorageCount } from '../stats/statistics.js'
import type { Command } from './command.js'
import { Interrupted, onStorage } from './maintenance.js'

const TOP = 10
/** Each is walked a second time. */
const MAX_TOP = 10_000

/** `stats`: says how much is stored, and for whom. */
export const statsCommand: Command = {
  usage: 'stats [options]',
  summary: 'count repositories, tags, manifests and bytes, and name the largest repositories; changes nothing',
  options: {
    top: { type: 'string' },
    quiet: { type: 'boolean', short: 'q' },
    json: { type: 'boolean' }
  },
  optionHelp: [
    ['--top NUMBER', `stats: how many of the largest repositories are named, ${TOP} if not given`],
    ['-q, --quiet', 'stats: no progress'],
    ['--json', 'stats: one JSON document']
  ],
  async run (sources, values, output) {
    const top = topOf(values['top'])
    return await onStorage(sources, output, async ({ driver, signal }) => {
      const progress = createProgress({ stream: output.err, quiet: values['quiet'] === true })
      try {
        const statistics = await new StorageCount({ driver, progress, top, signal }).run()
        output.out.write(values['json'] === true ? `${JSON.stringify(statistics)}\n` : formatStatistics(statistics))
        return 0
      } catch (error) {
        if (error instanceof Interrupted) return 130
        throw error
      }
    })
  }
}

/** @throws {ConfigError} */
function topOf (value: unknown): number {
  if (value === undefined) return TOP
  const top = /^\d+$/.test(String(value)) ? Number(value) : NaN
  if (!(top <= MAX_TOP)) throw new ConfigError(`--top: a number from 0 to ${MAX_TOP} is needed, not ${JSON.stringify(value)}`)
  return top
}
