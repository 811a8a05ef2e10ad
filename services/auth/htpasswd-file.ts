import { randomBytes } from 'node:crypto'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import bcrypt from 'bcrypt'
import { ConfigError } from '../errors/config-error.js'
import { OciError } from '../errors/oci-error.js'

/** The part of a logger that is needed here. */
export interface AuthLog {
  info (fields: object, message: string): void
  warn (fields: object, message: string): void
}

/** The users of a file as it was at one time. A changed file is another object. */
export interface HtpasswdUsers {
  /** bcrypt hashes by user; others can never match and are left out. */
  readonly hashes: ReadonlyMap<string, string>
  /** What a password of nobody is compared with, so that it takes as long as the others do. */
  readonly dummy: string
}

export interface HtpasswdFileOptions {
  readonly path: string
  readonly log: AuthLog
  /** Milliseconds, as `Date.now`. */
  readonly now?: () => number
}

/** How long the file counts as unchanged without a look at it. */
const LOOK_MS = 1000
/** A file that was written so lately may still be being written: it is looked at every time. */
const SETTLED_MS = 2000
/** Of the user that is made when there is no file, and for comparing when there are no users. */
const COST = 10
const BCRYPT = /^\$2[aby]\$(0[4-9]|[12]\d|3[01])(\$[./A-Za-z0-9]{53})$/
// A hash of nothing anybody knows; with another cost than it was made with, of nothing at all.
const DUMMY = 'ehSf/vNQoMh3cZTIciEJU.zMxb3iHgW.k8PrH384TbMBQELO1lBKG'

/**
 * A file of users and bcrypt hashes, as `htpasswd -B` writes it. Changes count within a second. A changed file with a
 * line that is none leaves the users as they were, with a warning; one that cannot be read lets nobody in.
 */
export class HtpasswdFile {
  readonly #path: string
  readonly #log: AuthLog
  readonly #now: () => number
  #users: HtpasswdUsers | undefined
  /** What tells one state of the file from another; of the state that was read last. */
  #signature = ''
  #goodUntil = -Infinity
  #looking: Promise<HtpasswdUsers> | undefined

  private constructor ({ path, log, now = Date.now }: HtpasswdFileOptions) {
    this.#path = path
    this.#log = log
    this.#now = now
  }

  /**
   * Reads the file; where there is none, makes one with a user `docker`, whose password is logged once.
   *
   * @throws {ConfigError} when the file cannot be read or made, or has a line that is none
   */
  static async open (options: HtpasswdFileOptions): Promise<HtpasswdFile> {
    const file = new HtpasswdFile(options)
    try {
      await provision(options)
      await file.#look()
    } catch (error) {
      if (error instanceof MalformedLine) throw new ConfigError(`auth.htpasswd.path: ${options.path}: ${error.message}`)
      throw new ConfigError(`auth.htpasswd.path: cannot use ${options.path}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`, { cause: error })
    }
    return file
  }

  /**
   * The users now: at once when the file was looked at a moment ago.
   *
   * @throws {OciError} UNAVAILABLE when the file cannot be read
   */
  users (): HtpasswdUsers | Promise<HtpasswdUsers> {
    if (this.#users !== undefined && this.#now() < this.#goodUntil) return this.#users
    this.#looking ??= this.#refreshed().finally(() => { this.#looking = undefined })
    return this.#looking
  }

  async #refreshed (): Promise<HtpasswdUsers> {
    try {
      return await this.#look()
    } catch (error) {
      if (!(error instanceof MalformedLine) || this.#users === undefined) {
        throw new OciError('UNAVAILABLE', { detail: 'users cannot be looked up', cause: error })
      }
      this.#log.warn({ path: this.#path }, `htpasswd: ${error.message}: the users stay as they were`)
      return this.#users
    }
  }

  async #look (): Promise<HtpasswdUsers> {
    const { mtimeNs, ctimeNs, size, ino, mtimeMs } = await stat(this.#path, { bigint: true })
    const now = this.#now()
    // Also when it is not read again: what is wrong with it is said once.
    this.#goodUntil = now - Number(mtimeMs) < SETTLED_MS ? now : now + LOOK_MS
    const signature = [mtimeNs, ctimeNs, size, ino].join()
    if (signature === this.#signature && this.#users !== undefined) return this.#users
    const text = await readFile(this.#path, 'utf8')
    this.#signature = signature
    const hashes = parseHtpasswd(text)
    this.#users = { hashes, dummy: `$2b$${usualCost(hashes)}$${DUMMY}` }
    return this.#users
  }
}

class MalformedLine extends Error {}

/** `user:hash` by lines; empty ones and comments are passed over, of a user's several the last one counts. */
function parseHtpasswd (text: string): Map<string, string> {
  const hashes = new Map<string, string>()
  for (const [i, line] of text.split('\n').entries()) {
    const entry = line.trim()
    if (entry === '' || entry.startsWith('#')) continue
    const colon = entry.indexOf(':')
    if (colon === -1) throw new MalformedLine(`line ${i + 1} is no user:hash`)
    const [user, hashed] = [entry.slice(0, colon), entry.slice(colon + 1)]
    const [, cost, rest] = BCRYPT.exec(hashed) ?? []
    // The prefixes are names of one algorithm; the library knows it by this one.
    if (cost === undefined || rest === undefined) hashes.delete(user)
    else hashes.set(user, `$2b$${cost}${rest}`)
  }
  return hashes
}

/** The cost that most of the hashes have, as they write it. */
function usualCost (hashes: ReadonlyMap<string, string>): string {
  const counts = new Map<string, number>()
  for (const hashed of hashes.values()) {
    const cost = hashed.slice(4, 6)
    counts.set(cost, (counts.get(cost) ?? 0) + 1)
  }
  return [...counts].reduce((most, one) => one[1] > most[1] ? one : most, [String(COST), 0])[0]
}

/** Makes the file if there is none. Of several processes that start at once one does, and says the password. */
async function provision ({ path, log }: HtpasswdFileOptions): Promise<void> {
  if (await stat(path).then(() => true, (error: NodeJS.ErrnoException) => error.code !== 'ENOENT')) return
  const password = randomBytes(32).toString('base64url')
  const line = `docker:${await bcrypt.hash(password, COST)}\n`
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  try {
    await writeFile(path, line, { flag: 'wx', mode: 0o600, flush: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    throw error
  }
  log.warn({ user: 'docker', password }, 'htpasswd is missing, provisioning with default user')
}
