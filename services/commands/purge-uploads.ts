import { formatBytes } from '../config/bytes.js'
import { durationProblem, parseDuration } from '../config/duration.js'
import { ConfigError } from '../errors/config-error.js'
import { acquireLease } from '../maintenance/lease.js'
import { purgeUploads } from '../maintenance/purge-uploads.js'
import type { PurgeResult, StaleUpload } from '../maintenance/purge-uploads.js'
import { UPLOAD_PURGE } from '../maintenance/upload-purge.js'
import { UploadSessions } from '../uploads/sessions.js'
import type { Command, OptionValues } from './command.js'
import { Interrupted, onStorage } from './maintenance.js'
import type { StorageCommand } from './maintenance.js'

/** `purge-uploads`: one run of what the server does every day. */
export const purgeUploadsCommand: Command = {
  usage: 'purge-uploads [options]',
  summary: 'remove uploads that nobody finished; also while a server runs',
  options: { age: { type: 'string' }, 'dry-run': { type: 'boolean', short: 'd' }, json: { type: 'boolean' } },
  optionHelp: [
    ['--age DURATION', 'purge-uploads: how old an upload must be, for example 24h; that of the configuration if not given'],
    ['-d, --dry-run', 'purge-uploads: only say what would be removed'],
    ['--json', 'purge-uploads: one JSON document a line, a summary last']
  ],
  async run (sources, values, output) {
    const age = ageOf(values)
    return await onStorage(sources, output, async command => {
      const { uploadpurging } = command.config.storage.maintenance
      const ageMs = parseDuration(age ?? uploadpurging.age)
      const dryRun = uploadpurging.dryrun || values['dry-run'] === true
      const write = (line: string): void => { output.out.write(`${line}\n`) }
      const report = values['json'] === true ? inJson : inWords
      try {
        const result = await purgeAlone(command, ageMs, dryRun, upload => { write(report.upload(upload, dryRun)) })
        write(report.result(result))
        return result.errors === 0 ? 0 : 1
      } catch (error) {
        if (error instanceof Interrupted) return 130
        throw error
      }
    })
  }
}

/** @throws {ConfigError} when the text is no duration */
function ageOf ({ age }: OptionValues): string | undefined {
  if (typeof age !== 'string') return undefined
  const problem = durationProblem(age) ?? (parseDuration(age) < 0 ? 'is less than 0' : undefined)
  if (problem !== undefined) throw new ConfigError(`--age: ${problem}`)
  return age
}

/** @throws {ConfigError} when a server is at it, or another command */
async function purgeAlone ({ driver, log, signal }: StorageCommand, ageMs: number, dryRun: boolean, onPurged: (upload: StaleUpload) => void): Promise<PurgeResult> {
  const options = { driver, sessions: new UploadSessions({ driver }), ageMs, dryRun, log, onPurged }
  if (dryRun) return await purgeUploads({ ...options, signal })
  await using lease = await acquireLease(driver, UPLOAD_PURGE)
  if (lease === undefined) throw new ConfigError('uploads on this storage are being purged already; a run that was killed is forgotten after a minute')
  return await purgeUploads({ ...options, signal: AbortSignal.any([signal, lease.signal]) })
}

interface Report {
  upload (upload: StaleUpload, dryRun: boolean): string
  result (result: PurgeResult): string
}

const inWords: Report = {
  upload: ({ repository, id, startedAt, lastWrite, bytes }, dryRun) =>
    `${dryRun ? 'would remove' : 'removed'} ${repository} ${id}: started ${startedAt?.toISOString() ?? 'nobody knows when'}, last write ${lastWrite.toISOString()}, ${formatBytes(bytes)}`,
  result: ({ dryRun, sessions, deleted, bytes, errors }) =>
    `${sessions} uploads, ${deleted} ${dryRun ? 'would be removed' : 'removed'} (${formatBytes(bytes)}), ${errors} errors`
}

/** One document a line: a list in one document would have to be held in memory. */
const inJson: Report = {
  upload: ({ startedAt = null, ...upload }) => JSON.stringify({ kind: 'upload', ...upload, startedAt }),
  result: result => JSON.stringify({ kind: 'summary', ...result })
}
