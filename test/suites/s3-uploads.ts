import { randomBytes } from 'node:crypto'
import { CreateMultipartUploadCommand, GetObjectCommand, ListMultipartUploadsCommand, ListObjectsV2Command, UploadPartCommand } from '@aws-sdk/client-s3'
import type { Test } from 'tap'
import { PartMemory } from '../../services/storage/part-memory.js'
import { S3Bucket } from '../../services/storage/s3-bucket.js'
import { WholeCopies } from '../../services/storage/s3-copy.js'
import { KnownParts } from '../../services/storage/s3-growing.js'
import { loadS3Sdk } from '../../services/storage/s3-sdk.js'
import type { S3Options } from '../../services/storage/s3-settings.js'
import { S3Writer } from '../../services/storage/s3-writer.js'
import { S3Driver } from '../../services/storage/s3.js'
import { rgwDriver, rgwOptions } from '../helpers/ceph-rgw.js'
import type { Rgw } from '../helpers/ceph-rgw.js'
import { rejects } from '../helpers/rejects.js'

const MIB = 1024 * 1024
const SMALL_PARTS = { chunksize: 5 * MIB, multipartcopychunksize: 5 * MIB, multipartcopythresholdsize: 5 * MIB }
const BYTES = randomBytes(23 * MIB + 17)

/** What uploads are in the bucket, beyond what every driver promises. */
export function s3Uploads (t: Test, rgw: Rgw): void {
  const unfinished = async (options: S3Options): Promise<string[]> => {
    const Prefix = options.rootdirectory?.slice(1)
    const { Uploads = [] } = await rgw.client.send(new ListMultipartUploadsCommand({ Bucket: rgw.bucket, Prefix }))
    return Uploads.map(({ UploadId = '' }) => UploadId)
  }
  const open = async (t: Test, options: S3Options): Promise<S3Driver> => {
    const driver = await S3Driver.open(options)
    t.teardown(async () => { await driver.close() })
    return driver
  }

  t.test('an upload goes on in another process after each request, with whatever length, and becomes one object', async t => {
    const options = rgwOptions(rgw, SMALL_PARTS)
    const ends = [3, 4 * MIB, 4 * MIB + 5, 9 * MIB, 19 * MIB + 1, 20 * MIB, BYTES.length]
    let from = 0
    for (const end of ends) {
      const driver = await open(t, options)
      const writer = await driver.openWriter('/up/data', { append: from > 0 })
      t.equal(writer.size, from)
      for (let at = from; at < end; at += 700_001) await writer.write([BYTES.subarray(at, Math.min(at + 700_001, end))])
      t.equal(writer.size, end)
      await writer.close()
      t.equal((await driver.stat('/up/data')).size, end)
      from = end
    }
    t.equal((await unfinished(options)).length, 1, 'all of it is one upload')
    const driver = await open(t, options)
    await driver.move('/up/data', '/blobs/data')
    t.ok(BYTES.equals(await driver.read('/blobs/data')))
    t.same(await driver.list('/'), ['blobs'])
    t.same(await unfinished(options), [])
  })

  t.test('a growing file that is read becomes an object, and grows on from there', async t => {
    const options = rgwOptions(rgw, SMALL_PARTS)
    const driver = await open(t, options)
    const writer = await driver.openWriter('/data')
    await writer.write([BYTES.subarray(0, 12 * MIB)])
    await writer.close()
    const again = await Promise.all([driver.read('/data'), driver.read('/data')])
    for (const read of again) t.ok(BYTES.subarray(0, 12 * MIB).equals(read), 'also by two at once')
    t.same(await unfinished(options), [])
    const more = await driver.openWriter('/data', { append: true })
    await more.write([BYTES.subarray(12 * MIB)])
    await more.close()
    t.ok(BYTES.equals(await driver.read('/data')))
  })

  t.test('a range of a growing file, also one in the parts that are no object yet', async t => {
    const driver = await rgwDriver(t, rgw, SMALL_PARTS)
    const writer = await driver.openWriter('/data')
    await writer.write([BYTES.subarray(0, 10 * MIB + 9)])
    await writer.close()
    const read: Buffer[] = []
    for await (const chunk of await driver.createReadStream('/data', { start: 10 * MIB - 1, end: 10 * MIB + 3 })) read.push(chunk as Buffer)
    t.same(Buffer.concat(read), BYTES.subarray(10 * MIB - 1, 10 * MIB + 4))
  })

  t.test('what a killed writer sent after the last acknowledgement does not count', async t => {
    const options = rgwOptions(rgw, SMALL_PARTS)
    const driver = await open(t, options)
    const writer = await driver.openWriter('/data')
    await writer.write([BYTES.subarray(0, 7 * MIB)])
    await writer.close()
    const killed = await driver.openWriter('/data', { append: true })
    await killed.write([Buffer.alloc(12 * MIB, 'k')])
    await killed.truncate(killed.size) // waits for its parts, and keeps them
    const other = await open(t, options)
    t.equal((await other.stat('/data')).size, 7 * MIB)
    const next = await other.openWriter('/data', { append: true })
    t.equal(next.size, 7 * MIB)
    await next.write([BYTES.subarray(7 * MIB)])
    await next.close()
    await other.move('/data', '/moved')
    t.ok(BYTES.equals(await other.read('/moved')))
    t.same(await unfinished(options), [])
  })

  t.test('a part that somebody replaced behind our back is found out, not served', async t => {
    const options = rgwOptions(rgw, SMALL_PARTS)
    const driver = await open(t, options)
    const writer = await driver.openWriter('/data')
    await writer.write([BYTES.subarray(0, 6 * MIB)])
    await writer.close()
    const [UploadId] = await unfinished(options)
    await rgw.client.send(new UploadPartCommand({ Bucket: rgw.bucket, Key: `${options.rootdirectory?.slice(1)}/data`, UploadId, PartNumber: 1, Body: Buffer.alloc(5 * MIB, 'x') }))
    await rejects(t, driver.read('/data'), 'failed', '/data', 's3')
    await rejects(t, driver.move('/data', '/b'), 'failed', '/data', 's3')
  })

  t.test('truncate cuts back to any size, in the parts too', async t => {
    const options = rgwOptions(rgw, SMALL_PARTS)
    const driver = await open(t, options)
    for (const [size, append] of [[11 * MIB, false], [5 * MIB, false], [7, false], [0, false], [13 * MIB, true], [12 * MIB, true], [6 * MIB, true], [1, true]] as const) {
      const writer = await driver.openWriter('/data')
      await writer.write([BYTES.subarray(0, 12 * MIB)])
      if (append) await writer.close()
      const cut = append ? await driver.openWriter('/data', { append }) : writer
      await cut.write([BYTES.subarray(cut.size, 22 * MIB)])
      await cut.truncate(size)
      t.equal(cut.size, size)
      await cut.write([Buffer.from('and more')])
      await cut.close()
      t.ok(Buffer.concat([BYTES.subarray(0, size), Buffer.from('and more')]).equals(await driver.read('/data')), `${size} ${append ? 'by another writer' : ''}`)
    }
    await driver.delete('/data')
    t.same(await unfinished(options), [])
  })

  t.test('deleting a directory ends the uploads in it, and no others', async t => {
    const options = rgwOptions(rgw, SMALL_PARTS)
    const driver = await open(t, options)
    for (const path of ['/up/one/data', '/up/onetwo/data']) {
      const writer = await driver.openWriter(path)
      await writer.write([BYTES.subarray(0, 6 * MIB)])
      await writer.close()
    }
    await driver.delete('/up/one')
    t.equal((await unfinished(options)).length, 1)
    t.same(await driver.list('/up'), ['onetwo'])
    t.ok(BYTES.subarray(0, 6 * MIB).equals(await driver.read('/up/onetwo/data')))
  })

  t.test('many uploads go on in the memory of two parts, also when their clients stall', async t => {
    const options = rgwOptions(rgw, SMALL_PARTS)
    const driver = await open(t, options)
    const bucket = new S3Bucket(await loadS3Sdk(), options)
    t.teardown(() => { bucket.close() })
    const memory = new PartMemory({ partBytes: 5 * MIB, parts: 2, patienceMs: 0 })
    const copy = { threshold: 5 * MIB, partBytes: 5 * MIB, concurrency: 4, whole: new WholeCopies() }
    const writers = await Promise.all(Array.from({ length: 6 }, async (_, i) => {
      await driver.write(`/up${i}`, Buffer.alloc(0))
      const found = await bucket.head(bucket.key(`/up${i}`))
      if (found === undefined) throw new Error('no file')
      return new S3Writer({ bucket, path: `/up${i}`, copy, memory, known: new KnownParts() }, found)
    }))
    // One after the other, so that all but one stall with what they gathered; each of other lengths.
    const ends = writers.map(() => 0)
    while (ends.some(end => end < 11 * MIB)) {
      for (const [i, writer] of writers.entries()) {
        const from = ends[i] ?? 0
        const end = Math.min(from + (i + 1) * 600_001, BYTES.length)
        await writer.write([BYTES.subarray(from, end)])
        t.equal(writer.size, end)
        t.ok(memory.state.bytes <= 10 * MIB)
        ends[i] = end
      }
    }
    await writers[0]?.truncate(1_000_000)
    ends[0] = 1_000_000
    await Promise.all(writers.map(async writer => { await writer.close() }))
    t.same(memory.state, { bytes: 0, waiting: 0 })
    for (const [i, end] of ends.entries()) t.ok(BYTES.subarray(0, end).equals(await driver.read(`/up${i}`)), `${i}`)
    t.same(await unfinished(options), [])
  })

  t.test('deleting a directory leaves a copy alone that is just being made to it', async t => {
    const options = rgwOptions(rgw, SMALL_PARTS)
    const driver = await open(t, options)
    const Key = `${options.rootdirectory?.slice(1)}/blobs/one/data`
    const begin = async (): Promise<void> => { await rgw.client.send(new CreateMultipartUploadCommand({ Bucket: rgw.bucket, Key })) }
    await begin()
    await rejects(t, driver.delete('/blobs/one'), 'path-not-found', '/blobs/one', 's3')
    await driver.write('/blobs/one/data', Buffer.from('an earlier copy'))
    await begin()
    await driver.delete('/blobs/one')
    t.equal((await unfinished(options)).length, 2)
    t.same(await driver.list('/'), [])
    // An upload that nobody finished, and that was killed before its first answer, is none.
    await driver.write('/up/one/data', Buffer.alloc(0))
    await rgw.client.send(new CreateMultipartUploadCommand({ Bucket: rgw.bucket, Key: `${options.rootdirectory?.slice(1)}/up/one/data` }))
    await driver.delete('/up/one')
    t.equal((await unfinished(options)).length, 2)
  })

  t.test('a version names all bytes of a file, those in parts too, and nothing else is moved', async t => {
    const driver = await rgwDriver(t, rgw, SMALL_PARTS)
    const versions = new Set<string | undefined>()
    for (const [from, to] of [[0, 3], [3, 6 * MIB], [6 * MIB, 11 * MIB], [11 * MIB, 12 * MIB]] as const) {
      const writer = await driver.openWriter('/data', { append: from > 0 })
      if (from > 0) t.equal(writer.version, (await driver.stat('/data')).version, 'as it is found')
      await writer.write([BYTES.subarray(from, to)])
      await writer.close()
      t.equal(writer.version, (await driver.stat('/data')).version, 'as it is left')
      versions.add(writer.version)
    }
    t.equal(versions.size, 4)
    const [old] = versions
    await rejects(t, driver.move('/data', '/moved', { version: old }), 'changed', '/data', 's3')
    await rejects(t, driver.stat('/moved'), 'path-not-found', '/moved', 's3')
    // Somebody reads it, which makes an object of it.
    await driver.read('/data')
    await rejects(t, driver.move('/data', '/moved', { version: [...versions].at(-1) }), 'changed', '/data', 's3')
    await driver.move('/data', '/moved', { version: (await driver.stat('/data')).version })
    t.ok(BYTES.subarray(0, 12 * MIB).equals(await driver.read('/moved')))
  })

  t.test('of two writers the one that abandons the file leaves no trace of what it sent', async t => {
    const options = rgwOptions(rgw, SMALL_PARTS)
    const driver = await open(t, options)
    for (const begun of [MIB, 6 * MIB]) {
      const path = `/data-${begun}`
      const writer = await driver.openWriter(path)
      await writer.write([BYTES.subarray(0, begun)])
      await writer.close()
      const [lost, kept] = [await driver.openWriter(path, { append: true }), await driver.openWriter(path, { append: true })]
      await lost.write([Buffer.alloc(8 * MIB, 'x')])
      await lost.abandon?.()
      await kept.write([BYTES.subarray(begun, 13 * MIB)])
      await kept.close()
      await driver.move(path, `/moved-${begun}`, { version: kept.version })
      t.ok(BYTES.subarray(0, 13 * MIB).equals(await driver.read(`/moved-${begun}`)))
    }
    t.same(await unfinished(options), [])
  })

  t.test('an upload whose parts the store threw away is no upload any more', async t => {
    const driver = await rgwDriver(t, rgw, SMALL_PARTS)
    const writer = await driver.openWriter('/data')
    await writer.write([BYTES.subarray(0, 6 * MIB)])
    await writer.close()
    const again = await driver.openWriter('/data', { append: true })
    await driver.delete('/data')
    await rejects(t, again.write([Buffer.from('x')]), 'path-not-found', '/data', 's3')
    await rejects(t, driver.read('/data'), 'path-not-found', '/data', 's3')
  })

  t.test('objects lie where docker\'s registry has them, and lists go on over many pages', async t => {
    const options = rgwOptions(rgw)
    const driver = await open(t, options)
    const names = Array.from({ length: 1100 }, (_, i) => `n${i}`).sort()
    for (let at = 0; at < names.length; at += 50) await Promise.all(names.slice(at, at + 50).map(async name => { await driver.write(`/docker/registry/v2/${name}`, Buffer.from('x')) }))
    t.same(await driver.list('/docker/registry/v2'), names)
    const Key = `${options.rootdirectory?.slice(1)}/docker/registry/v2/n0`
    t.equal((await rgw.client.send(new GetObjectCommand({ Bucket: rgw.bucket, Key }))).ContentType, 'application/octet-stream')
    await driver.delete('/docker')
    const { KeyCount } = await rgw.client.send(new ListObjectsV2Command({ Bucket: rgw.bucket, Prefix: options.rootdirectory?.slice(1) }))
    t.equal(KeyCount, 0)
  })
}
