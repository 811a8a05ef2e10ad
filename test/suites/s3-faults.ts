import type { Test } from 'tap'
import { ConfigError } from '../../services/errors/config-error.js'
import type { S3Options } from '../../services/storage/s3-settings.js'
import { S3Driver } from '../../services/storage/s3.js'
import { rgwDriver, rgwOptions } from '../helpers/ceph-rgw.js'
import type { Rgw } from '../helpers/ceph-rgw.js'
import { startFaultyStore } from '../helpers/faulty-store.js'
import { storeFaults } from './store-faults.js'

const MIB = 1024 * 1024
const SMALL_PARTS = { chunksize: 5 * MIB, multipartcopychunksize: 5 * MIB, multipartcopythresholdsize: 5 * MIB }

/** What the driver makes of a store in trouble. */
export function s3Faults (t: Test, rgw: Rgw): void {
  storeFaults(t, {
    url: rgw.url,
    open: async (t, url) => await rgwDriver(t, { url, bucket: rgw.bucket }, SMALL_PARTS),
    troubles: [[503, 'SlowDown'], [500, 'InternalError'], [429, 'TooManyRequests']],
    part: /partNumber/,
    completion: /^POST .*uploadId/,
    refused: 'EntityTooLarge'
  })

  t.test('the answer to the completion is lost: what was completed is known to be what was verified', async t => {
    const store = await startFaultyStore(t, rgw.url)
    const driver = await rgwDriver(t, { url: store.url, bucket: rgw.bucket }, SMALL_PARTS)
    const bytes = Buffer.alloc(11 * MIB, 'x')
    const writer = await driver.openWriter('/up')
    await writer.write([bytes])
    await writer.close()
    let lost = 0
    store.fault = request => /^POST .*uploadId/.test(request) && lost++ === 0 ? 'lose the answer' : undefined
    const { version } = writer
    await driver.move('/up', '/moved', { version })
    t.ok(lost > 1)
    t.ok(bytes.equals(await driver.read('/moved')))
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
