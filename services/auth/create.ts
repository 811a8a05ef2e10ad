import type { RegistryConfig } from '../../schemas/config/index.js'
import { parseDuration } from '../config/duration.js'
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

type AuthConfig = NonNullable<RegistryConfig['auth']>
type HtpasswdConfig = NonNullable<AuthConfig['htpasswd']>

export interface AccessParts {
  readonly workers: Workers
  readonly log: AuthLog
}

/** The controller a validated configuration names. @throws {ConfigError} when it cannot be opened */
export async function createAccessController ({ silly, htpasswd }: AuthConfig, parts: AccessParts): Promise<AccessController> {
  if (silly !== undefined) return new SillyController(silly)
  if (htpasswd !== undefined) {
    return new BasicController({ realm: htpasswd.realm, credentials: await openCredentials(htpasswd, parts), policy: policyOf(htpasswd) })
  }
  return openAccess
}

/** The users of a configuration. @throws {ConfigError} when their file cannot be used */
export async function openCredentials ({ path, groups, throttle }: Pick<HtpasswdConfig, 'path' | 'groups' | 'throttle'>, { workers, log }: AccessParts): Promise<HtpasswdCredentials> {
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
