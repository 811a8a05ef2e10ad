import { formatBytes, isBytes, parseBytes } from '../config/bytes.js'
import type { ConfigSources } from '../config/load.js'
import { COPY, copyRegistry } from '../copy/copy.js'
import type { CopyFailure, CopyResult } from '../copy/copy.js'
import { ConfigError } from '../errors/config-error.js'
import { OciError } from '../errors/oci-error.js'
import { acquireLease } from '../maintenance/lease.js'
import { createProgress } from '../maintenance/progress-bar.js'
import { parseRepositoryName } from '../reference/reference.js'
import type { RepositoryName } from '../reference/reference.js'
import { dataLocation } from '../storage/create.js'
import type { Command, CommandOutput, OptionValues } from './command.js'
import { Interrupted, onStorage } from './maintenance.js'
import type { StorageCommand } from './maintenance.js'

/** `copy`: brings a registry to another storage. */
export const copyCommand: Command = {
  usage: 'copy --from A.yml --to B.yml [options]',
  summary: 'copy all repositories from one storage to another, verified; run again, it copies what has changed',
  options: {
    from: { type: 'string' },
    to: { type: 'string' },
    repository: { type: 'string', multiple: true },
    rate: { type: 'string' },
    quiet: { type: 'boolean', short: 'q' },
    json: { type: 'boolean' }
  },
  optionHelp: [
    ['--from A.yml', 'copy: the configuration of the registry that is copied'],
    ['--to B.yml', 'copy: the configuration whose storage it is copied to'],
    ['--repository NAME', 'copy: only this repository; may be repeated'],
    ['--rate BYTES', 'copy: read at most so much a second, for example 50MB'],
    ['-q, --quiet', 'copy: print nothing but what could not be copied'],
    ['--json', 'copy: one JSON document a line, a summary last']
  ],
  async run (sources, values, output) {
    const [from, to] = endsOf(sources, values)
    const limits = limitsOf(values)
    return await onStorage(from, output, async source => await onStorage(to, output, async target => {
      const [here, there] = [source, target].map(({ config }) => dataLocation(config.storage))
      if (here === there) throw new ConfigError(`--to: is the same storage as that of --from: ${String(here)}`)
      if (target.driver.name === 'inmemory') throw new ConfigError('--to: what is in memory would be lost when the command ends')
      try {
        const result = await copyAlone(source, target, limits, values, output)
        return result.failures === 0 ? 0 : 1
      } catch (error) {
        if (error instanceof Interrupted) return 130
        throw error
      }
    }))
  }
}

interface Limits { readonly rate: number, readonly repositories: readonly RepositoryName[] | undefined }

/** Two configurations, as their files have them: variables of the environment and `--set` would be meant for both. @throws {ConfigError} */
function endsOf (sources: ConfigSources, { from, to }: OptionValues): [ConfigSources, ConfigSources] {
  const problems = [
    ...typeof from === 'string' ? [] : ['--from: is missing'],
    ...typeof to === 'string' ? [] : ['--to: is missing'],
    ...sources.file === undefined ? [] : ['copy: takes its configurations from --from and --to only'],
    ...sources.settings === undefined || sources.settings.length === 0 ? [] : ['--set: has no meaning for copy, which has two configurations']
  ]
  if (typeof from !== 'string' || typeof to !== 'string' || problems.length > 0) throw new ConfigError(problems)
  const [one, other] = [from, to].map(file => ({ ...sources, file, environment: {} }))
  return [one as ConfigSources, other as ConfigSources]
}

/** @throws {ConfigError} */
function limitsOf ({ rate, repository = [] }: OptionValues): Limits {
  if (typeof rate === 'string' && !isBytes(rate)) throw new ConfigError(`--rate: a number of bytes such as 50MB is needed, not ${JSON.stringify(rate)}`)
  const names = (Array.isArray(repository) ? repository : [repository]).map(name => {
    try {
      return parseRepositoryName(String(name))
    } catch (error) {
      throw new ConfigError(`--repository: ${OciError.is(error) ? error.message : String(error)}: ${String(name)}`)
    }
  })
  return { rate: typeof rate === 'string' ? parseBytes(rate) : Infinity, repositories: names.length === 0 ? undefined : names }
}

/** Two at once would do no harm, and work for nothing. @throws {ConfigError} */
async function copyAlone (source: StorageCommand, target: StorageCommand, { rate, repositories }: Limits, values: OptionValues, { out, err }: CommandOutput): Promise<CopyResult> {
  const isQuiet = values['quiet'] === true
  const progress = createProgress({ stream: err, quiet: isQuiet })
  const report = values['json'] === true ? inJson : inWords
  await using lease = await acquireLease(target.driver, COPY)
  if (lease === undefined) throw new ConfigError('something is being copied to this storage already; a run that was killed is forgotten after a minute')
  const result = await copyRegistry({
    from: source.driver,
    to: target.driver,
    repositories,
    rate,
    progress,
    onFailure: failure => { progress.above(() => { out.write(`${report.failure(failure)}\n`) }) },
    signal: AbortSignal.any([source.signal, target.signal, lease.signal])
  })
  if (!isQuiet) out.write(`${report.result(result)}\n`)
  return result
}

interface Report {
  failure (failure: CopyFailure): string
  result (result: CopyResult): string
}

const inWords: Report = {
  failure: ({ repository, reference, problem }) => `failed: ${repository}${reference.includes(':') ? '@' : ':'}${reference}: ${problem}`,
  result: ({ repositories, blobs, links, dangling, tags, bytes, failures, seconds }) => `
${repositories} repositories in ${seconds.toFixed(1)} s
copied: ${blobs.copied} blobs and manifests (${formatBytes(bytes)}), ${links.copied} links, ${tags.copied} tags
there already: ${blobs.present} blobs and manifests, ${links.present} links, ${tags.present} tags
${failures} failed, ${dangling} links left out that have nothing behind them`.trimStart()
}

/** One document a line: a list in one document would have to be held in memory. */
const inJson: Report = {
  failure: failure => JSON.stringify({ kind: 'failure', ...failure }),
  result: result => JSON.stringify({ kind: 'summary', ...result })
}
