import { isBytes, parseBytes } from '../config/bytes.js'
import { durationProblem, parseDuration } from '../config/duration.js'
import { referenceValidation } from '../config/validation.js'
import { ConfigError } from '../errors/config-error.js'
import { acquireLease } from '../maintenance/lease.js'
import { createProgress } from '../maintenance/progress-bar.js'
import type { Finding } from '../verify/finding.js'
import { formatFinding, formatResult, isSound } from '../verify/report.js'
import { VERIFY } from '../verify/scrub.js'
import { verify } from '../verify/verify.js'
import type { VerifyOptions, VerifyResult } from '../verify/verify.js'
import type { Command, CommandOutput, OptionValues } from './command.js'
import { Interrupted, onStorage } from './maintenance.js'
import { NO_SHARED_CACHE, openSharedCache } from './shared-cache.js'

/** `verify`: says whether everything that should be in storage is there, and is what it should be. */
export const verifyCommand: Command = {
  usage: 'verify [options]',
  summary: 'read everything that is stored and say what is corrupt, missing or left over; also while a server runs',
  options: {
    repair: { type: 'boolean' },
    quiet: { type: 'boolean', short: 'q' },
    json: { type: 'boolean' },
    rate: { type: 'string' },
    grace: { type: 'string' }
  },
  optionHelp: [
    ['--repair', 'verify: set aside what is corrupt or dangling, below oci-registry/quarantine'],
    ['-q, --quiet', 'verify: only what is corrupt, missing or orphaned, no progress'],
    ['--rate SIZE', 'verify: read at most that much in a second, for example 50MB'],
    ['--grace DURATION', 'verify: do not judge what was written within this time, 10m if not given; 0s only while nobody writes'],
    ['--json', 'verify: one JSON document a line, a summary last']
  ],
  async run (sources, values, output) {
    const limits = limitsOf(values)
    return await onStorage(sources, output, async ({ config, driver, log, signal }) => {
      const progress = createProgress({ stream: output.err, quiet: values['quiet'] === true })
      const report = reporter(values, output, progress.above.bind(progress))
      const repair = values['repair'] === true
      const validation = referenceValidation(config.validation)
      await using cache = repair ? await openSharedCache(config, log) : NO_SHARED_CACHE
      const options: VerifyOptions = { ...limits, driver, log, progress, repair, validation, forget: cache.forget, onFinding: report.finding }
      try {
        const result = await verifyAlone(options, signal)
        report.result(result)
        return isSound(result) ? 0 : 1
      } catch (error) {
        if (error instanceof Interrupted) return 130
        throw error
      }
    })
  }
}

/** Two repairs at once would do no harm, but each report half. @throws {ConfigError} */
async function verifyAlone (options: VerifyOptions, signal: AbortSignal): Promise<VerifyResult> {
  if (!options.repair) return await verify({ ...options, signal })
  await using lease = await acquireLease(options.driver, VERIFY)
  if (lease === undefined) throw new ConfigError('this storage is being verified already; a run that was killed is forgotten after a minute')
  return await verify({ ...options, signal: AbortSignal.any([signal, lease.signal]) })
}

/** @throws {ConfigError} */
function limitsOf ({ rate, grace }: OptionValues): Pick<VerifyOptions, 'rate' | 'graceMs'> {
  if (typeof rate === 'string' && !isBytes(rate)) throw new ConfigError(`--rate: a number of bytes such as 50MB is needed, not ${JSON.stringify(rate)}`)
  const problem = typeof grace === 'string' ? durationProblem(grace) : undefined
  if (problem !== undefined) throw new ConfigError(`--grace: ${problem}`)
  return {
    ...(typeof rate === 'string' ? { rate: parseBytes(rate) } : {}),
    ...(typeof grace === 'string' ? { graceMs: parseDuration(grace) } : {})
  }
}

interface Reporter {
  readonly finding: (finding: Finding) => void
  readonly result: (result: VerifyResult) => void
}

function reporter (values: OptionValues, { out }: CommandOutput, above: (write: () => void) => void): Reporter {
  const isQuiet = values['quiet'] === true
  const write = (line: string): void => { above(() => { out.write(`${line}\n`) }) }
  const isWanted = ({ severity }: Finding): boolean => !isQuiet || severity !== 'odd'
  if (values['json'] === true) {
    return {
      finding: finding => { if (isWanted(finding)) write(JSON.stringify({ kind: 'finding', ...finding })) },
      result: result => { write(JSON.stringify({ kind: 'summary', ...result })) }
    }
  }
  return {
    finding: finding => { if (isWanted(finding)) write(formatFinding(finding)) },
    result: result => { if (!isQuiet) write(formatResult(result)) }
  }
}
