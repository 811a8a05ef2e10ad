import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import bcrypt from 'bcrypt'
import type { Test } from 'tap'
import type { AccessRecord, AccessRequest } from '../../services/auth/access.js'
import type { AuthLog } from '../../services/auth/htpasswd-file.js'

export const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

/** Lines of an htpasswd file, with hashes that cost little. */
export function htpasswd (users: Readonly<Record<string, string>>, version: '2a' | '2b' | '2y' = '2y'): string {
  return Object.entries(users).map(([user, password]) => `${user}:$${version}$${bcrypt.hashSync(password, 4).slice(4)}\n`).join('')
}

/** A file of users in a directory of the test's; its path. */
export async function htpasswdFile (t: Test, users: Readonly<Record<string, string>>): Promise<string> {
  const path = join(t.testdir(), 'htpasswd')
  await writeFile(path, htpasswd(users))
  return path
}

/** `repository:team/app:pull,push` as records. */
export function records (...scopes: string[]): AccessRecord[] {
  return scopes.flatMap(scope => {
    const [type = '', name = '', actions = ''] = scope.split(':')
    return actions.split(',').map(action => ({ type, name, action }) as AccessRecord)
  })
}

export function accessRequest (authorization?: string, ip = '192.0.2.1'): AccessRequest {
  return { method: 'GET', headers: authorization === undefined ? {} : { authorization }, ip, protocol: 'https', host: 'registry.example' }
}

export interface LoggedLine { readonly fields: Record<string, unknown>, readonly message: string }

/** A log that remembers its warnings. */
export class RecordedLog implements AuthLog {
  readonly warnings: LoggedLine[] = []

  info (): void {}

  warn (fields: object, message: string): void {
    this.warnings.push({ fields: fields as Record<string, unknown>, message })
  }
}
