import t from 'tap'
import { ConfigError } from '../../../services/errors/config-error.js'
import { parseConfig } from '../../../services/config/parse.js'
import { masked } from '../../../services/config/schema-node.js'
import { dataLocation } from '../../../services/storage/create.js'
import { GcsAccess } from '../../../services/storage/gcs-access.js'
import { explainGcs, gcsError, isTransient, refusal } from '../../../services/storage/gcs-error.js'
import { SERVICE_ACCOUNT } from '../../helpers/fake-gcs.js'

function lines (gcs: object): readonly string[] {
  try {
    parseConfig({ storage: { gcs } })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.lines
    throw error
  }
}

t.test('the parameters of docker\'s registry are taken', async t => {
  t.same(lines({ bucket: 'b', keyfile: '/key.json', rootdirectory: '/data', chunksize: 5242880, maxconcurrency: 10, useragent: 'me' }), [])
  t.same(lines({ bucket: 'b', credentials: SERVICE_ACCOUNT }), [])
  t.match(parseConfig({ storage: { gcs: { bucket: 'b' } } }).storage.gcs, { chunksize: 16 * 1024 * 1024, maxconcurrency: 50, endpoint: 'https://storage.googleapis.com' })
})

t.test('a parameter that cannot be is one line', async t => {
  const table: Array<[object, string]> = [
    [{}, 'storage.gcs.bucket: is missing'],
    [{ bucket: 'b', keyfile: 'k', credentials: SERVICE_ACCOUNT }, 'storage.gcs.keyfile: stands for credentials; give one of them'],
    [{ bucket: 'b', credentials: {} }, 'storage.gcs.credentials: is no credential of Google\'s; a type is needed, for example service_account'],
    [{ bucket: 'b', endpoint: 'https://a.b/path' }, 'storage.gcs.endpoint: a URL without a path is needed'],
    [{ bucket: 'b', chunksize: 0 }, 'storage.gcs.chunksize: must be >= 262144, not 0']
  ]
  for (const [gcs, line] of table) t.same(lines(gcs), [line])
  t.match(lines({ bucket: 'b', chunksize: 262145 }), [/^storage\.gcs\.chunksize: must be multiple of 262144/])
})

t.test('the key is masked, and the place of the data is named without it', async t => {
  t.same(masked({ storage: { gcs: { bucket: 'b', credentials: SERVICE_ACCOUNT } } }, []), { storage: { gcs: { bucket: 'b', credentials: '***' } } })
  t.equal(dataLocation(parseConfig({ storage: { gcs: { bucket: 'b', rootdirectory: '/a/b/' } } }).storage), 'gs://b/a/b at storage.googleapis.com')
})

t.test('a refusal has the service\'s reason, or one by its status', async t => {
  t.match(refusal(403, JSON.stringify({ error: { message: 'no', errors: [{ reason: 'accountDisabled' }] } })), { reason: 'accountDisabled', message: 'no' })
  t.match(refusal(404, 'No such object: b/x'), { reason: 'notFound', message: 'No such object: b/x' })
  t.match(refusal(502, '<html>\n'), { reason: 'HTTP 502', message: 'HTTP 502' })
  t.match(refusal(400, '{}'), { reason: 'HTTP 400' })
})

t.test('an error carries the service\'s words, and nothing of the request', async t => {
  const thrown = Object.assign(new Error('invalid_grant: Invalid JWT Signature.'), { config: { headers: { authorization: 'secret' } }, status: 400 })
  const error = gcsError('/a', thrown)
  t.match(error.message, /^gcs: failed: \/a \(the service does not take these credentials: .*\(invalid_grant\)\)$/)
  t.notMatch(JSON.stringify([error, error.cause, Object.entries(error.cause as object)]), /secret/)
  t.equal(gcsError('/a', refusal(404, '')).kind, 'path-not-found')
  t.equal(explainGcs(refusal(429, '')), 'the service asks to slow down (rateLimitExceeded)')
})

t.test('what may pass is tried again, and nothing else', async t => {
  for (const status of [408, 429, 500, 502, 503, 504]) t.ok(isTransient(refusal(status, '')))
  for (const status of [400, 401, 403, 404, 412, 416]) t.notOk(isTransient(refusal(status, '')))
  const coded = (code: string): Error => Object.assign(new Error('x'), { code })
  for (const code of ['ECONNRESET', 'EAI_AGAIN', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT']) t.ok(isTransient(coded(code)))
  for (const code of ['ENOENT', 'UND_ERR_ABORTED', 'UND_ERR_DESTROYED', 'ERR_OSSL_UNSUPPORTED']) t.notOk(isTransient(coded(code)))
})

t.test('the key of a service account asks nobody for a token, also with its line breaks spelt out', async t => {
  const access = await GcsAccess.open({
    bucket: 'b', chunksize: 262144, maxconcurrency: 50, endpoint: 'https://storage.googleapis.com', credentials: { ...SERVICE_ACCOUNT, private_key: SERVICE_ACCOUNT.private_key.replaceAll('\n', '\\n') }
  })
  const [, claims = ''] = (await access.authorization()).split('.')
  t.match(JSON.parse(Buffer.from(claims, 'base64url').toString()), { iss: SERVICE_ACCOUNT.client_email, scope: 'https://www.googleapis.com/auth/devstorage.read_write' })
  const url = await access.signedUrl('b', 'x y/~(z)', 'GET', new Date('2026-01-02T03:04:05.678Z'))
  t.match(url, 'https://storage.googleapis.com/b/x%20y/~%28z%29?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=registry%40test.iam.gserviceaccount.com%2F20260102%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date=20260102T030405Z&')
})

t.test('who cannot sign has no URLs, so that everything goes through the registry', async t => {
  const credentials = { type: 'authorized_user', client_id: 'c', client_secret: 's', refresh_token: 'r' }
  const access = await GcsAccess.open({ bucket: 'b', chunksize: 262144, maxconcurrency: 50, endpoint: 'https://storage.googleapis.com', credentials })
  t.equal(access.canSign, false)
  t.equal(await access.signedUrl('b', 'x', 'GET'), null)
})
