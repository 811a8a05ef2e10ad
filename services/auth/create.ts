import type { RegistryConfig } from '../../schemas/config/index.js'
import { parseDuration } from '../config/duration.js'
import type { DebugVariables } from '../debug/variables.js'
import type { Workers } from '../workers/workers.js'
import { openAccess } from './access.js'
import type { AccessController, AccessRequest, Authorize, Grant } from './access.js'
import { BasicController } from './basic-controller.js'
import type { HtpasswdCredentials } from './htpasswd.js'
import type { AuthLog } from './htpasswd-file.js'
import { Logins } from './logins.js'
import { AccessPolicy } from './policy.js'
import { SillyController } from './silly.js'
import type { TokenServer } from './token-server.js'
import type { Tracing } from '../tracing/tracing.js'

type AuthConfig = NonNullable<RegistryConfig['auth']>
type HtpasswdConfig = NonNullable<AuthConfig['htpasswd']>

export interface AccessParts {
  readonly workers: Workers
  readonly log: AuthLog
  readonly debug?: DebugVariables
  /** What precedes our routes, without a slash at the end. */
  readonly prefix?: string
  /** `http.host`: how clients call this server, if that is configured. */
  readonly host?: string | undefined
  /** Undefined where requests are not traced. */
  readonly tracing?: Tracing | undefined
}

/** A controller that may come with a token server: what hands out the tokens that it takes. */
export interface ConfiguredController extends AccessController {
  readonly tokenServer?: TokenServer
}

/** The controller a validated configuration names. @throws {ConfigError} when it cannot be opened */
export async function createAccessController ({ silly, htpasswd, token }: AuthConfig, parts: AccessParts): Promise<ConfiguredController> {
  if (silly !== undefined) return new SillyController(silly)
  if (htpasswd !== undefined) return await passwordController(htpasswd, parts)
  if (token === undefined) return openAccess
  // Loaded where it is needed: the cryptography of tokens would cost every start.
  const { createTokenController } = await import('./create-token.js')
  const { controller, verifier } = await createTokenController(token, { tracing: parts.tracing, warn: (message, err) => { parts.log.warn({ err }, message) } })
  parts.debug?.publish('token', () => verifier.state)
  return controller
}

async function passwordController (htpasswd: HtpasswdConfig, parts: AccessParts): Promise<ConfiguredController> {
  const { realm, tokenserver } = htpasswd
  const [credentials, policy] = [await openCredentials(htpasswd, parts), policyOf(htpasswd)]
  if (tokenserver === undefined) return new BasicController({ realm, credentials, policy })
  const { createTokenServer } = await import('./create-token-server.js')
  const { controller, state } = await createTokenServer(tokenserver, { ...parts, realm, credentials, policy })
  parts.debug?.publish('token', state)
  return controller
}

/** The users of a configuration. @throws {ConfigError} when their file cannot be used */
export async function openCredentials ({ path, groups, throttle }: Pick<HtpasswdConfig, 'path' | 'groups' | 'throttle'>, { workers, log, debug }: AccessParts): Promise<HtpasswdCredentials> {
  const [{ HtpasswdCredentials }, { HtpasswdFile }] = await Promise.all([import('./htpasswd.js'), import('./htpasswd-file.js')])
  const { free, delay, maxdelay } = throttle
  const logins = new Logins({ workers, free, delay: parseDuration(delay), maxDelay: parseDuration(maxdelay) })
  const credentials = new HtpasswdCredentials({ file: await HtpasswdFile.open({ path, log }), logins, ...(groups === undefined ? {} : { groups }) })
  debug?.publish('logins', () => ({ known: credentials.size, ...logins.numbers }))
  return credentials
}

/** The policy of a configuration; undefined when it has no rules. */
export function policyOf ({ access }: Pick<HtpasswdConfig, 'access'>): AccessPolicy | undefined {
  return access === undefined ? undefined : new AccessPolicy(access)
}

/** A host's own rules: an object or a function. What it answers must be a grant; anything else lets nobody in. */
export function hostedController<Request extends AccessRequest> (hosted: AccessController<Request> | Authorize<Request>): AccessController<Request> {
  const authorize: Authorize<Request> = typeof hosted === 'function' ? hosted : hosted.authorize.bind(hosted)
  return {
    authorize (request, records) {
      const answer = authorize(request, records)
      return isPromise(answer) ? Promise.resolve(answer).then(asGrant) : asGrant(answer)
    }
  }
}

/** Of whatever library. */
function isPromise (answer: Grant | Promise<Grant>): answer is Promise<Grant> {
  return typeof answer === 'object' && answer !== null && 'then' in answer && typeof answer.then === 'function'
}

function asGrant (answer: Grant): Grant {
  // JavaScript lets a host return false, or nothing, and mean no.
  if (typeof answer !== 'object' || answer === null) throw new TypeError('accessController: a grant is needed, or an OciError that is thrown')
  return answer
}
