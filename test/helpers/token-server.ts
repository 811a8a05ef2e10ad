import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { decodeJwt } from 'jose'
import type { Test } from 'tap'
import type { RegistryOptions } from '../../registry.js'
import { basic, htpasswdFile } from './auth.js'
import { build } from './build.js'

export type Htpasswd = NonNullable<NonNullable<RegistryOptions['auth']>['htpasswd']>
export type TokenServer = NonNullable<Htpasswd['tokenserver']>

export const USERS = { ann: 'correct horse', bob: 'battery staple' }
export const SERVICE = 'oci-registry'
export const ACCESS: NonNullable<Htpasswd['access']> = [
  { repositories: ['public/**'], actions: ['pull'], anonymous: true },
  { repositories: ['team/**'], actions: ['pull', 'push'], groups: ['devs'] },
  { repositories: ['**'], actions: ['*'], users: ['bob'] }
]

export interface Served { readonly app: FastifyInstance, readonly users: string }

export interface Options extends RegistryOptions {
  readonly prefix?: string
  /** Null for none. */
  readonly access?: Htpasswd['access'] | null
  readonly throttle?: Htpasswd['throttle']
  /** A file of users that is there already. */
  readonly users?: string
}

export async function served (t: Test, tokenserver: Partial<TokenServer> = {}, { access = ACCESS, users: existing, throttle = {}, ...options }: Options = {}): Promise<Served> {
  const users = existing ?? await htpasswdFile(t, USERS)
  const rules = access === null ? {} : { access, groups: { devs: ['ann'] } }
  const app = await build(t, { storage: { inmemory: {}, delete: { enabled: true } }, auth: { htpasswd: { realm: 'Test', path: users, ...rules, throttle, tokenserver } }, ...options })
  return { app, users }
}

export interface Answer { readonly token: string, readonly access_token: string, readonly expires_in: number, readonly issued_at: string, readonly scope: string, readonly refresh_token?: string }

export async function get (app: FastifyInstance, query: string, authorization?: string): Promise<LightMyRequestResponse> {
  return await app.inject({ url: `/auth/token?${query}`, headers: authorization === undefined ? {} : { authorization } })
}

export async function post (app: FastifyInstance, form: Record<string, string> | string, type = 'application/x-www-form-urlencoded'): Promise<LightMyRequestResponse> {
  const payload = typeof form === 'string' ? form : new URLSearchParams(form).toString()
  return await app.inject({ method: 'POST', url: '/auth/token', payload, headers: { 'content-type': type } })
}

export async function tokenFor (app: FastifyInstance, scope: string, authorization?: string): Promise<string> {
  const { token } = (await get(app, `service=${SERVICE}&scope=${encodeURIComponent(scope)}`, authorization)).json<Answer>()
  return token
}

export function granted (response: LightMyRequestResponse): string[] {
  const { access } = decodeJwt<{ access: Array<{ type: string, class?: string, name: string, actions: string[] }> }>(response.json<Answer>().token)
  return access.map(({ type, class: kind, name, actions }) => `${type}${kind === undefined ? '' : `(${kind})`}:${name}:${actions.join(',')}`)
}

export const ann = basic('ann', USERS.ann)
export const bob = basic('bob', USERS.bob)

/** What strangers may do too. */
export const PUBLIC = 'repository:public/a:pull'
