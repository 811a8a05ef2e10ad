import type { JWTPayload } from 'jose'
import type { AccessRecord } from './access.js'

/** What a token lets its bearer do. */
export interface TokenClaims {
  readonly user?: string
  /** Groups of the user, in tokens of our own. */
  readonly groups: readonly string[]
  /** Seconds since 1970. */
  readonly expires: number
  /** Resource (`repository:team/app`) → actions. */
  readonly access: ReadonlyMap<string, ReadonlySet<string>>
}

/**
 * Reads the claims of a token whose signature has been checked.
 *
 * @throws {TypeError} when they do not have the shape of a registry's token
 */
export function readClaims ({ sub, exp, access = [], groups }: JWTPayload): TokenClaims {
  if (sub !== undefined && typeof sub !== 'string') throw new TypeError('sub must be a text')
  if (access !== null && !Array.isArray(access)) throw new TypeError('access must be a list')
  const granted = new Map<string, Set<string>>()
  for (const entry of (access ?? []) as unknown[]) {
    const { type, name, actions } = (entry ?? {}) as Record<string, unknown>
    if (typeof type !== 'string' || typeof name !== 'string') throw new TypeError('entries of access must have type and name')
    if (actions !== undefined && actions !== null && !isTexts(actions)) throw new TypeError('actions must be a list of texts')
    const key = `${withoutClass(type)}:${name}`
    const all = granted.get(key) ?? new Set()
    granted.set(key, all)
    for (const action of actions ?? []) all.add(action)
  }
  return { ...(sub === undefined || sub === '' ? {} : { user: sub }), groups: isTexts(groups) ? groups : [], expires: exp ?? 0, access: granted }
}

/** Whether the claims allow all of the records. */
export function covers ({ access }: TokenClaims, records: readonly AccessRecord[]): boolean {
  return records.every(({ type, name, action }) => {
    const actions = access.get(`${type}:${name}`)
    return actions !== undefined && (actions.has(action) || actions.has('*'))
  })
}

/** `repository(plugin)` → `repository`: what kind of content it is does not decide who may have it. */
export function withoutClass (type: string): string {
  return type.replace(/\([^()]*\)$/, '')
}

function isTexts (value: unknown): value is string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string')
}
