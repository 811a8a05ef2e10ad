import { createHash } from 'node:crypto'
import bcrypt from 'bcrypt'
import { BoundedQueue } from './bounded-queue.js'
import type { CredentialStore, Identity } from './credentials.js'
import type { HtpasswdFile, HtpasswdUsers } from './htpasswd-file.js'
import type { Logins } from './logins.js'
import { VerifiedCredentials, credentialKey } from './verified-credentials.js'

export interface HtpasswdOptions {
  readonly file: HtpasswdFile
  readonly logins: Logins
  /** Members by group. */
  readonly groups?: Readonly<Record<string, readonly string[]>>
}

/** bcrypt runs on the threads that files are read with: some are left for those. */
const CONCURRENCY = 2
const WAITING = 256

/**
 * The users of an htpasswd file. A password is compared once; as long as the file stays as it is, it is then known for
 * some minutes by a keyed hash. Comparing happens off the event loop, and for unknown users too.
 */
export class HtpasswdCredentials implements CredentialStore {
  readonly #file: HtpasswdFile
  readonly #logins: Logins
  readonly #groupsOf: ReadonlyMap<string, readonly string[]>
  readonly #queue = new BoundedQueue({ concurrency: CONCURRENCY, waiting: WAITING })
  #users: HtpasswdUsers | undefined
  #verified = new VerifiedCredentials()

  constructor ({ file, logins, groups = {} }: HtpasswdOptions) {
    this.#file = file
    this.#logins = logins
    this.#groupsOf = groupsByUser(groups)
  }

  async verify (user: string, password: string, address: string): Promise<Identity | undefined> {
    const current = this.#file.users()
    const users = current instanceof Promise ? await current : current
    if (users !== this.#users) {
      // What is being compared with the old file is remembered where nobody looks any more.
      this.#users = users
      this.#verified = new VerifiedCredentials()
    }
    const verified = this.#verified
    const key = credentialKey(user, password)
    return verified.get(key) ?? await verified.check(key, address, async () =>
      await this.#logins.attempt({ user, address }, async () => await this.#queue.run(async () => await this.#compare(user, password))))
  }

  /** A user by its name alone, for what was given out for its password before; `revision` is another when the password is. */
  async find (user: string): Promise<{ identity: Identity, revision: string } | undefined> {
    const { hashes } = await this.#file.users()
    const hashed = hashes.get(user)
    if (hashed === undefined) return undefined
    return { identity: this.#identity(user), revision: createHash('sha256').update(hashed).digest('base64url') }
  }

  async close (): Promise<void> {
    this.#logins.close()
  }

  /** Passwords that are known at the moment. */
  get size (): number {
    return this.#verified.size
  }

  async #compare (user: string, password: string): Promise<Identity | undefined> {
    // Its turn may have come late: the file is asked again.
    const { hashes, dummy } = await this.#file.users()
    const hashed = hashes.get(user)
    const isRight = await bcrypt.compare(password, hashed ?? dummy)
    return isRight && hashed !== undefined ? this.#identity(user) : undefined
  }

  #identity (user: string): Identity {
    return { user, groups: this.#groupsOf.get(user) ?? [] }
  }
}

function groupsByUser (groups: Readonly<Record<string, readonly string[]>>): Map<string, string[]> {
  const byUser = new Map<string, string[]>()
  for (const [group, users] of Object.entries(groups)) {
    for (const user of users) byUser.set(user, [...byUser.get(user) ?? [], group])
  }
  return byUser
}
