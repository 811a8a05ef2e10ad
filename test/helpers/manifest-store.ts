import { Readable } from 'node:stream'
import { parseReference, parseRepositoryName, parseTag } from '../../services/reference/reference.js'
import type { Digest } from '../../services/reference/reference.js'
import { StorageNamespace } from '../../services/registry/namespace.js'
import type { ReferenceValidation } from '../../services/registry/reference-check.js'
import type { ManifestPutResult, Repository, StoredManifest } from '../../services/registry/types.js'
import type { StorageDriver } from '../../services/storage/driver.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { UploadSessions } from '../../services/uploads/sessions.js'
import { blob, image } from './images.js'
import type { Manifest } from './images.js'

export const NAME = parseRepositoryName('team/app')
export const OTHER = parseRepositoryName('team/other')
export const LATEST = parseTag('latest')
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const MANIFESTS = '/docker/registry/v2/repositories/team/app/_manifests'

export const unknown = { code: 'MANIFEST_UNKNOWN', status: 404 }

export function open (driver: StorageDriver = new MemoryDriver(), validation?: ReferenceValidation): { driver: StorageDriver, repository: Repository, other: Repository } {
  const namespace = new StorageNamespace({ driver, uploads: new UploadSessions({ driver }), ...(validation === undefined ? {} : { validation }) })
  return { driver, repository: namespace.repository(NAME), other: namespace.repository(OTHER) }
}

export async function pushBlobs ({ blobs }: Repository, contents: ReadonlyArray<{ readonly bytes: Buffer, readonly digest: Digest }>): Promise<void> {
  for (const { bytes, digest } of contents) {
    await using session = await blobs.startUpload()
    await session.append(Readable.from([bytes], { objectMode: false }))
    await blobs.commitUpload(session, digest)
  }
}

export async function put (repository: Repository, { bytes, mediaType, digest }: Pick<Manifest, 'bytes' | 'mediaType' | 'digest'>, reference: string = digest): Promise<ManifestPutResult> {
  return await repository.manifests.put(bytes, { mediaType, reference: parseReference(reference) })
}

export async function push (repository: Repository, manifest: Manifest, reference: string = manifest.digest): Promise<ManifestPutResult> {
  await pushBlobs(repository, manifest.blobs)
  return await put(repository, manifest, reference)
}

export async function get (repository: Repository, reference: string): Promise<StoredManifest> {
  return await repository.manifests.get(parseReference(reference))
}

export async function remove (repository: Repository, reference: string): Promise<void> {
  await repository.manifests.delete(parseReference(reference))
}

export async function tagsOf (repository: Repository): Promise<readonly string[]> {
  return (await repository.tags.list({})).items
}

/** An image manifest whose bytes do not name their media type. */
export function silent (extra: object = {}): Manifest {
  const { bytes, blobs } = image('silent', extra)
  const { mediaType, ...content } = JSON.parse(bytes.toString()) as { mediaType: string }
  return { ...blob(JSON.stringify(content), mediaType), blobs }
}

export function descriptorOf ({ mediaType, digest, size }: Manifest): { mediaType: string, digest: Digest, size: number } {
  return { mediaType, digest, size }
}
