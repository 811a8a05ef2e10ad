import { createHash } from 'node:crypto'
import type * as Google from 'google-auth-library'
import { ConfigError } from '../errors/config-error.js'
import type { GcsOptions } from './gcs-settings.js'

/** All that a key is used for; other identities also sign URLs, which is another service. */
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_write'
const WIDE_SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
const URL_SECONDS = 20 * 60

/** Who we are for the service: what requests carry, and what signs URLs. */
export class GcsAccess {
  readonly #auth: Google.GoogleAuth
  readonly #client: Google.AuthClient
  readonly #origin: string
  readonly #email: string | undefined

  /** @throws {ConfigError} when Google's library is not installed; what is wrong with a credential is thrown as that library has it */
  static async open ({ keyfile, credentials, endpoint }: GcsOptions): Promise<GcsAccess> {
    const { GoogleAuth, JWT } = await loadGoogleAuth()
    const auth = new GoogleAuth({
      scopes: [SCOPE, WIDE_SCOPE],
      ...keyfile === undefined ? {} : { keyFile: keyfile },
      ...credentials === undefined ? {} : { credentials: withLines(credentials) }
    })
    const client = await auth.getClient()
    if (client instanceof JWT) {
      client.scopes = [SCOPE]
      // Signed here: nobody has to be asked for a token.
      client.useJWTAccessWithScope = true
    }
    return new GcsAccess({ auth, client, origin: new URL(endpoint).origin, email: await signerOf(auth) })
  }

  private constructor ({ auth, client, origin, email }: { auth: Google.GoogleAuth, client: Google.AuthClient, origin: string, email: string | undefined }) {
    this.#auth = auth
    this.#client = client
    this.#origin = origin
    this.#email = email
  }

  get canSign (): boolean {
    return this.#email !== undefined
  }

  /** The value of the Authorization header. */
  async authorization (): Promise<string> {
    return (await this.#client.getRequestHeaders(this.#origin)).get('authorization') ?? ''
  }

  /** A URL that is good for 20 minutes, signed as Google's version 4 has it; null when this identity cannot sign. */
  async signedUrl (bucket: string, key: string, method: 'GET' | 'HEAD', now = new Date()): Promise<string | null> {
    if (this.#email === undefined) return null
    const time = now.toISOString().replace(/[-:]|\.\d+/g, '')
    const scope = `${time.slice(0, 8)}/auto/storage/goog4_request`
    const path = `/${[bucket, ...key.split('/')].map(encoded).join('/')}`
    const query = Object.entries({
      'X-Goog-Algorithm': 'GOOG4-RSA-SHA256',
      'X-Goog-Credential': `${this.#email}/${scope}`,
      'X-Goog-Date': time,
      'X-Goog-Expires': String(URL_SECONDS),
      'X-Goog-SignedHeaders': 'host'
    }).map(([name, value]) => `${name}=${encoded(value)}`).join('&')
    const canonical = [method, path, query, `host:${new URL(this.#origin).host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n')
    const signature = await this.#auth.sign(['GOOG4-RSA-SHA256', time, scope, createHash('sha256').update(canonical).digest('hex')].join('\n'))
    return `${this.#origin}${path}?${query}&X-Goog-Signature=${Buffer.from(signature, 'base64').toString('hex')}`
  }
}

async function loadGoogleAuth (): Promise<typeof Google> {
  try {
    return await import('google-auth-library')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new ConfigError('storage.gcs: needs a package that is not installed: npm install google-auth-library', { cause: error })
  }
}

/**
 * The account in whose name URLs can be signed: with its key, or by the service, if it lets us. Tried once: clients of
 * others get everything through the registry.
 */
async function signerOf (auth: Google.GoogleAuth): Promise<string | undefined> {
  try {
    const { client_email: email } = await auth.getCredentials()
    if (email !== undefined) await auth.sign('')
    return email
  } catch {
    return undefined
  }
}

/** In the environment, a key often has its line breaks spelt out. */
function withLines (credentials: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { private_key: key } = credentials
  return typeof key === 'string' ? { ...credentials, private_key: key.replaceAll('\\n', '\n') } : { ...credentials }
}

function encoded (text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
