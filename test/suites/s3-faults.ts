import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import { ConfigError } from '../../services/errors/config-error.js'
import { DriverError } from '../../services/errors/driver-error.js'
import type { S3Options } from '../../services/storage/s3-settings.js'
import { S3Driver } from '../../services/storage/s3.js'
import { rgwDriver, rgwOptions } from '../helpers/ceph-rgw.js'
import type { Rgw } from '../helpers/ceph-rgw.js'
import { startFaultyStore } from '../helpers/faulty-store.js'

const MIB = 1024 * 1024
const SMALL_PARTS = { chunksize: 5 * MIB, multipartcopychunksize: 5 * MIB, multipartcopythresholdsize: 5 * MIB }
const BYTES = randomBytes(12 * MIB + 3)

/** What the driver makes of a store in trouble. */
export function s3Faults (t: Test, rgw: Rgw): void {
  const behindFaults = async (t: Test): Promise<{ store: Awaited<ReturnType<typeof startFaultyStore>>, driver: S3Driver }> => {
    const store = await startFaultyStore(t, rgw.url)
    return { store, driver: await rgwDriver(t, { url: store.url, bucket: rgw.bucket }, SMALL_PARTS) }
  }
  const upload = async (driver: S3Driver): Promise<void> => {
    const writer = await driver.openWriter('/up')
    await writer.write([BYTES])
    await writer.close()
    await driver.move('/up', '/data')
  }

  for (const [status, code] of [[503, 'SlowDown'], [500, 'InternalError'], [429, 'TooManyRequests']] as const) {
    t.test(`every third request is answered with ${status} ${code}: nobody notices`, async t => {
      const { store, driver } = await behindFaults(t)
      store.fault = () => store.requests.length % 3 === 0 ? { status, code } : undefined
      await upload(driver)
      t.ok(BYTES.equals(await driver.read('/data')))
      await driver.delete('/data')
      t.same(await driver.list('/'), [])
    })
  }

  t.test('connections are reset in the middle of parts: they are sent again', async t => {
    const { store, driver } = await behindFaults(t)
    const cut = new Set<string>()
    store.fault = request => {
      if (!request.includes('partNumber') || cut.has(request)) return undefined
      cut.add(request)
      return { cutRequestAfter: MIB }
    }
    await upload(driver)
    t.ok(cut.size >= 2)
    t.ok(BYTES.equals(await driver.read('/data')))
  })

  t.test('connections are reset in the middle of a read: it goes on where it was', async t => {
    const { store, driver } = await behindFaults(t)
    await upload(driver)
    let cuts = 0
    store.fault = request => request.startsWith('GET') && ++cuts <= 6 ? { cutAnswerAfter: 1.5 * MIB } : undefined
    t.ok(BYTES.equals(await buffer(await driver.createReadStream('/data'))))
    t.equal(cuts, 7)
    cuts = 0
    t.ok(BYTES.subarray(5, 9 * MIB).equals(await buffer(await driver.createReadStream('/data', { start: 5, end: 9 * MIB - 1 }))), 'of a range too')
  })

  t.test('a store that breaks off every answer fails the read, with what it was', async t => {
    const { store, driver } = await behindFaults(t)
    await upload(driver)
    store.fault = () => ({ cutAnswerAfter: 0 })
    const error = await driver.createReadStream('/data').then(buffer).then(() => undefined, (error: unknown) => error)
    t.ok(DriverError.is(error) && error.kind === 'failed' && error.path === '/data')
  })

  t.test('the answer to the completion is lost: what was completed is found', async t => {
    const { store, driver } = await behindFaults(t)
    let lost = 0
    store.fault = request => /^POST .*uploadId/.test(request) && lost++ === 0 ? 'lose the answer' : undefined
    await upload(driver)
    t.ok(lost > 1)
    t.ok(BYTES.equals(await driver.read('/data')))
  })

  t.test('the answer to the completion is lost: what was completed is known to be what was verified', async t => {
    const { store, driver } = await behindFaults(t)
    const writer = await driver.openWriter('/up')
    await writer.write([BYTES])
    await writer.close()
    let lost = 0
    store.fault = request => /^POST .*uploadId/.test(request) && lost++ === 0 ? 'lose the answer' : undefined
    const { version } = writer
    await driver.move('/up', '/moved', { version })
    t.ok(lost > 1)
    t.ok(BYTES.equals(await driver.read('/moved')))
  })

  t.test('a store that takes no parts fails the upload; what was acknowledged before stays, and is the end to go on from', async t => {
    const { store, driver } = await behindFaults(t)
    const first = await driver.openWriter('/up')
    await first.write([BYTES.subarray(0, 6 * MIB)])
    await first.close()
    const writer = await driver.openWriter('/up', { append: true })
    store.fault = request => request.includes('partNumber') ? { status: 400, code: 'EntityTooLarge' } : undefined
    const error = await writer.write([BYTES.subarray(6 * MIB)]).then(async () => { await writer.close() }).then(() => undefined, (error: unknown) => error)
    t.ok(DriverError.is(error) && error.kind === 'failed' && error.message.includes('EntityTooLarge'), String(error))
    t.ok(writer.size <= 6 * MIB)
    await writer.truncate(6 * MIB)
    t.equal(writer.size, 6 * MIB)
    store.fault = () => undefined
    const again = await driver.openWriter('/up', { append: true })
    t.equal(again.size, 6 * MIB)
    await again.write([BYTES.subarray(6 * MIB)])
    await again.close()
    t.ok(BYTES.equals(await driver.read('/up')))
  })

  t.test('a reader that goes away ends the request to the store', async t => {
    const { store, driver } = await behindFaults(t)
    await upload(driver)
    const stream = await driver.createReadStream('/data')
    await once(stream, 'readable')
    t.same(store.abandoned, [])
    stream.destroy()
    while (store.abandoned.length === 0) await new Promise(resolve => { setImmediate(resolve) })
    t.match(store.abandoned, [/^GET .*\/data/])
  })

  t.test('a store that cannot be used is one clear line at the start, without a secret', async t => {
    const store = await startFaultyStore(t, rgw.url)
    const table: Array<[Partial<S3Options>, RegExp]> = [
      [{ bucket: 'there-is-none' }, /there is no such bucket \(NoSuchBucket\)/],
      [{ secretkey: 'not-the-secret' }, /is the secret key right\? \(SignatureDoesNotMatch\)/],
      [{ accesskey: 'nobody' }, /does not know this access key \(InvalidAccessKeyId\)/],
      [{ regionendpoint: 'http://127.0.0.1:1' }, /127\.0\.0\.1:1: .*ECONNREFUSED/]
    ]
    const opened = async (options: Partial<S3Options>): Promise<ConfigError> => {
      const error: unknown = await S3Driver.open({ ...rgwOptions(rgw), ...options }).then(() => undefined, (error: unknown) => error)
      if (!(error instanceof ConfigError)) throw new Error('opened', { cause: error })
      return error
    }
    for (const [options, message] of table) {
      const { lines } = await opened(options)
      t.equal(lines.length, 1)
      t.match(lines[0], message)
      t.notMatch(lines[0], /not-the-secret/)
    }
    store.fault = () => ({ status: 403, code: 'RequestTimeTooSkewed' })
    t.match((await opened({ regionendpoint: store.url })).message, /the clock of this machine differs too much/)
  })
}
