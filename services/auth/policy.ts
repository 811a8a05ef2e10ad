import picomatch from 'picomatch'
import { isRepositoryName } from '../reference/reference.js'
import type { Visibility } from '../registry/types.js'
import type { AccessRecord, Action } from './access.js'
import type { Identity } from './credentials.js'

/** One thing that is allowed: to whom, where, and what. */
export interface AccessRule {
  /** Globs over whole names: `*` is any part of one component, `**` any number of components. */
  readonly repositories: readonly string[]
  readonly actions: readonly Action[]
  readonly users?: readonly string[]
  readonly groups?: readonly string[]
  /** Everybody with valid credentials. */
  readonly authenticated?: boolean
  /** Everybody. */
  readonly anonymous?: boolean
}

/** `team/**` is what lies below `team`, and not `team` itself. */
const GLOB = { dot: true, nonegate: true, noextglob: true, strictSlashes: true } as const

interface CompiledRule {
  readonly isFor: (identity: Identity | undefined) => boolean
  readonly actions: ReadonlySet<Action>
  /** All actions on all repositories: who may do that runs the registry. */
  readonly isEverything: boolean
  readonly patterns: ReadonlyArray<{ readonly matches: (name: string) => boolean, readonly mayContain: (path: string) => boolean }>
}

/** Who may do what in which repository. What no rule allows is denied. */
export class AccessPolicy {
  readonly #rules: readonly CompiledRule[]

  constructor (rules: readonly AccessRule[]) {
    this.#rules = rules.map(({ repositories, actions, ...who }) => ({
      isFor: identity => concerns(who, identity),
      actions: new Set(actions),
      isEverything: repositories.includes('**') && actions.includes('*'),
      patterns: repositories.map(pattern => ({ matches: picomatch(pattern, GLOB), mayContain: prefixMatcher(pattern) }))
    }))
  }

  /**
   * Whether somebody, undefined for a stranger, may do what the record says. The catalog is for all who may pull
   * something; what it lists is for {@link visibleTo} to say. To run the registry takes a rule that allows `*` on `**`.
   */
  allows (identity: Identity | undefined, { type, name, action }: AccessRecord): boolean {
    if (type === 'registry' && name === 'admin') return identity !== undefined && this.#rules.some(rule => rule.isEverything && rule.isFor(identity))
    if (type === 'registry') return name === 'catalog' && this.#rulesFor(identity, 'pull').length > 0
    if (!isRepositoryName(name)) return false
    return action === '*'
      ? (['pull', 'push', 'delete'] as const).every(each => this.#allows(identity, name, each))
      : this.#allows(identity, name, action)
  }

  /** What of the registry somebody may see. */
  visibleTo (identity: Identity | undefined): Visibility {
    const patterns = this.#rulesFor(identity, 'pull').flatMap(rule => rule.patterns)
    return {
      mayPull: name => patterns.some(({ matches }) => matches(name)),
      mayContain: path => patterns.some(({ mayContain }) => mayContain(path))
    }
  }

  #allows (identity: Identity | undefined, name: string, action: Action): boolean {
    return this.#rules.some(rule => grants(rule, action) && rule.isFor(identity) && rule.patterns.some(({ matches }) => matches(name)))
  }

  #rulesFor (identity: Identity | undefined, action: Action): CompiledRule[] {
    return this.#rules.filter(rule => grants(rule, action) && rule.isFor(identity))
  }
}

function grants ({ actions }: CompiledRule, action: Action): boolean {
  return actions.has(action) || actions.has('*')
}

function concerns ({ users = [], groups = [], authenticated = false, anonymous = false }: Omit<AccessRule, 'repositories' | 'actions'>, identity: Identity | undefined): boolean {
  if (anonymous) return true
  if (identity === undefined) return false
  return authenticated || users.includes(identity.user) || groups.some(group => identity.groups.includes(group))
}

/** Whether a name that begins with the path and a slash can match. It may say yes to more, never no to one that does. */
function prefixMatcher (pattern: string): (path: string) => boolean {
  // A slash inside of braces or brackets parts no components.
  if (/[{[][^}\]]*\//.test(pattern)) return () => true
  const components = pattern.split('/')
  const deep = components.findIndex(component => component.includes('**'))
  const matchers = components.slice(0, deep === -1 ? -1 : deep).map(component => picomatch(component, GLOB))
  return path => {
    const parts = path.split('/')
    if (deep === -1 && parts.length > matchers.length) return false
    return parts.every((part, i) => matchers[i]?.(part) ?? true)
  }
}
