import { formatBytes } from '../config/bytes.js'
import { durationProblem, parseDuration } from '../config/duration.js'
import { ConfigError } from '../errors/config-error.js'
import { Collection } from '../garbage/collection.js'
import { GARBAGE_COLLECTION } from '../garbage/garbage-collection.js'
import type { CollectionObserver, CollectionResult } from '../garbage/report.js'
import { acquireLease } from '../maintenance/lease.js'
import { createProgress } from '../maintenance/progress-bar.js'
import { isDigest } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'
import type { Command, CommandOutput, OptionValues } from './command.js'
import { Interrupted, onStorage } from './maintenance.js'
import type { StorageCommand } from './maintenance.js'
import { NO_SHARED_CACHE, openSharedCache } from './shared-cache.js'

/** Storage calls at a time. The server, which collects beside its requests, makes one. */
const WIDTH = 16
/** Of a list of reasons nobody reads more. */
const MAX_REASONS = 100

/** `garbage-collect`: the command of docker's registry. One run, to the end: what is not needed is gone after it. */
export const garbageCollectCommand: Command = {
  usage: 'garbage-collect [options]',
  summary: 'delete what no manifest needs; stop the server or make it read-only, or give --grace',
  options: {
    'dry-run': { type: 'boolean', short: 'd' },
    'delete-untagged': { type: 'boolean', short: 'm' },
    quiet: { type: 'boolean', short: 'q' },
    json: { type: 'boolean' },
    explain: { type: 'string' },
    grace: { type: 'string' }
  },
  optionHelp: [
    ['-d, --dry-run', 'garbage-collect: only say what would be deleted'],
    ['-m, --delete-untagged', 'garbage-collect: manifests too that have no tag and that nothing with a tag needs'],
    ['-q, --quiet', 'garbage-collect: print nothing but warnings'],
    ['--json', 'garbage-collect: print the summary as JSON, and nothing else'],
    ['--explain DIGEST', 'garbage-collect: say why this is kept or deleted, and change nothing'],
    ['--grace DURATION', 'garbage-collect: keep what is younger, and what was put aside for this long; default 0s']
  ],
  async run (sources, values, output) {
    const options = optionsOf(values)
    return await onStorage(sources, output, async command => {
      try {
        return await collect(command, options, output)
      } catch (error) {
        if (error instanceof Interrupted) return 130
        if (error instanceof ConfigError) throw error
        throw new ConfigError(`failed to garbage collect: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
      }
    })
  }
}

interface CollectOptions {
  readonly dryRun: boolean
  readonly deleteUntagged: boolean
  readonly quiet: boolean
  readonly json: boolean
  readonly explain: Digest | undefined
  readonly graceMs: number
}

/** @throws {ConfigError} */
function optionsOf (values: OptionValues): CollectOptions {
  const { explain, grace = '0s' } = values
  if (explain !== undefined && (typeof explain !== 'string' || !isDigest(explain))) throw new ConfigError(`--explain: ${String(explain)} is not a sha256 or sha512 digest`)
  const problem = durationProblem(String(grace)) ?? (parseDuration(String(grace)) < 0 ? 'is less than 0' : undefined)
  if (problem !== undefined) throw new ConfigError(`--grace: ${problem}`)
  return {
    dryRun: values['dry-run'] === true || explain !== undefined,
    deleteUntagged: values['delete-untagged'] === true,
    quiet: values['quiet'] === true,
    json: values['json'] === true,
    explain,
    graceMs: parseDuration(String(grace))
  }
}

/** @throws {ConfigError} when a server is at it, or another command */
async function collect ({ config, driver, log, signal }: StorageCommand, options: CollectOptions, { out, err }: CommandOutput): Promise<number> {
  const { dryRun, deleteUntagged, quiet, json, explain, graceMs } = options
  const progress = createProgress({ stream: err, quiet })
  const reasons: string[] = []
  const observer: CollectionObserver = {
    ...quiet || json || explain !== undefined ? {} : asDocker(line => { out.write(`${line}\n`) }),
    repository: name => { progress.advance(1, name) },
    shard: (done, total) => {
      if (done === 1) progress.begin('sweeping', total)
      progress.advance()
    },
    doubt: (name, manifest, problem) => { err.write(`oci-registry: warning: ${name}: manifest ${manifest} ${problem}; nothing of this repository is deleted\n`) },
    kept: (digest, reason) => { if (digest === explain && reasons.length < MAX_REASONS) reasons.push(`kept: ${reason()}`) },
    gone: (digest, reason) => { if (digest === explain) reasons.push(`to be deleted: ${reason}`) }
  }
  await using lease = dryRun ? undefined : await acquireLease(driver, GARBAGE_COLLECTION)
  if (!dryRun && lease === undefined) throw new ConfigError('garbage on this storage is being collected already; a run that was killed is forgotten after a minute')
  await using cache = dryRun ? NO_SHARED_CACHE : await openSharedCache(config, log)
  progress.begin('marking')
  try {
    const collection = new Collection({ driver, graceMs, deleteUntagged, dryRun, observer, width: WIDTH, forget: cache.forget, signal: lease === undefined ? signal : AbortSignal.any([signal, lease.signal]) })
    const result = await collection.run()
    progress.end()
    if (json) out.write(`${JSON.stringify({ ...result, ...explain === undefined ? {} : { explained: explain, reasons } })}\n`)
    else if (explain !== undefined) out.write([...new Set(reasons)].map(reason => `${explain} ${reason}\n`).join('') || `${explain} is not in storage, or only linked\n`)
    else if (!quiet) out.write(summary(result))
    return 0
  } finally {
    progress.end()
  }
}

/** The lines that docker's registry prints about what goes. */
function asDocker (write: (line: string) => void): CollectionObserver {
  return {
    manifest: (name, digest) => { write(`manifest eligible for deletion: {${name} ${digest} []}`) },
    blob: digest => { write(`blob eligible for deletion: ${digest}`) }
  }
}

function summary ({ dryRun, repositories, manifests, blobs, bytes, seconds }: CollectionResult): string {
  const gone = dryRun ? { manifests: manifests.withdrawn, blobs: blobs.quarantined, bytes: bytes.quarantined } : { manifests: manifests.deleted, blobs: blobs.deleted, bytes: bytes.deleted }
  const waiting = dryRun ? 0 : Math.max(0, blobs.quarantined - blobs.deleted)
  return `
${blobs.kept} blobs marked, ${blobs.quarantined} blobs and ${manifests.withdrawn} manifests eligible for deletion
${repositories} repositories in ${seconds.toFixed(1)} s
manifests: ${manifests.kept} kept, ${gone.manifests} ${dryRun ? 'would be deleted' : 'deleted'}${manifests.restored > 0 ? `, ${manifests.restored} put back` : ''}
blobs: ${blobs.kept} kept (${formatBytes(bytes.kept)}), ${gone.blobs} ${dryRun ? 'would be deleted' : 'deleted'} (${formatBytes(gone.bytes)})${blobs.restored > 0 ? `, ${blobs.restored} put back` : ''}${waiting > 0 ? `, ${waiting} put aside for the grace period` : ''}
`
}
