import { createHash, verify } from 'node:crypto'
import type { Test } from 'tap'
import { ConfigError } from '../../services/errors/config-error.js'
import type { GcsOptions } from '../../services/storage/gcs-settings.js'
import { GcsDriver } from '../../services/storage/gcs.js'
import { SERVICE_ACCOUNT, SERVICE_ACCOUNT_KEY, fakeGcsDriver, fakeGcsOptions } from '../helpers/fake-gcs.js'
import type { FakeGcs } from '../helpers/fake-gcs.js'
import { startFaultyStore } from '../helpers/faulty-store.js'
import { rejects } from '../helpers/rejects.js'

const KIB = 1024
const SMALL_PIECES = { chunksize: 256 * KIB }

/** What a bucket of Google is, beyond what every driver promises. */
export function gcsBucket (t: Test, gcs: FakeGcs): void {
  t.test('an upload of hundreds of pieces becomes one object, and nothing else is left', async t => {
    const options = fakeGcsOptions(gcs, SMALL_PIECES)
    const driver = await fakeGcsDriver(t, options)
    const content = Buffer.alloc(70 * 256 * KIB + 5, 'content')
    const writer = await driver.openWriter('/up/data')
    for (let at = 0; at < content.length; at += 1_000_003) await writer.write([content.subarray(at, at + 1_000_003)])
    await writer.close()
    t.ok(content.equals(await driver.read('/up/data')))
    const root = options.rootdirectory?.slice(1) ?? ''
    t.same(await gcs.names(root), [`${root}/up/data`])
  })

  t.test('pieces of a killed writer are not seen, and go with the file, the directory, and nothing else', async t => {
    const options = fakeGcsOptions(gcs, SMALL_PIECES)
    const driver = await fakeGcsDriver(t, options)
    const root = options.rootdirectory?.slice(1) ?? ''
    for (const path of ['/up/one/data', '/up/one/datax', '/up/two/data']) {
      const killed = await driver.openWriter(path)
      await killed.write([Buffer.alloc(600 * KIB)])
      await killed.truncate(killed.size) // waits for its pieces
    }
    t.equal((await gcs.names(root)).length, 9)
    t.same(await driver.list('/up/one'), ['data', 'datax'])
    await driver.delete('/up/one/data')
    t.notOk((await gcs.names(`${root}/up/one/data~`)).length)
    t.equal((await gcs.names(`${root}/up/one/datax`)).length, 3)
    await driver.delete('/up/two')
    t.equal((await gcs.names(root)).length, 3)
    const writer = await driver.openWriter('/up/one/datax')
    await writer.write([Buffer.alloc(600 * KIB)])
    await writer.cancel()
    await driver.delete('/up')
    t.same(await gcs.names(root), [])
  })

  t.test('the object is composed under its generation, and a lost answer is recognised', async t => {
    const store = await startFaultyStore(t, gcs.url)
    const driver = await fakeGcsDriver(t, fakeGcsOptions(gcs, { ...SMALL_PIECES, endpoint: store.url }))
    const writer = await driver.openWriter('/data')
    await writer.write([Buffer.alloc(300 * KIB, 'x')])
    let tries = 0
    // The service itself refuses the second attempt: the generation is another one after the first.
    store.fault = request => {
      if (!request.includes('/compose')) return undefined
      return ++tries === 1 ? 'lose the answer' : { status: 412, code: 'conditionNotMet' }
    }
    await writer.close()
    t.equal(tries, 2)
    t.ok(store.requests.filter(request => request.includes('/compose')).every(request => /ifGenerationMatch=\d+/.test(request)))
    t.equal((await driver.stat('/data')).size, 300 * KIB)
    const again = await driver.openWriter('/data', { append: true })
    await again.write([Buffer.alloc(300 * KIB, 'x')])
    store.fault = request => request.includes('/compose') ? { status: 412, code: 'conditionNotMet' } : undefined
    t.match((await rejects(t, again.close(), 'failed', '/data'))?.message, /somebody else has written to the file/)
  })

  t.test('an upload that docker\'s registry has begun is no file', async t => {
    const options = fakeGcsOptions(gcs)
    const driver = await fakeGcsDriver(t, options)
    const name = encodeURIComponent(`${options.rootdirectory?.slice(1)}/up/data`)
    await fetch(`${gcs.url}/upload/storage/v1/b/${gcs.bucket}/o?uploadType=media&name=${name}`, { method: 'POST', headers: { 'content-type': 'application/x-docker-upload-session' }, body: 'tail' })
    await rejects(t, driver.stat('/up/data'), 'path-not-found', '/up/data')
    await rejects(t, driver.openWriter('/up/data', { append: true }), 'path-not-found', '/up/data')
    await driver.delete('/up')
    t.same(await driver.list('/'), [])
  })

  t.test('URLs are signed by the account, as version 4 of Google\'s signatures has it', async t => {
    const driver = await fakeGcsDriver(t, fakeGcsOptions(gcs))
    await driver.write('/a-b/c.d', Buffer.from('content'))
    const url = new URL(await driver.redirectUrl('/a-b/c.d', 'HEAD') ?? '')
    const { 'X-Goog-Signature': signature = '', ...signed } = Object.fromEntries(url.searchParams)
    t.match(signed, { 'X-Goog-Algorithm': 'GOOG4-RSA-SHA256', 'X-Goog-Expires': '1200', 'X-Goog-SignedHeaders': 'host' })
    const [, date = ''] = /^registry@test.iam.gserviceaccount.com\/(\d{8})\/auto\/storage\/goog4_request$/.exec(signed['X-Goog-Credential'] ?? '') ?? []
    t.ok(signed['X-Goog-Date']?.startsWith(date))
    const canonical = `HEAD\n${url.pathname}\n${url.search.slice(1, url.search.indexOf('&X-Goog-Signature'))}\nhost:${url.host}\n\nhost\nUNSIGNED-PAYLOAD`
    const text = `GOOG4-RSA-SHA256\n${signed['X-Goog-Date']}\n${date}/auto/storage/goog4_request\n${createHash('sha256').update(canonical).digest('hex')}`
    t.ok(verify('sha256', Buffer.from(text), SERVICE_ACCOUNT_KEY, Buffer.from(signature, 'hex')))
  })

  t.test('objects lie where docker\'s registry has them, and lists go on over many pages', async t => {
    const options = fakeGcsOptions(gcs)
    const driver = await fakeGcsDriver(t, options)
    const names = Array.from({ length: 1100 }, (_, i) => `n${i}`).sort()
    for (let at = 0; at < names.length; at += 50) await Promise.all(names.slice(at, at + 50).map(async name => { await driver.write(`/docker/registry/v2/${name}`, Buffer.from('x')) }))
    t.same(await driver.list('/docker/registry/v2'), names)
    const [name = ''] = await gcs.names(`${options.rootdirectory?.slice(1)}/docker/registry/v2/n0`)
    const answer = await fetch(`${gcs.url}/storage/v1/b/${gcs.bucket}/o/${encodeURIComponent(name)}?alt=media`)
    t.equal(answer.headers.get('content-type'), 'application/octet-stream')
    await driver.delete('/docker')
    t.same(await gcs.names(options.rootdirectory?.slice(1) ?? ''), [])
  })

  t.test('a store that cannot be used is one clear line at the start, without a secret', async t => {
    const store = await startFaultyStore(t, gcs.url)
    store.fault = () => ({ status: 401, code: 'authError' })
    const table: Array<[Partial<GcsOptions>, RegExp]> = [
      [{ bucket: 'there-is-none' }, /there is no such bucket \(bucketNotFound\)/],
      [{ endpoint: store.url }, /the service does not take these credentials \(authError\)/],
      [{ endpoint: 'http://127.0.0.1:1' }, /127\.0\.0\.1:1: .*ECONNREFUSED/],
      [{ credentials: { ...SERVICE_ACCOUNT, private_key: 'not-a-key' } }, /storage\.gcs: cannot use/],
      [{ credentials: { type: 'service_account' } }, /storage\.gcs: cannot use/],
      [{ keyfile: '/there/is/none.json' }, /there is no such keyfile \(ENOENT\)/]
    ]
    for (const [options, message] of table) {
      const { credentials, ...rest } = fakeGcsOptions(gcs)
      const complete = { ...rest, ...options.keyfile === undefined ? { credentials: credentials ?? {} } : {}, ...options }
      const error: unknown = await GcsDriver.open(complete).then(() => undefined, (error: unknown) => error)
      if (!(error instanceof ConfigError)) throw new Error('opened', { cause: error })
      t.equal(error.lines.length, 1)
      t.match(error.lines[0], message)
      t.notMatch(error.lines[0], /PRIVATE KEY|not-a-key/)
    }
  })
}
