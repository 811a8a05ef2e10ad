import { isRepositoryName } from '../reference/reference.js'
import type { AccessRecord, Action } from './access.js'
import { withoutClass } from './claims.js'

/** One resource and what is asked for, or granted, on it: an entry of a token's `access` claim. */
export interface ScopedAccess {
  readonly type: AccessRecord['type']
  readonly class?: string
  readonly name: string
  readonly actions: readonly Action[]
}

/**
 * Reads the `scope` parameters of a token request: each may hold several scopes, and there may be several of them. Types,
 * names and actions that no registry has are passed over: asking for more than there is is no mistake.
 */
export function parseScopes (values: readonly string[]): ScopedAccess[] {
  const found = new Map<string, { scope: ScopedAccess, actions: Set<Action> }>()
  for (const text of values.flatMap(value => value.split(/\s+/))) {
    const scope = parseScope(text)
    if (scope === undefined) continue
    const key = `${scope.type}:${scope.class ?? ''}:${scope.name}`
    const entry = found.get(key) ?? { scope, actions: new Set<Action>() }
    found.set(key, entry)
    for (const action of scope.actions) entry.actions.add(action)
  }
  return [...found.values()].map(({ scope, actions }) => ({ ...scope, actions: [...actions] }))
}

/** `repository(plugin):team/app:pull,push`. The name is between the first and the last colon: it may look like a host with a port. */
function parseScope (text: string): ScopedAccess | undefined {
  const match = /^([^:]+):(.+):([^:]*)$/.exec(text)
  if (match === null) return undefined
  const [, typeAndClass = '', name = '', actions = ''] = match
  const type = withoutClass(typeAndClass)
  const known = ACTIONS.filter(action => actions.split(',').includes(action))
  if (type === 'registry') return name === 'catalog' && known.includes('*') ? { type, name, actions: ['*'] } : undefined
  if (type !== 'repository' || !isRepositoryName(name) || known.length === 0) return undefined
  const kind = typeAndClass.slice(type.length + 1, -1)
  return { type, ...(kind === '' ? {} : { class: kind }), name, actions: known }
}

const ACTIONS: readonly Action[] = ['pull', 'push', 'delete', '*']

/** What of the scopes is allowed. `*` asks for everything there is, and comes back only if all of it is allowed. */
export function grantScopes (scopes: readonly ScopedAccess[], allows: (record: AccessRecord) => boolean): ScopedAccess[] {
  return scopes.flatMap(scope => {
    const { type, name } = scope
    const wanted = type === 'repository' && scope.actions.includes('*') ? ACTIONS : scope.actions
    const actions = wanted.filter(action => allows({ type, name, action }))
    return actions.length === 0 ? [] : [{ ...scope, actions }]
  })
}

/** Scopes as one text, as a token response tells what it grants. */
export function formatScopes (scopes: readonly ScopedAccess[]): string {
  return scopes.map(({ type, class: kind, name, actions }) => `${type}${kind === undefined ? '' : `(${kind})`}:${name}:${actions.join(',')}`).join(' ')
}
