import { orIfMissing } from '../errors/driver-error.js'
import type { Digest, RepositoryName } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import { mediaTypePath } from './layout.js'
import { inferMediaType } from './manifest-content.js'
import type { StoredContent } from './manifest-contents.js'

/**
 * The media type a manifest was pushed with. Most manifests name it; of the others it is kept beside the
 * revision, if it is not what anybody would take them for.
 */
export async function pushedMediaType (driver: StorageDriver, name: RepositoryName, digest: Digest, { certain, mediaType }: StoredContent): Promise<string> {
  if (certain) return mediaType
  const kept = await orIfMissing(driver.read(mediaTypePath(name, digest)), undefined)
  return kept === undefined ? mediaType : kept.toString('latin1')
}

/**
 * Keeps the media type where the bytes do not tell it, and forgets what an earlier push of the same bytes kept. False
 * where it may be another one than before.
 */
export async function keepMediaType (driver: StorageDriver, name: RepositoryName, digest: Digest, { bytes, mediaType }: { bytes: Uint8Array, mediaType: string }): Promise<boolean> {
  const inferred = inferMediaType(bytes)
  if (inferred.mediaType !== mediaType) await driver.write(mediaTypePath(name, digest), Buffer.from(mediaType, 'latin1'))
  else if (!inferred.certain) await forgetMediaType(driver, name, digest)
  return inferred.certain && inferred.mediaType === mediaType
}

export async function forgetMediaType (driver: StorageDriver, name: RepositoryName, digest: Digest): Promise<void> {
  await orIfMissing(driver.delete(mediaTypePath(name, digest)), undefined)
}
