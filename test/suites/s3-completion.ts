import { randomBytes } from 'node:crypto'
import { ListMultipartUploadsCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import type { Test } from 'tap'
import { DriverError } from '../../services/errors/driver-error.js'
import type { FileWriter } from '../../services/storage/driver.js'
import { S3Driver } from '../../services/storage/s3.js'
import { rgwOptions } from '../helpers/ceph-rgw.js'
import type { Rgw } from '../helpers/ceph-rgw.js'
import { startFaultyStore } from '../helpers/faulty-store.js'
import type { FaultyStore } from '../helpers/faulty-store.js'
import { rejects } from '../helpers/rejects.js'

const MIB = 1024 * 1024
const SMALL_PARTS = { chunksize: 5 * MIB, multipartcopychunksize: 5 * MIB, multipartcopythresholdsize: 5 * MIB }
const BYTES = randomBytes(12 * MIB + 3)
const COMPLETION = /^POST .*uploadId/

/** How the parts of an upload become an object in its place, and that in few requests. */
export function s3Completion (t: Test, rgw: Rgw): void {
  const setUp = async (t: Test): Promise<{ store: FaultyStore, driver: S3Driver, key: string, unfinished: () => Promise<number> }> => {
    const store = await startFaultyStore(t, rgw.url)
    const options = rgwOptions({ url: store.url, bucket: rgw.bucket }, SMALL_PARTS)
    const driver = await S3Driver.open(options)
    t.teardown(async () => { await driver.close() })
    const key = `${options.rootdirectory?.slice(1)}/up/data`
    const unfinished = async (): Promise<number> => (await rgw.client.send(new ListMultipartUploadsCommand({ Bucket: rgw.bucket, Prefix: key }))).Uploads?.length ?? 0
    return { store, driver, key, unfinished }
  }
  const written = async (driver: S3Driver, end = BYTES.length): Promise<FileWriter> => {
    const writer = await driver.openWriter('/up/data')
    await writer.write([BYTES.subarray(0, end)])
    return writer
  }

  t.test('what is about to be moved is made an object by close, in few requests', async t => {
    const { store, driver, unfinished } = await setUp(t)
    for (const end of [BYTES.length, 10 * MIB, 6 * MIB, 5]) {
      const writer = await written(driver, end)
      await writer.close({ moving: true })
      t.equal(await unfinished(), 0)
      t.equal(writer.size, end)
      t.equal(writer.version, (await driver.stat('/up/data')).version)
      store.requests.length = 0
      await driver.move('/up/data', '/moved', { version: writer.version })
      t.equal(store.requests.filter(request => !request.includes('partNumber')).length <= 5, true, 'HEAD, DELETE, and a copy, which may be in parts')
      t.ok(BYTES.subarray(0, end).equals(await driver.read('/moved')))
    }
  })

  t.test('it can be added to all the same when it was not moved', async t => {
    const { driver, unfinished } = await setUp(t)
    await (await written(driver, 7 * MIB)).close({ moving: true })
    const more = await driver.openWriter('/up/data', { append: true })
    t.equal(more.size, 7 * MIB)
    await more.write([BYTES.subarray(7 * MIB)])
    await more.close({ moving: true })
    t.ok(BYTES.equals(await driver.read('/up/data')))
    t.equal(await unfinished(), 0)
  })

  t.test('the store is not asked for parts that were acknowledged here', async t => {
    const { store, driver } = await setUp(t)
    await (await written(driver, 6 * MIB)).close()
    const more = await driver.openWriter('/up/data', { append: true })
    await more.write([BYTES.subarray(6 * MIB)])
    await more.close()
    await driver.move('/up/data', '/moved', { version: more.version })
    t.same(store.requests.filter(request => /^GET .*uploadId/.test(request)), [])
    t.ok(BYTES.equals(await driver.read('/moved')))
  })

  t.test('it is asked when it has others: parts that nobody acknowledged do not count', async t => {
    const { driver, unfinished } = await setUp(t)
    for (const end of [7 * MIB, 5 * MIB]) {
      await (await written(driver, end)).close()
      const killed = await driver.openWriter('/up/data', { append: true })
      await killed.write([Buffer.alloc(12 * MIB, 'k')])
      await killed.truncate(killed.size) // waits for its parts, and keeps them
      await driver.move('/up/data', '/moved')
      t.ok(BYTES.subarray(0, end).equals(await driver.read('/moved')))
      t.equal(await unfinished(), 0)
    }
  })

  t.test('parts of a writer that failed do not count either', async t => {
    const { store, driver } = await setUp(t)
    const writer = await driver.openWriter('/up/data')
    store.fault = request => /partNumber=2/.test(request) ? { status: 400, code: 'EntityTooLarge' } : undefined
    const failed = await writer.write([Buffer.alloc(23 * MIB, 'f')]).then(async () => { await writer.truncate(1) }).then(() => undefined, (error: unknown) => error)
    store.fault = () => undefined
    t.ok(failed === undefined || DriverError.is(failed))
    await writer.truncate(0)
    await writer.write([BYTES])
    await writer.close({ moving: true })
    await driver.move('/up/data', '/moved', { version: writer.version })
    t.ok(BYTES.equals(await driver.read('/moved')))
  })

  t.test('the answer to the completion by close is lost: what was completed is known', async t => {
    const { store, driver } = await setUp(t)
    const writer = await written(driver)
    let lost = 0
    store.fault = request => COMPLETION.test(request) && lost++ === 0 ? 'lose the answer' : undefined
    await writer.close({ moving: true })
    t.ok(lost > 1)
    await driver.move('/up/data', '/moved', { version: writer.version })
    t.ok(BYTES.equals(await driver.read('/moved')))
  })

  t.test('somebody else writes while close completes: what lies there is not taken for ours', async t => {
    const { store, driver, key } = await setUp(t)
    const writer = await written(driver)
    let other: Promise<unknown> | undefined
    store.fault = request => {
      if (!request.startsWith('HEAD')) return undefined
      other ??= rgw.client.send(new PutObjectCommand({ Bucket: rgw.bucket, Key: key, Body: 'theirs' }))
      return { until: other }
    }
    await writer.close({ moving: true })
    t.ok(other)
    await rejects(t, driver.move('/up/data', '/moved', { version: writer.version }), 'changed', '/up/data', 's3')
  })

  t.test('a store that completes nothing fails the close', async t => {
    const { store, driver, unfinished } = await setUp(t)
    const writer = await written(driver)
    store.fault = request => COMPLETION.test(request) ? { status: 400, code: 'InvalidRequest' } : undefined
    await rejects(t, writer.close({ moving: true }), 'failed', '/up/data', 's3')
    store.fault = () => undefined
    t.equal((await driver.stat('/up/data')).size, 0, 'nothing of it was acknowledged')
    await driver.delete('/up')
    t.equal(await unfinished(), 0)
  })
}
