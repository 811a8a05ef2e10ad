import { OciError } from '../errors/oci-error.js'
import type { OciCode, OciErrorOptions } from '../errors/oci-error.js'
import type { AccessRecord } from './access.js'

export interface RefusalOptions extends OciErrorOptions {
  /** Who was refused, when that is known. */
  readonly user?: string | undefined
  /** Who the caller says it is, when that was not true or was not looked at. */
  readonly claimed?: string | undefined
}

/** A refusal that knows whom it refuses: for the log, never for the client. */
export class AccessRefused extends OciError {
  readonly user: string | undefined
  readonly claimed: string | undefined

  constructor (code: OciCode, { user, claimed, ...options }: RefusalOptions) {
    super(code, options)
    this.name = 'AccessRefused'
    this.user = user
    this.claimed = claimed
  }
}

/** What was asked for, as the error bodies of docker's registry tell it; null where valid credentials are enough. */
export function refusedAccess (records: readonly AccessRecord[]): object[] | null {
  return records.length === 0 ? null : records.map(({ type, name, action }) => ({ Type: type, Class: '', Name: name, Action: action }))
}
