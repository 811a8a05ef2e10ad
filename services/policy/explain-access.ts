import type { RegistryConfig } from '../../schemas/config/index.js'
import type { Action } from '../auth/access.js'
import type { Identity } from '../auth/credentials.js'
import { AccessPolicy } from '../auth/policy.js'
import type { RepositoryName } from '../reference/reference.js'
import type { Finding } from './finding.js'

/** What a request with that action asks of the access controller. */
const NEEDED = { pull: ['pull'], push: ['pull', 'push'], delete: ['delete'] } as const satisfies Record<string, readonly Action[]>

export interface AccessQuestion {
  readonly repository: RepositoryName
  readonly action: keyof typeof NEEDED
  /** Undefined for somebody without credentials. */
  readonly user: string | undefined
}

/** Which rule of `auth` lets somebody in, supposing that the credentials are right. */
export function explainAccess (auth: RegistryConfig['auth'], question: AccessQuestion, { isHosted }: { readonly isHosted: boolean }): Finding[] {
  if (isHosted) return [{ rule: 'accessController', decision: 'depends', reason: 'the application that the registry is part of decides' }]
  if (auth?.htpasswd !== undefined) return explainHtpasswd(auth.htpasswd, question)
  if (auth?.silly !== undefined) return [bySomething('auth.silly', question.user, 'any Authorization header is enough')]
  if (auth?.token !== undefined) return [{ rule: 'auth.token', decision: 'depends', reason: `the token decides: it needs repository:${question.repository}:${NEEDED[question.action].join(',')}` }]
  return [{ rule: 'auth', decision: 'allow', reason: 'there is no access control' }]
}

type Htpasswd = NonNullable<NonNullable<RegistryConfig['auth']>['htpasswd']>

function explainHtpasswd ({ access, groups = {} }: Htpasswd, { user, repository, action }: AccessQuestion): Finding[] {
  if (access === undefined) return [bySomething('auth.htpasswd', user, 'whoever has a password may do everything')]
  const identity: Identity | undefined = user === undefined
    ? undefined
    : { user, groups: Object.entries(groups).filter(([, members]) => members.includes(user)).map(([name]) => name) }
  const rules = access.map(rule => new AccessPolicy([rule]))
  const who = identity === undefined ? 'somebody without credentials' : [user, ...identity.groups.map(group => `in ${group}`)].join(' ')
  return NEEDED[action].map(needed => {
    const at = rules.findIndex(rule => rule.allows(identity, { type: 'repository', name: repository, action: needed }))
    return at === -1
      ? { rule: 'auth.htpasswd.access', decision: 'deny', reason: `no rule lets ${who} ${needed}` }
      : { rule: `auth.htpasswd.access[${at}]`, decision: 'allow', reason: `lets ${who} ${needed}` }
  })
}

function bySomething (rule: string, user: string | undefined, reason: string): Finding {
  return user === undefined ? { rule, decision: 'deny', reason: 'credentials are needed' } : { rule, decision: 'allow', reason }
}
