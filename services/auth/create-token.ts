import type { RegistryConfig } from '../../schemas/config/index.js'
import { parseDuration } from '../config/duration.js'
import { ConfigError } from '../errors/config-error.js'
import { KeySet } from './keys/key-set.js'
import { fileLoader, urlLoader } from './keys/load-keys.js'
import { TrustedKeys, configured, readBundle } from './keys/trusted-keys.js'
import { autoRedirected } from './realm.js'
import { TokenController } from './token.js'
import { TokenVerifier } from './token-verifier.js'
import type { Tracing } from '../tracing/tracing.js'

export type TokenConfig = NonNullable<NonNullable<RegistryConfig['auth']>['token']>

export interface TokenControllerContext {
  readonly warn: (message: string, error: unknown) => void
  readonly tracing?: Tracing | undefined
  readonly now?: () => number
}

/** A file is looked at again after 2 seconds, or when a token names a key that is not in it, at most once a second. */
const FILE = { maxAgeMs: 2000, cooldownMs: 1000 }

/**
 * Makes the controller of `auth.token`. A key set behind a URL is asked for and not waited for: the registry starts
 * without it, and refuses tokens until it is there.
 *
 * @throws {ConfigError} when the keys cannot be read, or there are none
 */
export async function createTokenController (config: TokenConfig, { warn, tracing, now = Date.now }: TokenControllerContext): Promise<{ controller: TokenController, verifier: TokenVerifier }> {
  const { realm, service, services, issuer, issuers, rootcertbundle, jwks, jwksurl, autoredirect, autoredirectpath } = config
  if (rootcertbundle === undefined && jwks === undefined && jwksurl === undefined) {
    throw new ConfigError('auth.token: one of rootcertbundle, jwks and jwksurl is needed')
  }
  const algorithms = verifiable(config.signingalgorithms)
  const bundle = rootcertbundle === undefined ? {} : await readBundle('auth.token.rootcertbundle', rootcertbundle)
  const changed = (): void => { verifier.forget() }
  const set = (source: string, options: Pick<ConstructorParameters<typeof KeySet>[0], 'load' | 'maxAgeMs' | 'cooldownMs'>): KeySet => new KeySet({
    ...options, now, changed, failed: error => { warn(`${source} cannot be read; the keys from before stay in use`, error) }
  })
  const file = jwks === undefined ? undefined : set('auth.token.jwks', { ...FILE, load: fileLoader(jwks) })
  const url = jwksurl === undefined ? undefined : set('auth.token.jwksurl', { load: urlLoader(jwksurl, { tracing }), maxAgeMs: parseDuration(config.jwksmaxage), cooldownMs: parseDuration(config.jwkscooldown) })
  const keys = new TrustedKeys({ ...bundle, sets: [file, url].filter(one => one !== undefined) })
  const verifier = new TokenVerifier({ keys, issuers: [issuer, ...issuers], audiences: [service, ...services], algorithms, now })
  await file?.load().catch((error: unknown) => configured('auth.token.jwks', () => { throw error }))
  url?.touch()
  return { verifier, controller: new TokenController({ verifier, service, realm: autoredirect ? autoRedirected(autoredirectpath, realm) : () => realm }) }
}

/** @throws {ConfigError} when nothing is left: a MAC cannot be verified with a public key */
function verifiable (names: readonly string[]): readonly string[] | undefined {
  if (names.length === 0) return undefined
  const asymmetric = names.filter(name => !name.startsWith('HS'))
  if (asymmetric.length === 0) throw new ConfigError('auth.token.signingalgorithms: HS256, HS384 and HS512 cannot verify tokens, because all keys are public; name another')
  return asymmetric
}
