import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import { constants, copyFileSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { OciError } from '../../errors/oci-error.js'
import type { Workers } from '../../workers/workers.js'
import { parseKeySet } from './key-set.js'
import type { KeysById } from './key-set.js'
import { keyIds, trustedKey } from './trusted-key.js'
import type { TrustedKey } from './trusted-key.js'
import { configured } from './trusted-keys.js'

/** What the token server signs with. */
export interface SigningKey {
  readonly privateKey: KeyObject
  readonly algorithm: string
  /** RFC 7638 thumbprint. */
  readonly kid: string
  /** The public half, by everything it may be called. */
  readonly trusted: KeysById
}

async function signingKey (privateKey: KeyObject): Promise<SigningKey> {
  const trusted = trustedKey(createPublicKey(privateKey))
  const [algorithm] = trusted?.algorithms ?? []
  if (trusted === undefined || algorithm === undefined) throw new Error('it must be EC (P-256, P-384, P-521), Ed25519, or RSA of at least 2048 bits')
  const ids = await keyIds(trusted.key)
  return { privateKey, algorithm, kid: ids[0] ?? '', trusted: new Map(ids.map(id => [id, trusted])) }
}

/**
 * Reads a private key, PEM or JWK, and makes one (EC P-256) where there is none. Processes that start at the same time
 * end up with the same key: only one of them can give the file its name.
 *
 * @throws {ConfigError} when it cannot be read or made, or is no key that signs
 */
export async function fileSigningKey (key: string, path: string): Promise<SigningKey> {
  const privateKey = configured(key, () => parsePrivateKey(readOrMake(path)))
  try {
    return await signingKey(privateKey)
  } catch (error) {
    return configured(key, () => { throw error })
  }
}

function readOrMake (path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const staged = `${path}.${randomUUID()}`
  writeFileSync(staged, generate().export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx', flush: true })
  try {
    place(staged, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(staged)
  }
  return readFileSync(path, 'utf8')
}

/** Unlike a rename, neither ever takes the place of a file that somebody else has just made. */
function place (staged: string, path: string): void {
  try {
    linkSync(staged, path)
  } catch (error) {
    if (!NO_LINKS.has((error as NodeJS.ErrnoException).code ?? '')) throw error
    copyFileSync(staged, path, constants.COPYFILE_EXCL)
  }
}

/** What file systems without links say. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

function generate (): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

function parsePrivateKey (text: string): KeyObject {
  return isJson(text) ? createPrivateKey({ key: JSON.parse(text) as JsonWebKey, format: 'jwk' }) : createPrivateKey(text)
}

function isJson (text: string): boolean {
  return text.trimStart().startsWith('{')
}

const TOPIC = 'auth.tokenserver.key'

/**
 * A key that lives as long as the server: the leader makes it and hands it to the other processes. Whoever has it keeps
 * it, so that a leader that takes over has it from itself or from another.
 */
export class SharedSigningKey {
  readonly #workers: Workers
  #key: JsonWebKey | undefined
  #parsed: Promise<SigningKey> | undefined

  constructor (workers: Workers) {
    this.#workers = workers
    workers.subscribe(TOPIC, () => this.#key)
    workers.serve(TOPIC, async () => await this.#lead())
  }

  /** @throws {OciError} UNAVAILABLE while there is no leader to be asked */
  async get (): Promise<SigningKey> {
    this.#parsed ??= this.#fetch()
    try {
      return await this.#parsed
    } catch (cause) {
      this.#parsed = undefined
      throw new OciError('UNAVAILABLE', { cause })
    }
  }

  async #fetch (): Promise<SigningKey> {
    this.#key ??= await this.#workers.ask(TOPIC, null) as JsonWebKey
    return await signingKey(createPrivateKey({ key: this.#key, format: 'jwk' }))
  }

  async #lead (): Promise<JsonWebKey> {
    if (this.#key === undefined) {
      const [kept] = await this.#workers.broadcast(TOPIC, null)
      this.#key ??= kept as JsonWebKey | undefined ?? generate().export({ format: 'jwk' })
    }
    return this.#key
  }
}

/**
 * Reads keys whose tokens are still good: PEM (certificates, public or private keys), a JWK, or a JSON Web Key Set.
 *
 * @throws {ConfigError} when it cannot be read, or a key in it cannot be used
 */
export async function readPublicKeys (key: string, path: string): Promise<KeysById> {
  try {
    const text = readFileSync(path, 'utf8')
    if (isJson(text)) return await parseKeySet('keys' in (JSON.parse(text) as object) ? text : `{"keys":[${text}]}`)
    const blocks = text.match(/-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g) ?? []
    const trusted = blocks.map(block => trustedKey(createPublicKey(block)))
    if (trusted.length === 0 || trusted.includes(undefined)) throw new Error('there is no key in it that can verify tokens')
    const entries = await Promise.all((trusted as TrustedKey[]).map(async one => (await keyIds(one.key)).map(id => [id, one] as const)))
    return new Map(entries.flat())
  } catch (error) {
    return configured(key, () => { throw error })
  }
}
