import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import { Descriptors } from '../../../services/cache/descriptors.js'
import { MemoryCache } from '../../../services/cache/memory.js'
import { hexOf, parseRepositoryName } from '../../../services/reference/reference.js'
import type { Digest } from '../../../services/reference/reference.js'
import { GlobalBlobStore } from '../../../services/registry/blob-store.js'
import { blobPath, linkPath } from '../../../services/registry/layout.js'
import { LinkedBlobStore, readLink } from '../../../services/registry/linked-blob-store.js'
import { StorageNamespace } from '../../../services/registry/namespace.js'
import type { BlobStore, Descriptor } from '../../../services/registry/types.js'
import type { StorageDriver } from '../../../services/storage/driver.js'
import { FilesystemDriver } from '../../../services/storage/filesystem.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { alone } from '../../../services/workers/workers.js'
import { UploadSessions } from '../../../services/uploads/sessions.js'
import { image, sha256, sha512 } from '../../helpers/images.js'

const A = parseRepositoryName('team/a')
const B = parseRepositoryName('team/b')
const TEXT = 'the content of a layer'
const DIGEST = sha256(TEXT)
const ALIAS = sha512(TEXT)
const ROOT = '/docker/registry/v2'

const never = (): AbortSignal => new AbortController().signal
const unknown = { code: 'BLOB_UNKNOWN', status: 404 }

function registry (driver: StorageDriver = new MemoryDriver()): { driver: StorageDriver, namespace: StorageNamespace, a: BlobStore, b: BlobStore } {
  const namespace = new StorageNamespace({ driver, uploads: new UploadSessions({ driver }) })
  return { driver, namespace, a: namespace.repository(A).blobs, b: namespace.repository(B).blobs }
}

function body (text: string): Readable {
  return Readable.from([Buffer.from(text)], { objectMode: false })
}

/** A session that holds `text`. */
async function uploaded (blobs: BlobStore, text = TEXT): Promise<string> {
  await using session = await blobs.startUpload()
  await session.append(body(text))
  await session.flush()
  return session.id
}

async function commit (blobs: BlobStore, id: string, digest: Digest = DIGEST): Promise<Descriptor> {
  await using session = await blobs.resumeUpload(id, never())
  return await blobs.commitUpload(session, digest)
}

async function push (blobs: BlobStore, text = TEXT, digest: Digest = sha256(text)): Promise<Descriptor> {
  return await commit(blobs, await uploaded(blobs, text), digest)
}

async function content (blobs: BlobStore, digest: Digest): Promise<string> {
  return (await buffer(await blobs.open(await blobs.stat(digest)))).toString()
}

/** Every file below a path, sorted. */
async function files (driver: StorageDriver, path = ROOT): Promise<string[]> {
  const { isDirectory } = await driver.stat(path)
  if (!isDirectory) return [path]
  const children = await driver.list(path)
  return (await Promise.all(children.map(async child => await files(driver, `${path}/${child}`)))).flat().sort()
}

async function disk (t: Test): Promise<FilesystemDriver> {
  return await FilesystemDriver.open({ rootdirectory: t.testdir({}), fsync: false })
}

t.test('a pushed blob lies where docker\'s registry looks for it, and nothing else is left', async t => {
  const { driver, a } = registry(await disk(t))
  t.same(await push(a), { mediaType: 'application/octet-stream', digest: DIGEST, size: TEXT.length })
  const hex = hexOf(DIGEST)
  t.same(await files(driver), [
    `${ROOT}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`,
    `${ROOT}/repositories/team/a/_layers/sha256/${hex}/link`
  ])
  t.equal((await driver.read(blobPath(DIGEST))).toString(), TEXT)
  t.equal((await driver.read(linkPath(A, '_layers', DIGEST))).toString(), DIGEST)
})

t.test('a blob pushed by sha512 lies under its sha256, with a link under each digest (R-079)', async t => {
  const { driver, a } = registry(await disk(t))
  t.same(await push(a, TEXT, ALIAS), { mediaType: 'application/octet-stream', digest: DIGEST, size: TEXT.length })
  const hex = hexOf(DIGEST)
  t.same(await files(driver), [
    `${ROOT}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`,
    `${ROOT}/repositories/team/a/_layers/sha256/${hex}/link`,
    `${ROOT}/repositories/team/a/_layers/sha512/${hexOf(ALIAS)}/link`
  ])
  t.equal((await driver.read(linkPath(A, '_layers', ALIAS))).toString(), DIGEST)
  for (const digest of [DIGEST, ALIAS]) t.equal(await content(a, digest), TEXT)
})

t.test('a pushed blob is read whole and in part', async t => {
  const { a } = registry()
  const descriptor = await push(a)
  t.same(await a.stat(DIGEST), descriptor)
  t.equal(await content(a, DIGEST), TEXT)
  t.equal((await buffer(await a.open(descriptor, { start: 4, end: 10 }))).toString(), TEXT.slice(4, 11))
})

t.test('the empty blob can be pushed and read (R-051, R-111)', async t => {
  const { a } = registry(await disk(t))
  t.equal((await push(a, '')).size, 0)
  t.equal((await a.stat(sha256(''))).size, 0)
  t.equal(await content(a, sha256('')), '')
})

t.test('a blob is seen only through the repository it was pushed into (R-040, R-254)', async t => {
  const { a, b } = registry()
  const descriptor = await push(a)
  await t.rejects(async () => await b.stat(DIGEST), { ...unknown, detail: DIGEST })
  await t.rejects(b.delete(DIGEST), unknown)
  t.equal((await a.stat(DIGEST)).size, descriptor.size, 'a stranger\'s delete changes nothing')
})

t.test('a manifest is no blob of its repository, and a blob is no manifest (R-040)', async t => {
  const { namespace } = registry()
  const { blobs, manifests } = namespace.repository(A)
  const manifest = image()
  for (const { bytes } of manifest.blobs) await push(blobs, bytes.toString())
  await manifests.put(manifest.bytes, { mediaType: manifest.mediaType, reference: { digest: manifest.digest } })
  await t.rejects(async () => await blobs.stat(manifest.digest), unknown)
  await t.rejects(manifests.get({ digest: manifest.blobs[0]?.digest ?? DIGEST }), { code: 'MANIFEST_UNKNOWN' })
})

t.test('content of another digest is not published, and its session is over (R-108)', async t => {
  const { driver, a } = registry()
  const id = await uploaded(a)
  await t.rejects(commit(a, id, sha256('other')), { code: 'DIGEST_INVALID' })
  await t.rejects(async () => await a.stat(sha256('other')), unknown)
  await t.rejects(async () => await a.stat(DIGEST), unknown)
  await t.rejects(a.resumeUpload(id, never()), { code: 'BLOB_UPLOAD_UNKNOWN' })
  t.same(await files(driver), [])
})

t.test('a committed session is over (R-116)', async t => {
  const { a } = registry()
  const id = await uploaded(a)
  await commit(a, id)
  await t.rejects(commit(a, id), { code: 'BLOB_UPLOAD_UNKNOWN' })
})

t.test('the same content is stored once, however often and wherever it is pushed (R-117)', async t => {
  const { driver, a, b } = registry()
  await push(a)
  await push(a)
  await push(b)
  t.same((await files(driver)).filter(path => path.includes('/blobs/')), [blobPath(DIGEST)])
  t.equal(await content(b, DIGEST), TEXT)
})

for (const where of ['in memory', 'on disk']) {
  t.test(`sessions that commit one digest at once ${where} all succeed (R-117)`, async t => {
    const { driver, a, b } = registry(where === 'on disk' ? await disk(t) : new MemoryDriver())
    const stores = [a, b, a, b, a, b]
    const ids = await Promise.all(stores.map(async blobs => await uploaded(blobs)))
    const descriptors = await Promise.all(stores.map(async (blobs, i) => await commit(blobs, ids[i] ?? '')))
    t.same(descriptors.map(({ digest }) => digest), stores.map(() => DIGEST))
    for (const blobs of [a, b]) t.equal(await content(blobs, DIGEST), TEXT)
    t.same(await files(driver), [blobPath(DIGEST), linkPath(A, '_layers', DIGEST), linkPath(B, '_layers', DIGEST)])
  })
}

t.test('a commit replaces a copy of another size: that one is damaged', async t => {
  for (const damage of ['', TEXT.slice(0, 5), `${TEXT} and more`]) {
    const { driver, a } = registry()
    await driver.write(blobPath(DIGEST), Buffer.from(damage))
    t.equal((await push(a)).size, TEXT.length)
    t.equal(await content(a, DIGEST), TEXT)
  }
})

t.test('a file that is gone is only excused when its content is there', async t => {
  const { driver } = registry()
  const store = new GlobalBlobStore(driver)
  await t.rejects(store.adopt('/gone', DIGEST, TEXT.length), { message: /path not found/ })
  await store.put(DIGEST, Buffer.from(TEXT))
  await t.resolves(store.adopt('/gone', DIGEST, TEXT.length))
})

t.test('a directory where content should be is no content', async t => {
  const { driver } = registry()
  await driver.write(`${blobPath(DIGEST)}/stray`, Buffer.from('x'))
  t.equal(await new GlobalBlobStore(driver).stat(DIGEST), undefined)
})

t.test('a mounted blob is the target\'s own (R-127, R-136)', async t => {
  const { a, b } = registry()
  const descriptor = await push(a)
  t.same(await b.mount(DIGEST, A), descriptor)
  await a.delete(DIGEST)
  await t.rejects(async () => await a.stat(DIGEST), unknown)
  t.equal(await content(b, DIGEST), TEXT)
})

t.test('a blob is mounted by the digest it was asked for (R-135)', async t => {
  const { driver, a, b } = registry()
  await push(a, TEXT, ALIAS)
  t.equal((await b.mount(ALIAS, A))?.digest, DIGEST)
  t.equal(await content(b, ALIAS), TEXT)
  t.equal(await content(b, DIGEST), TEXT)
  t.equal((await driver.read(linkPath(B, '_layers', ALIAS))).toString(), DIGEST)
})

t.test('what the source does not have cannot be mounted, even if it is in storage (R-128, R-040)', async t => {
  const { driver, a, b } = registry()
  t.equal(await b.mount(DIGEST, A), null)
  await push(a)
  t.equal(await b.mount(ALIAS, A), null)
  t.equal(await a.mount(DIGEST, B), null)
  await driver.delete(blobPath(DIGEST))
  t.equal(await b.mount(DIGEST, A), null, 'a link without content')
  t.same((await files(driver)).filter(path => path.includes('/team/b/')), [])
})

t.test('where a blob was put lately is remembered, the latest first (R-129)', async t => {
  const { namespace, a, b } = registry()
  t.same(a.holders(DIGEST), [])
  await push(a)
  await push(a)
  t.same(b.holders(DIGEST), [A])
  await b.mount(DIGEST, A)
  t.same(a.holders(DIGEST), [B, A])
  await push(a)
  t.same(a.holders(DIGEST), [A, B])
  for (const name of ['c', 'd', 'e']) await push(namespace.repository(parseRepositoryName(name)).blobs)
  t.same(a.holders(DIGEST), ['e', 'd', 'c', A])
})

t.test('a deleted blob is unknown at once, deletes once, and can be pushed again (R-140, R-141)', async t => {
  const { a } = registry()
  await push(a)
  for (let round = 0; round < 3; round++) {
    await a.delete(DIGEST)
    await t.rejects(async () => await a.stat(DIGEST), unknown)
    await t.rejects(a.delete(DIGEST), unknown)
    await push(a)
    t.equal(await content(a, DIGEST), TEXT)
  }
})

t.test('deleting a blob leaves other repositories alone (R-143)', async t => {
  const { a, b } = registry()
  await push(a)
  await push(b)
  await a.delete(DIGEST)
  t.equal(await content(b, DIGEST), TEXT)
})

t.test('a sha512 address lives as long as the canonical one, whichever is deleted', async t => {
  for (const deleted of [DIGEST, ALIAS]) {
    const { a } = registry()
    await push(a, TEXT, ALIAS)
    await a.delete(deleted)
    for (const digest of [DIGEST, ALIAS]) {
      await t.rejects(async () => await a.stat(digest), unknown)
      await t.rejects(a.delete(digest), unknown)
    }
  }
})

t.test('a blob pushed by sha256 is not known by its sha512', async t => {
  const { a } = registry()
  await push(a)
  await t.rejects(async () => await a.stat(ALIAS), unknown)
})

t.test('a link whose content is gone is unknown (R-052)', async t => {
  const { driver, a } = registry()
  const descriptor = await push(a)
  await driver.delete(blobPath(DIGEST))
  await t.rejects(async () => await a.stat(DIGEST), unknown)
  await t.rejects(a.open(descriptor), unknown)
  await t.rejects(a.delete(DIGEST), unknown)
})

t.test('a link may have white space around it', async t => {
  const { driver, a } = registry()
  await push(a)
  for (const text of [`${DIGEST}\n`, ` ${DIGEST} `, `\r\n${DIGEST}\r\n`]) {
    await driver.write(linkPath(A, '_layers', DIGEST), Buffer.from(text))
    t.equal((await a.stat(DIGEST)).digest, DIGEST)
  }
})

t.test('a broken link is none', async t => {
  for (const text of ['', '\n', 'garbage', DIGEST.slice(0, -1), `${DIGEST}0`, DIGEST.toUpperCase(), `${DIGEST}\n${DIGEST}`, '\0'.repeat(71), 'x'.repeat(5000)]) {
    const { driver, a, b } = registry()
    await push(a)
    await driver.write(linkPath(A, '_layers', DIGEST), Buffer.from(text))
    t.equal(await readLink(driver, linkPath(A, '_layers', DIGEST)).catch(String), undefined, JSON.stringify(text.slice(0, 80)))
    await t.rejects(async () => await a.stat(DIGEST), unknown)
    t.equal(await b.mount(DIGEST, A).catch(String), null)
    await push(a)
    t.equal(await content(a, DIGEST).catch(String), TEXT, 'a push mends it')
  }
})

t.test('a broken alias does not hurt the canonical link', async t => {
  const { driver, a } = registry()
  await push(a, TEXT, ALIAS)
  await driver.write(linkPath(A, '_layers', ALIAS), Buffer.from(''))
  await t.rejects(async () => await a.stat(ALIAS), unknown)
  t.equal(await content(a, DIGEST), TEXT)
})

t.test('a delete is told to every process under each digest, also when there was nothing to delete', async t => {
  const { driver, a } = registry()
  await push(a, TEXT, ALIAS)
  const told: unknown[] = []
  const workers = { ...alone(), count: 2, broadcast: async (_topic: string, message: unknown) => { told.push(message); return [] } }
  const content = new GlobalBlobStore(driver)
  const descriptors = new Descriptors({ cache: new MemoryCache(10), workers })
  const links = new LinkedBlobStore({ driver, name: A, set: '_layers', content, descriptors, describe: digest => content.stat(digest) })
  t.equal(await links.unlink(ALIAS), DIGEST)
  t.equal(await links.unlink(ALIAS), undefined)
  const scope = { name: A, set: '_layers' }
  t.same(told, [{ scope, digests: [DIGEST, ALIAS] }, { scope, digests: [ALIAS] }])
})
