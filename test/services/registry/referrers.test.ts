import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { hexOf, parseReference, parseRepositoryName } from '../../../services/reference/reference.js'
import type { Digest } from '../../../services/reference/reference.js'
import { StorageNamespace } from '../../../services/registry/namespace.js'
import type { ManifestPutResult, Repository } from '../../../services/registry/types.js'
import type { StorageDriver } from '../../../services/storage/driver.js'
import { FilesystemDriver } from '../../../services/storage/filesystem.js'
import { guarded } from '../../../services/storage/guarded.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { UploadSessions } from '../../../services/uploads/sessions.js'
import { blob, image, index, sha512 } from '../../helpers/images.js'
import type { Manifest } from '../../helpers/images.js'

const NAME = parseRepositoryName('team/app')
const OTHER = parseRepositoryName('team/other')
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const MANIFESTS = '/docker/registry/v2/repositories/team/app/_manifests'

function open (driver: StorageDriver = new MemoryDriver()): { driver: StorageDriver, repository: Repository, other: Repository } {
  const namespace = new StorageNamespace({ driver, uploads: new UploadSessions({ driver }) })
  return { driver, repository: namespace.repository(NAME), other: namespace.repository(OTHER) }
}

async function pushBlobs ({ blobs }: Repository, contents: ReadonlyArray<{ readonly bytes: Buffer, readonly digest: Digest }>): Promise<void> {
  for (const { bytes, digest } of contents) {
    await using session = await blobs.startUpload()
    await session.append(Readable.from([bytes], { objectMode: false }))
    await blobs.commitUpload(session, digest)
  }
}

async function put (repository: Repository, { bytes, mediaType, digest }: Pick<Manifest, 'bytes' | 'mediaType' | 'digest'>, reference: string = digest): Promise<ManifestPutResult> {
  return await repository.manifests.put(bytes, { mediaType, reference: parseReference(reference) })
}

async function push (repository: Repository, manifest: Manifest, reference: string = manifest.digest): Promise<ManifestPutResult> {
  await pushBlobs(repository, manifest.blobs)
  return await put(repository, manifest, reference)
}

async function remove (repository: Repository, reference: string): Promise<void> {
  await repository.manifests.delete(parseReference(reference))
}

/** An image manifest whose bytes do not name their media type. */
function silent (extra: object = {}): Manifest {
  const { bytes, blobs } = image('silent', extra)
  const { mediaType, ...content } = JSON.parse(bytes.toString()) as { mediaType: string }
  return { ...blob(JSON.stringify(content), mediaType), blobs }
}

function descriptorOf ({ mediaType, digest, size }: Manifest): { mediaType: string, digest: Digest, size: number } {
  return { mediaType, digest, size }
}

const subject = image('subject')
const ref = { subject: descriptorOf(subject) }

t.test('there are none of a digest nobody mentions, also in a repository nobody wrote (R-216)', async t => {
  const { repository } = open()
  t.same(await repository.referrers.list(subject.digest), [])
})

t.test('each is described as it describes itself (R-220, R-221, R-222)', async t => {
  const { repository } = open()
  const typed = image('typed', { ...ref, artifactType: 'a/b', annotations: { k: 'v', '': '' } })
  const untyped = image('untyped', ref)
  const list = index([], { ...ref, annotations: { list: 'yes' } })
  for (const manifest of [typed, untyped, list]) t.equal((await push(repository, manifest)).subject, subject.digest)
  const expected = [
    { ...descriptorOf(typed), artifactType: 'a/b', annotations: { k: 'v', '': '' } },
    { ...descriptorOf(untyped), artifactType: 'application/vnd.oci.image.config.v1+json' },
    { ...descriptorOf(list), annotations: { list: 'yes' } }
  ].sort((a, b) => a.digest < b.digest ? -1 : 1)
  t.strictSame(await repository.referrers.list(subject.digest), expected)
})

t.test('they are listed before their subject is pushed, and after it is deleted (R-171, R-230, R-231)', async t => {
  const { repository } = open()
  const referrer = image('referrer', ref)
  await push(repository, referrer)
  const digests = async (): Promise<Digest[]> => (await repository.referrers.list(subject.digest)).map(({ digest }) => digest)
  t.same(await digests(), [referrer.digest])
  await push(repository, subject)
  t.same(await digests(), [referrer.digest])
  await remove(repository, subject.digest)
  t.same(await digests(), [referrer.digest])
})

t.test('one under several tags and digests is one entry (R-232)', async t => {
  const { repository } = open()
  const referrer = image('referrer', ref)
  for (const reference of ['a', 'b', referrer.digest, sha512(referrer.bytes)]) await push(repository, referrer, reference)
  t.same((await repository.referrers.list(subject.digest)).map(({ digest }) => digest), [referrer.digest])
})

t.test('a deleted one is listed no more, by whichever digest it went (R-198)', async t => {
  const { repository } = open()
  const [one, two] = [image('one', ref), image('two', ref)]
  await push(repository, one)
  await push(repository, two, sha512(two.bytes))
  await remove(repository, sha512(two.bytes))
  t.same((await repository.referrers.list(subject.digest)).map(({ digest }) => digest), [one.digest])
  await remove(repository, one.digest)
  t.same(await repository.referrers.list(subject.digest), [])
})

t.test('a deleted one leaves nothing among the links, where every list would come across it', async t => {
  const { driver, repository } = open()
  const referrer = image('one', ref)
  await push(repository, referrer)
  await remove(repository, referrer.digest)
  t.same(await driver.list(`${MANIFESTS}/_referrers/sha256/${hexOf(subject.digest)}/sha256`).catch(() => []), [])
})

t.test('deleting only the tag of one keeps it listed', async t => {
  const { repository } = open()
  await push(repository, image('one', ref), 'sig')
  await remove(repository, 'sig')
  t.equal((await repository.referrers.list(subject.digest)).length, 1)
})

t.test('they are of one repository (R-223)', async t => {
  const { repository, other } = open()
  await push(repository, image('one', ref))
  t.same(await other.referrers.list(subject.digest), [])
})

t.test('a subject is what the referrer calls it', async t => {
  const { repository } = open()
  await push(repository, image('one', { subject: { ...descriptorOf(subject), digest: sha512(subject.bytes) } }))
  t.equal((await repository.referrers.list(sha512(subject.bytes))).length, 1)
  t.same(await repository.referrers.list(subject.digest), [])
})

t.test('one that does not name its type is listed with the type it is served with (R-220)', async t => {
  const { repository } = open()
  const manifest = { ...silent(ref), mediaType: DOCKER_MANIFEST }
  await push(repository, manifest)
  t.equal((await repository.manifests.get({ digest: manifest.digest })).descriptor.mediaType, DOCKER_MANIFEST)
  t.equal((await repository.referrers.list(subject.digest))[0]?.mediaType, DOCKER_MANIFEST)
})

t.test('entries of an index kept by tag for an older registry are listed (R-233)', async t => {
  for (const digest of [subject.digest, sha512(subject.bytes)]) {
    const { driver, repository } = open()
    const own = { subject: { ...descriptorOf(subject), digest } }
    const [listed, both, stranger] = [image('listed', own), image('both', own), image('stranger')]
    for (const manifest of [listed, both, stranger]) await push(repository, manifest)
    // As an older registry leaves it: no index of referrers.
    await driver.delete(`${MANIFESTS}/_referrers`)
    await put(repository, both)
    const tag = `${digest.slice(0, 6)}-${hexOf(digest).slice(0, 64)}`
    await push(repository, index([listed, both, stranger]), tag)
    t.same((await repository.referrers.list(digest)).map(found => found.digest), [listed.digest, both.digest].sort())
  }
})

t.test('a tag of that name on something else does no harm (R-039)', async t => {
  const { repository } = open()
  await push(repository, image('signature'), `sha256-${hexOf(subject.digest)}`)
  t.same(await repository.referrers.list(subject.digest), [])
})

t.test('stray names among the links do no harm', async t => {
  const root = t.testdir({})
  const { repository } = open(guarded(await FilesystemDriver.open({ rootdirectory: root, fsync: false })))
  const referrer = image('one', ref)
  await push(repository, referrer)
  const links = join(root, MANIFESTS, '_referrers', 'sha256', hexOf(subject.digest))
  for (const stray of ['@eaDir', 'md5', 'sha256/nonsense', 'sha256/@eaDir']) await mkdir(join(links, stray), { recursive: true })
  t.same((await repository.referrers.list(subject.digest)).map(({ digest }) => digest), [referrer.digest])
})
