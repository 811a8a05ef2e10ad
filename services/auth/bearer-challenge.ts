import type { AccessRecord } from './access.js'
import { quoted } from './basic.js'

export interface BearerChallenge {
  readonly realm: string
  readonly service: string
  readonly records: readonly AccessRecord[]
  readonly error?: 'invalid_token' | 'insufficient_scope' | undefined
}

/**
 * The `WWW-Authenticate` header that sends a client to the token server (docker's token specification; R-243):
 * `Bearer realm="…",service="…",scope="repository:a:pull,push repository:b:pull",error="insufficient_scope"`.
 */
export function bearerChallenge ({ realm, service, records, error }: BearerChallenge): string {
  const scope = scopeOf(records)
  const parameters = { realm, service, ...(scope === '' ? {} : { scope }), ...(error === undefined ? {} : { error }) }
  return `Bearer ${Object.entries(parameters).map(([name, value]) => `${name}=${quoted(value)}`).join(',')}`
}

const ORDER = ['pull', 'push', 'delete']

/** What records ask for in one text: the actions of a resource together, always in the same order. */
export function scopeOf (records: readonly AccessRecord[]): string {
  const resources = new Map<string, Set<string>>()
  for (const { type, name, action } of records) {
    const key = `${type}:${name}`
    const actions = resources.get(key) ?? new Set()
    resources.set(key, actions.add(action))
  }
  return [...resources].map(([resource, actions]) => `${resource}:${[...actions].sort(byOrder).join(',')}`).join(' ')
}

function byOrder (a: string, b: string): number {
  return ORDER.indexOf(a) - ORDER.indexOf(b)
}
