import { formatBytes } from '../config/bytes.js'
import type { Finding } from './finding.js'
import type { VerifyResult } from './verify.js'

/** `missing: team/app:1.0: the manifest that the tag points to is not there: sha256:… (set aside)` */
export function formatFinding ({ severity, repository, tag, digest, what, needs, repaired }: Finding): string {
  const name = `${repository ?? ''}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `${repository === undefined ? '' : '@'}${digest}`}`
  return `${severity}: ${name}: ${what}${needs === undefined ? '' : `: ${needs}`}${repaired === undefined ? '' : ` (${repaired})`}`
}

/** A few lines for people. */
export function formatResult (result: VerifyResult): string {
  const { blobs, bytes, repositories, manifests, tags, corrupt, missing, orphaned, odd, repaired, young, errors, quarantine } = result
  return [
    `${blobs} blobs (${formatBytes(bytes)} read), ${repositories} repositories, ${manifests} manifests, ${tags} tags`,
    `${corrupt} corrupt, ${missing} missing, ${orphaned} orphaned, ${odd} odd, ${repaired} repaired, ${young} too young to be judged, ${errors} errors`,
    ...(quarantine === null ? [] : [`what was set aside is in ${quarantine}`])
  ].join('\n')
}

/** Whether storage holds what it should, and nothing else: oddities do no harm, and leftovers cost space. */
export function isSound ({ corrupt, missing, orphaned, errors }: VerifyResult): boolean {
  return corrupt + missing + orphaned + errors === 0
}
