import t from 'tap'
import { ConfigError } from '../../../services/errors/config-error.js'
import { parseConfig } from '../../../services/config/parse.js'
import { masked } from '../../../services/config/schema-node.js'
import { azureError, explainAzure, isTransient } from '../../../services/storage/azure-error.js'
import { copyPolling, serviceUrl } from '../../../services/storage/azure-settings.js'
import type { AzureOptions } from '../../../services/storage/azure-settings.js'
import { dataLocation } from '../../../services/storage/create.js'

const NEEDED = { accountname: 'acme', accountkey: 'c2VjcmV0', container: 'images' }

function options (azure: object): AzureOptions {
  const { storage } = parseConfig({ storage: { azure: { ...NEEDED, ...azure } } })
  if (storage.azure === undefined) throw new Error('no azure')
  return storage.azure
}

function lines (azure: object): readonly string[] {
  try {
    parseConfig({ storage: { azure } })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.lines
    throw error
  }
}

t.test('the parameters of docker\'s registry are taken, of version 2 and of version 3', async t => {
  t.same(lines({ ...NEEDED, realm: 'core.chinacloudapi.cn' }), [])
  const credentials = { type: 'client_secret', clientid: 'c', tenantid: 't', secret: 's' }
  t.same(lines({ accountname: 'a', container: 'c', connectionstring: 'x', credentials, rootdirectory: '/az', serviceurl: 'https://a.b', trimlegacyrootprefix: true, skipverify: true, max_retries: 5, retry_delay: '100ms' }), [])
  t.same(lines({ accountname: 'a', container: 'c', credentials: { type: 'default_credentials' }, copy_status_poll_max_retry: -1, copy_status_poll_delay: '1s' }), [])
})

t.test('a parameter that cannot be is one line', async t => {
  const table: Array<[object, string[]]> = [
    [{ container: 'c', accountkey: 'aa==' }, ['storage.azure.accountname: is missing']],
    [{ accountname: 'a', container: 'c' }, ['storage.azure.accountkey: is missing; give it, or credentials of another type than shared_key']],
    [{ ...NEEDED, accountkey: 'not base64!' }, ['storage.azure.accountkey: is no base64']],
    [{ ...NEEDED, credentials: { type: 'client_secret', clientid: 'c' } }, ['storage.azure.credentials.tenantid: is missing; client_secret needs it', 'storage.azure.credentials.secret: is missing; client_secret needs it']],
    [{ ...NEEDED, serviceurl: 'a.blob' }, ['storage.azure.serviceurl: a URL is needed']],
    [{ ...NEEDED, max_retries: 1, copy_status_poll_max_retry: 1 }, ['storage.azure.max_retries: is another name of copy_status_poll_max_retry; give one of them']],
    [{ ...NEEDED, retry_delay: '1s', copy_status_poll_delay: '1s' }, ['storage.azure.retry_delay: is another name of copy_status_poll_delay; give one of them']]
  ]
  for (const [azure, expected] of table) t.same(lines(azure), expected)
})

t.test('keys and secrets are masked, and the place of the data is named without them', async t => {
  const azure = { ...NEEDED, credentials: { secret: 's' } }
  t.same(masked({ storage: { azure } }, []), { storage: { azure: { ...NEEDED, accountkey: '***', credentials: '***' } } })
  t.equal(dataLocation(parseConfig({ storage: { azure: { ...NEEDED, rootdirectory: '/a/b/' } } }).storage), 'azure://images/a/b at acme.blob.core.windows.net')
})

t.test('the service is where account and realm say, or where it is said to be', async t => {
  t.equal(serviceUrl(options({})), 'https://acme.blob.core.windows.net')
  t.equal(serviceUrl(options({ realm: 'core.usgovcloudapi.net' })), 'https://acme.blob.core.usgovcloudapi.net')
  t.equal(serviceUrl(options({ serviceurl: 'http://127.0.0.1:10000/acme/' })), 'http://127.0.0.1:10000/acme')
})

t.test('how long a copy is waited for goes by either name', async t => {
  t.same(copyPolling(options({})), { polls: 50, delayMs: 100 })
  t.same(copyPolling(options({ max_retries: 0, retry_delay: '1s' })), { polls: 50, delayMs: 1000 })
  t.same(copyPolling(options({ copy_status_poll_max_retry: -1, copy_status_poll_delay: '5ms' })), { polls: -1, delayMs: 5 })
})

t.test('an error carries the store\'s words, and nothing of the request', async t => {
  const thrown = Object.assign(new Error('Busy.\nRequestId:1\nTime:2'), { name: 'RestError', code: 'ServerBusy', statusCode: 503, request: { headers: { authorization: 'secret' } } })
  const error = azureError('/a', thrown)
  t.equal(error.message, 'azure: failed: /a (the store asks to slow down (ServerBusy))')
  t.notMatch(JSON.stringify([error, error.cause, Object.entries(error.cause as object)]), /secret|RequestId/)
  t.equal(explainAzure(Object.assign(new Error('Odd.\nRequestId:1'), { code: 'Odd' })), 'Odd: Odd.')
  t.equal(azureError('/a', Object.assign(new Error('x'), { statusCode: 404 })).kind, 'path-not-found')
})

t.test('what may pass is tried again, and nothing else', async t => {
  const answer = (name: string, rest: object): Error => Object.assign(new Error('x'), { name, ...rest })
  for (const statusCode of [408, 429, 500, 502, 503, 504]) t.ok(isTransient(answer('RestError', { statusCode })))
  t.ok(isTransient(answer('RestError', { code: 'ECONNRESET' })))
  for (const statusCode of [400, 401, 403, 404, 409, 412, 416]) t.notOk(isTransient(answer('RestError', { statusCode })))
  for (const name of ['AbortError', 'CredentialUnavailableError', 'AuthenticationError', 'TypeError']) t.notOk(isTransient(answer(name, {})))
})
