import { buffer } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import { parseRepositoryName } from '../../../services/reference/reference.js'
import { blobPath, linkPath } from '../../../services/registry/layout.js'
import { writeLink } from '../../../services/registry/linked-blob-store.js'
import { StorageNamespace } from '../../../services/registry/namespace.js'
import type { NamespaceParts } from '../../../services/registry/namespace.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { UploadSessions } from '../../../services/uploads/sessions.js'
import { FaultDriver } from '../../helpers/fault-driver.js'
import { blob } from '../../helpers/images.js'

const NAME = parseRepositoryName('team/app')
const SMALL = blob('a small layer')

async function stored (t: Test, { bytes = SMALL.bytes, digest = SMALL.digest } = {}, options: Partial<NamespaceParts> = {}) {
  const driver = new FaultDriver(new MemoryDriver())
  await driver.write(blobPath(digest), bytes)
  await writeLink(driver, linkPath(NAME, '_layers', digest), digest)
  const namespace = new StorageNamespace({ driver, uploads: new UploadSessions({ driver }), ...options })
  const { blobs } = namespace.repository(NAME)
  const descriptor = await blobs.stat(digest)
  driver.calls.length = 0
  return { driver, namespace, blobs, descriptor, calls: () => driver.calls.splice(0).map(({ operation }) => operation) }
}

t.test('a small blob is read once, then it is there at once', async t => {
  const { blobs, descriptor, calls } = await stored(t)
  t.same(await blobs.bytes?.(descriptor), SMALL.bytes)
  t.same(calls(), ['read'])
  t.same(blobs.bytes?.(descriptor), SMALL.bytes, 'without a promise')
  t.same(calls(), [])
})

t.test('64 KiB are small, one byte more is not', async t => {
  const most = blob('x'.repeat(64 * 1024))
  const small = await stored(t, most)
  t.same(await small.blobs.bytes?.(small.descriptor), most.bytes)
  const large = await stored(t, blob('x'.repeat(64 * 1024 + 1)))
  t.equal(large.blobs.bytes?.(large.descriptor), null)
  t.same(large.calls(), [])
})

t.test('damaged bytes are never served', async t => {
  const { driver, blobs, descriptor } = await stored(t, { bytes: Buffer.from('not a small layer'), digest: SMALL.digest })
  for (let i = 0; i < 2; i++) await t.rejects(async () => await blobs.bytes?.(descriptor), { name: 'DamagedContent' })
  await driver.write(blobPath(SMALL.digest), SMALL.bytes)
  t.same(await blobs.bytes?.(descriptor), SMALL.bytes, 'mended')
})

t.test('content that somebody else took out of storage is unknown', async t => {
  const { driver, blobs, descriptor } = await stored(t)
  await driver.delete(blobPath(SMALL.digest))
  await t.rejects(async () => await blobs.bytes?.(descriptor), { code: 'BLOB_UNKNOWN' })
})

t.test('what was put aside is asked of storage again', async t => {
  const { driver, namespace, blobs, descriptor } = await stored(t)
  await blobs.bytes?.(descriptor)
  await driver.delete(blobPath(SMALL.digest))
  t.same(blobs.bytes?.(descriptor), SMALL.bytes, 'a descriptor that counts is a blob that may be shown')
  await namespace.forget(SMALL.digest)
  await t.rejects(async () => await blobs.stat(SMALL.digest), { code: 'BLOB_UNKNOWN' })
  await t.rejects(async () => await blobs.bytes?.(descriptor), { code: 'BLOB_UNKNOWN' })
})

t.test('many small blobs do not fill the memory', async t => {
  const { driver, blobs } = await stored(t)
  const many = Array.from({ length: 300 }, (_, i) => blob(String(i).padEnd(64 * 1024, 'x')))
  for (const { bytes, digest } of many) {
    await driver.write(blobPath(digest), bytes)
    await writeLink(driver, linkPath(NAME, '_layers', digest), digest)
    await blobs.bytes?.(await blobs.stat(digest))
  }
  driver.calls.length = 0
  for (const { digest } of many.toReversed()) await blobs.bytes?.(await blobs.stat(digest))
  const reads = driver.calls.filter(({ operation, path }) => operation === 'read' && path.endsWith('/data')).length
  t.ok(reads > 40 && reads < 300, `${reads} of 300 times 64 KiB had to be read again`)
})

t.test('where other code is in front of repositories each request has its own, and all is read by open', async t => {
  const plain = await stored(t)
  t.equal(plain.namespace.repository(NAME), plain.namespace.repository(NAME))
  const { namespace, blobs, descriptor } = await stored(t, {}, { decorated: true })
  t.not(namespace.repository(NAME), namespace.repository(NAME))
  t.equal(blobs.bytes?.(descriptor), null)
  t.same(await buffer(await blobs.open(descriptor)), SMALL.bytes)
})
