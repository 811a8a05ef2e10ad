import t from 'tap'
import type { AccessController } from '../../services/auth/access.js'
import { OciError } from '../../services/errors/oci-error.js'
import { build, errorCodes } from '../helpers/build.js'
import { blob, pushBlob, sha256 } from '../helpers/images.js'

const BASIC = `Basic ${Buffer.from('user:secret').toString('base64')}`

/** One user with a password, as a host might have it. */
const basic: AccessController = {
  authorize ({ headers: { authorization } }) {
    if (authorization === BASIC) return { user: 'user' }
    throw new OciError('UNAUTHORIZED', { headers: { 'www-authenticate': 'Basic realm="host"' } })
  }
}

/** Tokens that name what they are for, separated by blanks: `Bearer repository:a:pull repository:a:push`. */
const bearer: AccessController = {
  authorize ({ headers: { authorization = '' } }, records) {
    const granted = new Set(authorization.replace(/^Bearer /, '').split(' '))
    const wanted = records.map(({ type, name, action }) => `${type}:${name}:${action}`)
    if (authorization !== '' && wanted.every(scope => granted.has(scope))) return {}
    const error = authorization === '' ? '' : ',error="insufficient_scope"'
    throw new OciError('UNAUTHORIZED', { headers: { 'www-authenticate': `Bearer realm="/token",service="test",scope="${wanted.join(' ')}"${error}` } })
  }
}

const STORAGE = { storage: { inmemory: {} } }

t.test('valid Basic credentials are let in, wrong ones are asked for again (R-045, R-247)', async t => {
  const app = await build(t, { ...STORAGE, instances: { accessController: basic } })
  t.equal((await app.inject({ url: '/v2/', headers: { authorization: BASIC } })).statusCode, 200)
  for (const authorization of [undefined, 'Basic d3Jvbmc6d3Jvbmc=', 'Basic', 'Bearer x', '\u00ff']) {
    const response = await app.inject({ url: '/v2/', headers: authorization === undefined ? {} : { authorization } })
    t.same(errorCodes(t, response, 401), ['UNAUTHORIZED'])
    t.equal(response.headers['www-authenticate'], 'Basic realm="host"')
  }
})

t.test('there is one challenge, and it is the controller\'s, with parameters in quotes (R-243)', async t => {
  const app = await build(t, { ...STORAGE, instances: { accessController: bearer } })
  const response = await app.inject({ method: 'POST', url: '/v2/team/app/blobs/uploads/' })
  t.equal(response.headers['www-authenticate'], 'Bearer realm="/token",service="test",scope="repository:team/app:pull repository:team/app:push"')
})

t.test('a mount without enough scope is a 401 that names both repositories; with it the blob is mounted (R-134, R-245)', async t => {
  const app = await build(t, { ...STORAGE, instances: { accessController: bearer } })
  const content = blob('mounted')
  const push = (name: string): string => `repository:${name}:pull repository:${name}:push`
  const anonymous = await app.inject({ method: 'POST', url: `/v2/from/here/blobs/uploads/?digest=${content.digest}`, payload: content.bytes })
  t.equal(anonymous.statusCode, 401)
  const pushed = await app.inject({ method: 'POST', url: `/v2/from/here/blobs/uploads/?digest=${content.digest}`, payload: content.bytes, headers: { authorization: `Bearer ${push('from/here')}` } })
  t.equal(pushed.statusCode, 201)
  const url = `/v2/to/there/blobs/uploads/?mount=${content.digest}&from=from/here`
  const refused = await app.inject({ method: 'POST', url, headers: { authorization: `Bearer ${push('to/there')}` } })
  t.equal(refused.statusCode, 401)
  t.equal(refused.headers['www-authenticate'], `Bearer realm="/token",service="test",scope="${push('to/there')} repository:from/here:pull",error="insufficient_scope"`)
  const mounted = await app.inject({ method: 'POST', url, headers: { authorization: `Bearer ${push('to/there')} repository:from/here:pull` } })
  t.equal(mounted.statusCode, 201)
})

t.test('a stranger hears the same of what exists and what does not (R-248, R-053)', async t => {
  const users = await build(t, { ...STORAGE, instances: { accessController: { authorize: ({ headers: { authorization } }) => { if (authorization === 'all') return {}; throw new OciError('UNAUTHORIZED', { headers: { 'www-authenticate': 'Basic realm="x"' } }) } } } })
  await users.inject({ method: 'POST', url: `/v2/private/blobs/uploads/?digest=${sha256('x')}`, payload: 'x', headers: { authorization: 'all' } })
  const answers = await Promise.all([`/v2/private/blobs/${sha256('x')}`, `/v2/absent/blobs/${sha256('x')}`, '/v2/private/tags/list', '/v2/absent/tags/list'].map(async url => {
    const { statusCode, body, headers } = await users.inject(url)
    return { statusCode, body, challenge: headers['www-authenticate'] }
  }))
  for (const answer of answers) t.same(answer, answers[0])
  const open = await build(t)
  await pushBlob(t, open, 'there', blob('x'))
  t.same(errorCodes(t, await open.inject(`/v2/absent/blobs/${sha256('x')}`), 404), ['BLOB_UNKNOWN'])
})
