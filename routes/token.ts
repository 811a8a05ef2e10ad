import type { FastifyReply, FastifyRequest } from 'fastify'
import { nameUser } from '../plugins/request-log.js'
import { getToken, postToken } from '../schemas/token-routes.js'
import { parseBasic, quoted } from '../services/auth/basic.js'
import type { BasicCredentials } from '../services/auth/basic.js'
import { AccessRefused } from '../services/auth/refusal.js'
import type { TokenRequest, TokenServer } from '../services/auth/token-server.js'
import { OciError } from '../services/errors/oci-error.js'
import { auditEntry, writeAudit } from '../services/log/audit.js'
import type { RouteScope } from './types.js'

export interface TokenRouteOptions {
  readonly path: string
  readonly server: TokenServer
  /** Of the Basic scheme. */
  readonly realm: string
}

/** Requests for tokens are a few lines. */
const MAX_FORM_BYTES = 64 * 1024

/** The token server: docker's `GET` with Basic credentials or none, and the OAuth 2 `POST` of a form. */
export default async function tokenRoutes (fastify: RouteScope, { path, server, realm }: TokenRouteOptions): Promise<void> {
  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: MAX_FORM_BYTES }, (_request, body, done) => { done(null, new URLSearchParams(String(body))) })

  const challenge = { 'www-authenticate': `Basic realm=${quoted(realm)}` }

  fastify.route({
    method: 'GET',
    url: path,
    schema: getToken,
    async handler (request, reply) {
      return await answer(request, reply, challenge, () => {
        const parameters = queryOf(request)
        const offline = parameters.get('offline_token') === 'true'
        return { ...common(parameters, request), credentials: basicCredentials(request), offline }
      })
    }
  })

  fastify.route({
    method: 'POST',
    url: path,
    schema: postToken,
    async handler (request, reply) {
      // Whoever sends a form knows no Basic scheme: there is no challenge.
      return await answer(request, reply, {}, () => {
        const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams()
        const offline = form.get('access_type') === 'offline'
        return { ...common(form, request), ...grantOf(form), offline }
      })
    }
  })

  async function answer (request: FastifyRequest, reply: FastifyReply, challenge: Readonly<Record<string, string>>, read: () => TokenRequest): Promise<FastifyReply> {
    try {
      const { user, response } = await server.grant(read())
      if (user !== undefined) nameUser(request, user)
      return reply.headers({ 'content-type': 'application/json', 'cache-control': 'no-store' }).send(Buffer.from(JSON.stringify(response)))
    } catch (error) {
      if (OciError.is(error)) audit(request, error)
      if (!(error instanceof AccessRefused) || error.code !== 'UNAUTHORIZED') throw error
      const { message, claimed, cause } = error
      throw new AccessRefused('UNAUTHORIZED', { message, claimed, cause, headers: challenge })
    }
  }
}

/** Who is refused a token is refused everything: that belongs in the audit. */
function audit ({ method, ip, id, log, server }: FastifyRequest, error: OciError): void {
  const { status, code } = error
  if (status !== 401 && status !== 429) return
  const claimed = error instanceof AccessRefused ? error.claimed : undefined
  const entry = auditEntry({ method, status, code, remote: ip, id, resource: 'token', claimed, hasCredentials: true })
  writeAudit(log, entry, server.ociConfig.log.audit)
}

function common (parameters: URLSearchParams, { ip }: FastifyRequest): Pick<TokenRequest, 'service' | 'scopes' | 'address'> {
  // Clients send one scope parameter with blanks in it, or several, or both.
  return { service: parameters.get('service') ?? undefined, scopes: parameters.getAll('scope'), address: ip }
}

/** Read here: how a query becomes an object is the host's choice. */
function queryOf ({ url }: FastifyRequest): URLSearchParams {
  const at = url.indexOf('?')
  return new URLSearchParams(at === -1 ? '' : url.slice(at + 1))
}

/** @throws {AccessRefused} UNAUTHORIZED for a header that is none of the Basic scheme */
function basicCredentials ({ headers: { authorization } }: FastifyRequest): BasicCredentials | undefined {
  if (authorization === undefined) return undefined
  const credentials = parseBasic(authorization)
  if (credentials === undefined) throw new AccessRefused('UNAUTHORIZED', { message: 'the Authorization header must be of the Basic scheme' })
  // skopeo and podman send no name and no password when they have none.
  return credentials.user === '' && credentials.password === '' ? undefined : credentials
}

/** @throws {OciError} UNSUPPORTED (400) for a grant that is not offered, or not complete */
function grantOf (form: URLSearchParams): Pick<TokenRequest, 'credentials' | 'refreshToken'> {
  const type = form.get('grant_type')
  if (type === 'password') return { credentials: { user: required(form, 'username'), password: required(form, 'password') } }
  if (type === 'refresh_token') return { refreshToken: required(form, 'refresh_token') }
  throw badForm(type === null ? 'grant_type is missing' : 'grant_type must be password or refresh_token')
}

function required (form: URLSearchParams, name: string): string {
  const value = form.get(name)
  if (value === null || value === '') throw badForm(`${name} is missing`)
  return value
}

function badForm (detail: string): OciError {
  return new OciError('UNSUPPORTED', { status: 400, message: 'invalid token request', detail })
}
