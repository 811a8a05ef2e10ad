import type { RegistryConfig } from '../../schemas/config/index.js'
import { parseDuration } from '../config/duration.js'
import type { DebugVariables } from '../debug/variables.js'
import type { Workers } from '../workers/workers.js'
import { openAccess } from './access.js'
import type { AccessController, AccessRequest, Authorize, Grant } from './access.js'
import { BasicController } from './basic-controller.js'
import { HtpasswdCredentials } from './htpasswd.js'
import { HtpasswdFile } from './htpasswd-file.js'
import type { AuthLog } from './htpasswd-file.js'
import { Logins } from './logins.js'
import { AccessPolicy } from './policy.js'
import { SillyController } from './silly.js'
import type { TokenServer } from './token-server.js'

type AuthConfig = NonNullable<RegistryConfig['auth']>
type HtpasswdConfig = NonNullable<AuthConfig['htpasswd']>

export interface AccessParts {
  readonly workers: Workers
  readonly log: AuthLog
  readonly debug: DebugVariables
  /** What precedes our routes, without a slash at the end. */
  readonly prefix: string
  /** `http.host`: how clients call this server, if that is configured. */
  readonly host: string | undefined
}

export interface Access {
  readonly controller: AccessController
  /** Hands out the tokens that the controller takes, where the registry does that itself. */
  readonly tokenServer?: TokenServer
}

/** The controller a validated configuration names. @throws {ConfigError} when it cannot be opened */
export async function createAccess ({ silly, htpasswd, token }: AuthConfig, parts: AccessParts): Promise<Access> {
  if (silly !== undefined) return { controller: new SillyController(silly) }
  if (htpasswd !== undefined) return await passwordAccess(htpasswd, parts)
  if (token === undefined) return { controller: openAccess }
  // Loaded where it is needed: the cryptography of tokens would cost every start.
  const { createTokenController } = await import('./create-token.js')
  const { controller, verifier } = await createTokenController(token, { warn: (message, err) => { parts.log.warn({ err }, message) } })
  parts.debug.publish('token', () => verifier.state)
  return { controller }
}

async function passwordAccess (htpasswd: HtpasswdConfig, parts: AccessParts): Promise<Access> {
  const { realm, tokenserver } = htpasswd
  const [credentials, policy] = [await openCredentials(htpasswd, parts), policyOf(htpasswd)]
  if (tokenserver === undefined) return { controller: new BasicController({ realm, credentials, policy }) }
  const { createTokenServer } = await import('./create-token-server.js')
  const { controller, server, state } = await createTokenServer(tokenserver, { ...parts, realm, credentials, policy })
  parts.debug.publish('token', state)
  return { controller, tokenServer: server }
}

/** The users of a configuration. @throws {ConfigError} when their file cannot be used */
export async function openCredentials ({ path, groups, throttle }: Pick<HtpasswdConfig, 'path' | 'groups' | 'throttle'>, { workers, log }: Pick<AccessParts, 'workers' | 'log'>): Promise<HtpasswdCredentials> {
  const { free, delay, maxdelay } = throttle
  const logins = new Logins({ workers, free, delay: parseDuration(delay), maxDelay: parseDuration(maxdelay) })
  return new HtpasswdCredentials({ file: await HtpasswdFile.open({ path, log }), logins, ...(groups === undefined ? {} : { groups }) })
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
