import { resolve } from 'node:path'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { azureLocation } from './azure-settings.js'
import type { StorageDriver } from './driver.js'
import { FilesystemDriver } from './filesystem.js'
import { gcsLocation } from './gcs-settings.js'
import { MemoryDriver } from './memory.js'
import { s3Location } from './s3-settings.js'

/**
 * Opens the driver a validated configuration names. Those of object stores, and what they speak HTTP with, are loaded
 * when they are needed.
 *
 * @throws {ConfigError} when it cannot be opened
 */
export async function createDriver ({ filesystem, s3aws, s3 = s3aws, azure, gcs }: RegistryConfig['storage']): Promise<StorageDriver> {
  if (s3 !== undefined) return await (await import('./s3.js')).S3Driver.open(s3)
  if (azure !== undefined) return await (await import('./azure.js')).AzureDriver.open(azure)
  if (gcs !== undefined) return await (await import('./gcs.js')).GcsDriver.open(gcs)
  return filesystem === undefined ? new MemoryDriver() : await FilesystemDriver.open(filesystem)
}

/** Where the data is, for people. */
export function dataLocation ({ filesystem, s3aws, s3 = s3aws, azure, gcs }: RegistryConfig['storage']): string {
  if (s3 !== undefined) return s3Location(s3)
  if (azure !== undefined) return azureLocation(azure)
  if (gcs !== undefined) return gcsLocation(gcs)
  return filesystem === undefined ? 'memory' : resolve(filesystem.rootdirectory)
}
