import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { parseReference, parseRepositoryName, parseTag } from '../../../services/reference/reference.js'
import type { Digest } from '../../../services/reference/reference.js'
import { blobPath } from '../../../services/registry/layout.js'
import { StorageNamespace } from '../../../services/registry/namespace.js'
import type { BlobStore, Descriptor, Repository, StoredManifest } from '../../../services/registry/types.js'
import type { StorageDriver } from '../../../services/storage/driver.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { UploadSessions } from '../../../services/uploads/sessions.js'
import { FaultDriver, diskFull } from '../../helpers/fault-driver.js'
import { blob, image, sha256, sha512 } from '../../helpers/images.js'
import type { Manifest } from '../../helpers/images.js'
import { STORAGES } from '../../helpers/storages.js'

const NAME = parseRepositoryName('team/app')
const LATEST = parseTag('latest')
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const TEXT = 'the content of a layer'
const DIGEST = sha256(TEXT)
const ALIAS = sha512(TEXT)

const never = (): AbortSignal => new AbortController().signal
const blobUnknown = { code: 'BLOB_UNKNOWN', status: 404 }
const manifestUnknown = { code: 'MANIFEST_UNKNOWN', status: 404 }

function open (driver: StorageDriver): Repository {
  return new StorageNamespace({ driver, uploads: new UploadSessions({ driver }) }).repository(NAME)
}

/** A session that holds the bytes. */
async function uploaded (blobs: BlobStore, bytes: string | Buffer = TEXT): Promise<string> {
  await using session = await blobs.startUpload()
  await session.append(Readable.from([Buffer.from(bytes)], { objectMode: false }))
  await session.flush()
  return session.id
}

async function commit (blobs: BlobStore, id: string, digest: Digest): Promise<Descriptor> {
  await using session = await blobs.resumeUpload(id, never())
  return await blobs.commitUpload(session, digest)
}

async function content (blobs: BlobStore, digest: Digest): Promise<string> {
  return (await buffer(await blobs.open(await blobs.stat(digest)))).toString()
}

async function pushBlobs ({ blobs }: Repository, manifest: Manifest): Promise<void> {
  for (const { bytes, digest } of manifest.blobs) await commit(blobs, await uploaded(blobs, bytes), digest)
}

async function push (repository: Repository, manifest: Manifest, reference: string): Promise<void> {
  await pushBlobs(repository, manifest)
  await repository.manifests.put(manifest.bytes, { mediaType: manifest.mediaType, reference: parseReference(reference) })
}

async function get (repository: Repository, reference: string): Promise<StoredManifest> {
  return await repository.manifests.get(parseReference(reference))
}

async function tagsOf (repository: Repository): Promise<readonly string[]> {
  return (await repository.tags.list({})).items
}

function descriptorOf ({ mediaType, digest, size }: Manifest): object {
  return { mediaType, digest, size }
}

/** An image manifest whose bytes do not name their media type. */
function silent (extra: object): Manifest {
  const { bytes, blobs } = image('silent', extra)
  const { mediaType, ...rest } = JSON.parse(bytes.toString()) as { mediaType: string }
  return { ...blob(JSON.stringify(rest), mediaType), blobs }
}

/** Fails the storage call of this number, counted from 0. Tells whether there was one. */
function failAt (driver: FaultDriver, number: number): () => boolean {
  let count = 0
  driver.before = call => { if (count++ === number) throw diskFull(call) }
  return () => {
    driver.before = () => {}
    return count > number
  }
}

for (const [digest, where, storage] of [DIGEST, ALIAS].flatMap(digest => STORAGES.map(([where, storage]) => [digest, where, storage] as const))) {
  for (const damaged of [false, true]) {
    t.test(`a commit in ${where} by ${digest.slice(0, 6)}${damaged ? ' over a damaged copy' : ''} that fails at any storage call shows nothing half, and can be repeated (R-250)`, async t => {
      let number = 0
      for (let reached = true; reached; number++) {
        const driver = new FaultDriver(await storage(t))
        const { blobs } = open(driver)
        if (damaged) await driver.write(blobPath(DIGEST), Buffer.from('damaged'))
        const id = await uploaded(blobs)
        const stop = failAt(driver, number)
        const outcome = await commit(blobs, id, digest).then(() => 'committed', async (error: Error) => error.message)
        reached = stop()
        if (outcome !== 'committed') {
          t.match(outcome, /ENOSPC/)
          for (const address of [DIGEST, ALIAS]) {
            await t.rejects(content(blobs, address), blobUnknown, `after call ${number}`)
          }
          await commit(blobs, id, digest)
        }
        t.equal(await content(blobs, digest), TEXT)
        t.equal(await content(blobs, DIGEST), TEXT)
      }
      t.ok(number > 5, `${number} calls`)
    })
  }
}

t.test('after a commit that failed at any storage call the client may start over', async t => {
  let number = 0
  for (let reached = true; reached; number++) {
    const driver = new FaultDriver(new MemoryDriver())
    const { blobs } = open(driver)
    const id = await uploaded(blobs)
    const stop = failAt(driver, number)
    await commit(blobs, id, DIGEST).catch(() => {})
    reached = stop()
    t.same(await commit(blobs, await uploaded(blobs), DIGEST), { mediaType: 'application/octet-stream', digest: DIGEST, size: TEXT.length })
    t.equal(await content(blobs, DIGEST), TEXT)
  }
  t.ok(number > 5, `${number} calls`)
})

for (const before of ['nothing', 'another manifest'] as const) {
  for (const reference of ['latest', 'sha512'] as const) {
    t.test(`a push over ${before}, by ${reference}, that fails at any storage call shows nothing half, and can be repeated (R-250, R-187)`, async t => {
      const subject = image('subject')
      const old = image('old')
      const manifest = silent({ subject: descriptorOf(subject) })
      const target = reference === 'latest' ? { tag: LATEST } : { digest: sha512(manifest.bytes) }
      const options = { mediaType: DOCKER_MANIFEST, reference: target, tags: [LATEST] }
      let number = 0
      for (let reached = true; reached; number++) {
        const driver = new FaultDriver(new MemoryDriver())
        const repository = open(driver)
        if (before !== 'nothing') await push(repository, old, 'latest')
        await pushBlobs(repository, manifest)
        const stop = failAt(driver, number)
        const outcome = await repository.manifests.put(manifest.bytes, options).then(() => 'stored', (error: Error) => error.message)
        reached = stop()
        if (reached) {
          t.match(outcome, /ENOSPC/, `call ${number}`)
          const { items: tags } = await repository.tags.list({}).catch(() => ({ items: [] }))
          for (const tag of tags) {
            const { bytes } = await get(repository, tag).catch(() => ({ bytes: Buffer.from(`the listed tag ${tag} points to nothing`) }))
            const expected = before === 'nothing' || bytes.equals(manifest.bytes) ? manifest.bytes : old.bytes
            t.equal(bytes.toString(), expected.toString(), `call ${number}`)
          }
          if (before !== 'nothing') t.same(tags, ['latest'])
          for (const { digest } of await repository.referrers.list(subject.digest)) await get(repository, digest)
          await repository.manifests.put(manifest.bytes, options)
        }
        for (const address of ['latest', manifest.digest]) {
          const found = await get(repository, address)
          t.ok(found.bytes.equals(manifest.bytes))
          t.equal(found.descriptor.mediaType, DOCKER_MANIFEST)
        }
        t.same((await repository.referrers.list(subject.digest)).map(({ digest }) => digest), [manifest.digest])
      }
      t.ok(number > 8, `${number} calls`)
    })
  }
}

t.test('a delete that fails at any storage call leaves no tag to nothing, and can be repeated', async t => {
  const manifest = image('x', { subject: descriptorOf(image('subject')) })
  let number = 0
  for (let reached = true; reached; number++) {
    const driver = new FaultDriver(new MemoryDriver())
    const repository = open(driver)
    for (const tag of ['a', 'b']) await push(repository, manifest, tag)
    const stop = failAt(driver, number)
    await repository.manifests.delete({ digest: manifest.digest }).catch(() => {})
    reached = stop()
    for (const tag of await tagsOf(repository)) t.equal((await get(repository, tag)).descriptor.digest, manifest.digest)
    await repository.manifests.delete({ digest: manifest.digest }).catch((error: { code?: string }) => { t.equal(error.code, 'MANIFEST_UNKNOWN') })
    await t.rejects(get(repository, manifest.digest), manifestUnknown)
    t.same(await tagsOf(repository), [])
    t.same(await repository.referrers.list(image('subject').digest), [])
  }
  t.ok(number > 5, `${number} calls`)
})
