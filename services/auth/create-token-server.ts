import type { RegistryConfig } from '../../schemas/config/index.js'
import { parseDuration } from '../config/duration.js'
import { ConfigError } from '../errors/config-error.js'
import type { Workers } from '../workers/workers.js'
import { BasicController } from './basic-controller.js'
import type { TokenClaims } from './claims.js'
import type { Identity } from './credentials.js'
import type { KeysById } from './keys/key-set.js'
import { SharedSigningKey, fileSigningKey, readPublicKeys } from './keys/signing-key.js'
import type { SigningKey } from './keys/signing-key.js'
import { TrustedKeys } from './keys/trusted-keys.js'
import type { AccessPolicy } from './policy.js'
import { ownRealm } from './realm.js'
import { TokenController } from './token.js'
import { TokenServer } from './token-server.js'
import type { RenewableCredentials } from './token-server.js'
import { TokenServerController } from './token-server-controller.js'
import { TokenVerifier } from './token-verifier.js'

type HtpasswdConfig = NonNullable<NonNullable<RegistryConfig['auth']>['htpasswd']>
export type TokenServerConfig = NonNullable<HtpasswdConfig['tokenserver']>

export interface TokenServerParts {
  readonly credentials: RenewableCredentials
  readonly policy: AccessPolicy | undefined
  readonly workers: Workers
  /** What precedes our routes, without a slash at the end. */
  readonly prefix?: string
  /** `http.host`. */
  readonly host?: string | undefined
  /** Of the Basic scheme. */
  readonly realm: string
  readonly now?: () => number
}

const KEY = 'auth.htpasswd.tokenserver'
const MIN_EXPIRATION_MS = 60_000

/**
 * Makes the token server of `auth.htpasswd.tokenserver` and the controller that takes its tokens.
 *
 * @throws {ConfigError} when keys cannot be read, or tokens would expire before clients can use them
 */
export async function createTokenServer (config: TokenServerConfig, { credentials, policy, workers, prefix = '', host, realm, now = Date.now }: TokenServerParts): Promise<{ controller: TokenServerController, state: () => Record<string, unknown> }> {
  const { path, issuer, service = `oci-registry${prefix}`, expiration, refreshtokens } = config
  // Whatever it says, docker keeps a token for a minute.
  if (!(parseDuration(expiration) >= MIN_EXPIRATION_MS)) throw new ConfigError(`${KEY}.expiration: at least 60s are needed, not ${JSON.stringify(expiration)}`)
  if (refreshtokens.enabled && config.privatekey === undefined) throw new ConfigError(`${KEY}.privatekey: is missing; refresh tokens must be good after a restart too`)
  const signingKey = await openSigningKey(config.privatekey, workers)
  const keys = new TrustedKeys({ fixed: await olderKeys(config.publickeys), own: async () => (await signingKey()).trusted })
  const verifier = new TokenVerifier({ keys, issuers: [issuer], audiences: [service], now })
  const tokenServer = new TokenServer({
    credentials,
    policy,
    signingKey,
    keys,
    issuer,
    service,
    now,
    expirationSeconds: seconds(expiration),
    refreshSeconds: refreshtokens.enabled ? seconds(refreshtokens.expiration) : undefined
  })
  const tokens = new TokenController({
    verifier,
    service,
    realm: config.realm === undefined ? ownRealm({ path, prefix, host }) : () => config.realm as string,
    visible: claims => policy?.visibleTo(identityOf(claims))
  })
  const passwords = config.basic ? new BasicController({ realm, credentials, policy }) : undefined
  const controller = new TokenServerController({ tokens, passwords, tokenServer, close: async () => { await credentials.close() } })
  return { controller, state: () => ({ ...verifier.state, server: tokenServer.state }) }
}

async function openSigningKey (path: string | undefined, workers: Workers): Promise<() => Promise<SigningKey>> {
  if (path !== undefined) {
    const key = await fileSigningKey(`${KEY}.privatekey`, path)
    return async () => key
  }
  const shared = new SharedSigningKey(workers)
  return async () => await shared.get()
}

async function olderKeys (paths: readonly string[]): Promise<KeysById> {
  const keys = await Promise.all(paths.map(async (path, i) => [...await readPublicKeys(`${KEY}.publickeys[${i}]`, path)]))
  return new Map(keys.flat())
}

function identityOf ({ user, groups }: TokenClaims): Identity | undefined {
  return user === undefined ? undefined : { user, groups }
}

function seconds (duration: string): number {
  return Math.floor(parseDuration(duration) / 1000)
}
