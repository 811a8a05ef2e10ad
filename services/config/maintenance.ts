import { durationProblem, parseDuration } from './duration.js'

const PURGING = 'storage.maintenance.uploadpurging'
const READ_ONLY = 'storage.maintenance.readonly'

export interface MaintenanceProblems {
  /** One line each. */
  readonly lines: string[]
  /** Keys of `storage.maintenance` that these lines say everything about. */
  readonly keys: Array<'uploadpurging' | 'readonly'>
}

/**
 * What docker's registry refuses to start with, in its words. With `complete`, as in a file, the map of upload purging
 * takes the place of all defaults: who writes it without `enabled: false` writes all of it. An embedded registry may
 * leave out what has a default.
 *
 * @param maintenance plain values, not validated
 */
export function maintenanceProblems (maintenance: unknown, { complete }: { readonly complete: boolean }): MaintenanceProblems {
  if (!isMap(maintenance)) return { lines: [], keys: [] }
  const purging = 'uploadpurging' in maintenance ? purgingProblems(maintenance['uploadpurging'], complete) : []
  const readonly = 'readonly' in maintenance ? readOnlyProblems(maintenance['readonly']) : []
  return {
    lines: [...purging, ...readonly],
    keys: [...(purging.length > 0 ? ['uploadpurging' as const] : []), ...(readonly.length > 0 ? ['readonly' as const] : [])]
  }
}

function purgingProblems (purging: unknown, complete: boolean): string[] {
  if (!isMap(purging)) return [`${PURGING}: uploadpurging config key must contain additional keys`]
  if (purging['enabled'] === false) return []
  return [
    ...duration(purging, 'age', 'duration', complete),
    ...duration(purging, 'interval', 'interval', complete),
    ...('dryrun' in purging ? (typeof purging['dryrun'] === 'boolean' ? [] : ['cannot parse dryrun']) : complete ? ['dryrun missing'] : [])
  ].map(reason => `${PURGING}: Unable to parse upload purge configuration: ${reason}`)
}

function duration (purging: Readonly<Record<string, unknown>>, key: 'age' | 'interval', noun: string, complete: boolean): string[] {
  if (!(key in purging)) return complete ? [`${key} missing`] : []
  const value = purging[key]
  if (typeof value !== 'string') return [`${key} is not a string`]
  const problem = durationProblem(value)
  if (problem !== undefined) return [`Cannot parse ${noun}: ${problem}`]
  // Docker's registry takes these: it then purges uploads that are under way, or without a pause.
  if (key === 'age') return parseDuration(value) < 0 ? ['age is less than 0'] : []
  return parseDuration(value) < 1000 ? ['interval is less than 1s'] : []
}

function readOnlyProblems (readonly: unknown): string[] {
  if (!isMap(readonly)) return [`${READ_ONLY}: readonly config key must contain additional keys`]
  if (!('enabled' in readonly) || typeof readonly['enabled'] === 'boolean') return []
  return [`${READ_ONLY}: readonly's enabled config key must have a boolean value`]
}

function isMap (value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
