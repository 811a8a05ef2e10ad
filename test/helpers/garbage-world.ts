import { Readable } from 'node:stream'
import { OciError } from '../../services/errors/oci-error.js'
import { Collection } from '../../services/garbage/collection.js'
import type { CollectionOptions } from '../../services/garbage/collection.js'
import type { CollectionResult } from '../../services/garbage/report.js'
import { parseReference, parseRepositoryName } from '../../services/reference/reference.js'
import type { Digest } from '../../services/reference/reference.js'
import { StorageNamespace } from '../../services/registry/namespace.js'
import type { BlobStore, Repository } from '../../services/registry/types.js'
import { walkBlobs } from '../../services/registry/walk.js'
import type { StorageDriver } from '../../services/storage/driver.js'
import { UploadSessions } from '../../services/uploads/sessions.js'
import type { Blob, Manifest } from './images.js'

/** A time at which everything that a test has written is old. */
export const LATER = Date.UTC(2100, 0, 1)

export function openNamespace (driver: StorageDriver): StorageNamespace {
  return new StorageNamespace({ driver, uploads: new UploadSessions({ driver }) })
}

export function openRepository (driver: StorageDriver, name = 'team/app'): Repository {
  return openNamespace(driver).repository(parseRepositoryName(name))
}

/** One collection, by default such that whatever is not needed is gone after it. */
export async function collect (driver: StorageDriver, options: Partial<CollectionOptions> = {}): Promise<CollectionResult> {
  return await new Collection({ driver, graceMs: 0, deleteUntagged: false, dryRun: false, forget: async () => {}, clock: { now: () => LATER }, ...options }).run()
}

export async function pushBlob (blobs: BlobStore, { bytes, digest }: Pick<Blob, 'bytes' | 'digest'>): Promise<void> {
  await using session = await blobs.startUpload()
  await session.append(Readable.from([bytes], { objectMode: false }))
  await blobs.commitUpload(session, digest)
}

export async function pushManifest ({ manifests }: Repository, { bytes, mediaType, digest }: Manifest, reference: string = digest): Promise<void> {
  await manifests.put(bytes, { mediaType, reference: parseReference(reference) })
}

export async function pushImage (repository: Repository, image: Manifest, reference: string = image.digest): Promise<void> {
  for (const blob of image.blobs) await pushBlob(repository.blobs, blob)
  await pushManifest(repository, image, reference)
}

/** Whether the manifest and everything that it needs can be read, and is what it should be. Says what cannot. */
export async function missingOf (repository: Repository, manifest: Manifest, reference: string = manifest.digest): Promise<string | undefined> {
  try {
    const { bytes } = await repository.manifests.get(parseReference(reference))
    if (!bytes.equals(manifest.bytes)) return `${reference} is another manifest`
    for (const blob of manifest.blobs) {
      const found: Buffer[] = []
      for await (const chunk of await repository.blobs.open(await repository.blobs.stat(blob.digest))) found.push(chunk as Buffer)
      if (!Buffer.concat(found).equals(blob.bytes)) return `${blob.digest} has other bytes`
    }
    return undefined
  } catch (error) {
    if (OciError.is(error)) return `${error.code} ${String(error.detail)}`
    throw error
  }
}

export async function blobsIn (driver: StorageDriver): Promise<Digest[]> {
  const digests: Digest[] = []
  for await (const digest of walkBlobs(driver)) digests.push(digest)
  return digests.sort()
}

export async function isAside (driver: StorageDriver): Promise<boolean> {
  return await driver.list('/oci-registry/garbage').then(names => names.length > 0, () => false)
}
