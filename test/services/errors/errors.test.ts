import t from 'tap'
import { ConfigError } from '../../../services/errors/config-error.js'
import { DriverError, isPathNotFound, orIfMissing } from '../../../services/errors/driver-error.js'
import type { DriverErrorKind } from '../../../services/errors/driver-error.js'
import { CATALOGUE, OciError, OciErrors } from '../../../services/errors/oci-error.js'
import type { OciCode } from '../../../services/errors/oci-error.js'

const NO_ERRORS: unknown[] = [undefined, null, 0, '', 'text', true, Symbol('x'), {}, [], () => {}, new Error('x'), { code: 'UNKNOWN', status: 500 }, { kind: 'path-not-found' }]

/** What another copy of the package in the same process makes: same brand, other class. */
function fromAnotherCopy<T extends object> (name: string, fields: T): T {
  return Object.assign(new Error('from another copy'), { [Symbol.for(`fastify-oci-registry.${name}`)]: true }, fields)
}

const STATUSES: Record<OciCode, number> = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 404,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  RANGE_INVALID: 416,
  SIZE_INVALID: 400,
  TAG_INVALID: 400,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
  UNSUPPORTED: 405
}

t.test('every code has its status and a message, and no code is missing', async t => {
  t.same(Object.keys(CATALOGUE).sort(), Object.keys(STATUSES).sort())
  for (const [code, status] of Object.entries(STATUSES) as Array<[OciCode, number]>) {
    const error = new OciError(code)
    t.equal(error.status, status, code)
    t.equal(error.code, code)
    t.ok(error.message.length > 5, error.message)
    t.same(error.entries(), [{ code, message: error.message }], 'and no detail')
    t.same(error.headers, {})
    t.equal(error.name, 'OciError')
    t.type(error, Error)
  }
})

t.test('an OciError takes another message, status, headers, detail and cause', async t => {
  const cause = new Error('inner')
  const error = new OciError('MANIFEST_INVALID', { status: 413, message: 'too large', detail: { limit: 4 }, headers: { allow: 'GET' }, cause })
  t.match(error, { status: 413, message: 'too large', detail: { limit: 4 }, headers: { allow: 'GET' }, cause })
  t.same(error.entries(), [{ code: 'MANIFEST_INVALID', message: 'too large', detail: { limit: 4 } }])
  t.match(error.stack, /errors\.test/)
})

t.test('an OciError without a cause has none, not an undefined one', async t => {
  t.equal('cause' in new OciError('UNKNOWN'), false)
  t.equal('cause' in new OciError('UNKNOWN', { cause: null }), true)
})

t.test('a detail of 0, false, null or empty text reaches the client', async t => {
  for (const detail of [0, false, null, '']) t.same(new OciError('UNKNOWN', { detail }).entries(), [{ code: 'UNKNOWN', message: 'unknown error', detail }])
})

t.test('OciErrors has one entry per error, and status, message and headers of the first', async t => {
  const first = new OciError('MANIFEST_BLOB_UNKNOWN', { detail: { digest: 'a' }, headers: { 'x-first': '1' }, status: 404 })
  const second = new OciError('NAME_INVALID', { message: 'second' })
  const errors = new OciErrors([first, second])
  t.match(errors, { name: 'OciErrors', code: 'MANIFEST_BLOB_UNKNOWN', status: 404, message: first.message, headers: { 'x-first': '1' }, detail: { digest: 'a' } })
  t.same(errors.entries(), [
    { code: 'MANIFEST_BLOB_UNKNOWN', message: first.message, detail: { digest: 'a' } },
    { code: 'NAME_INVALID', message: 'second' }
  ])
  t.same(new OciErrors([errors, second]).entries().map(({ code }) => code), ['MANIFEST_BLOB_UNKNOWN', 'NAME_INVALID', 'NAME_INVALID'], 'nested ones are laid flat')
  t.same(errors.errors, [first, second])
})

t.test('OciError.is knows its own kind, also from another copy of the package', async t => {
  t.equal(OciError.is(new OciError('UNKNOWN')), true)
  t.equal(OciError.is(new OciErrors([new OciError('UNKNOWN')])), true)
  t.equal(OciErrors.is(new OciError('UNKNOWN')), true, 'inherited, and no narrower')
  t.equal(OciError.is(fromAnotherCopy('OciError', { code: 'DENIED', status: 403 })), true)
  for (const value of NO_ERRORS) t.equal(OciError.is(value), false, String(value))
  t.equal(OciError.is(new DriverError('failed', { driver: 'd', path: '/' })), false)
  t.equal(OciError.is(new ConfigError('x')), false)
})

t.test('a DriverError says driver, kind, path and reason in one line', async t => {
  const cause = new Error('inner')
  const table: Array<[DriverErrorKind, object, string]> = [
    ['path-not-found', {}, 'disk: path not found: /a/b'],
    ['failed', { cause }, 'disk: failed: /a/b (inner)'],
    ['failed', { cause, detail: 'ENOSPC' }, 'disk: failed: /a/b (ENOSPC)'],
    ['invalid-offset', { detail: 'x' }, 'disk: invalid offset: /a/b (x)'],
    ['invalid-path', { cause: 'no error' }, 'disk: invalid path: /a/b'],
    ['unsupported', { cause: undefined }, 'disk: unsupported: /a/b']
  ]
  for (const [kind, context, message] of table) {
    const error = new DriverError(kind, { driver: 'disk', path: '/a/b', ...context })
    t.equal(error.message, message)
    t.match(error, { name: 'DriverError', kind, driver: 'disk', path: '/a/b' })
    t.equal(error.cause, (context as { cause?: unknown }).cause)
    t.type(error, Error)
  }
})

t.test('DriverError.is knows its own kind, also from another copy of the package', async t => {
  t.equal(DriverError.is(new DriverError('failed', { driver: 'd', path: '/' })), true)
  t.equal(DriverError.is(fromAnotherCopy('DriverError', { kind: 'failed' })), true)
  for (const value of NO_ERRORS) t.equal(DriverError.is(value), false, String(value))
  t.equal(DriverError.is(new OciError('UNKNOWN')), false)
})

const missing = (): DriverError => new DriverError('path-not-found', { driver: 'd', path: '/a' })

t.test('isPathNotFound is true for a missing path and for nothing else', async t => {
  t.equal(isPathNotFound(missing()), true)
  t.equal(isPathNotFound(fromAnotherCopy('DriverError', { kind: 'path-not-found' })), true)
  for (const kind of ['invalid-path', 'invalid-offset', 'unsupported', 'failed'] as const) {
    t.equal(isPathNotFound(new DriverError(kind, { driver: 'd', path: '/a' })), false, kind)
  }
  for (const value of NO_ERRORS) t.equal(isPathNotFound(value), false, String(value))
})

t.test('orIfMissing gives the value when there is one', async t => {
  t.equal(await orIfMissing(Promise.resolve('value'), 'fallback'), 'value')
  t.equal(await orIfMissing(Promise.resolve<string | undefined>(undefined), 'fallback'), undefined)
})

t.test('orIfMissing gives the fallback for a missing path, also one from another copy', async t => {
  t.equal(await orIfMissing(Promise.reject<string>(missing()), 'fallback'), 'fallback')
  t.equal(await orIfMissing(Promise.reject<string>(missing()), undefined), undefined)
  t.equal(await orIfMissing(Promise.reject<string>(fromAnotherCopy('DriverError', { kind: 'path-not-found' })), null), null)
})

t.test('orIfMissing passes every other error as it is', async t => {
  const others = [new DriverError('failed', { driver: 'd', path: '/' }), new OciError('BLOB_UNKNOWN'), new Error('x'), { kind: 'path-not-found' }, 'text', undefined]
  for (const thrown of others) {
    const result = await orIfMissing(Promise.reject<unknown>(thrown), 'fallback').then(value => ({ value }), (error: unknown) => ({ error }))
    t.ok('error' in result && result.error === thrown, String(thrown))
  }
})

t.test('a ConfigError keeps its cause', async t => {
  const cause = new Error('inner')
  t.match(new ConfigError('http.addr: wrong', { cause }), { name: 'ConfigError', message: 'http.addr: wrong', cause })
  t.equal('cause' in new ConfigError('x'), false)
})
