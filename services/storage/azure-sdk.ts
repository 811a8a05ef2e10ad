import type * as Identity from '@azure/identity'
import type * as Blobs from '@azure/storage-blob'
import { ConfigError } from '../errors/config-error.js'

export type AzureSdk = typeof Blobs

/** The SDK is an optional package, and large: only who stores there loads it. @throws {ConfigError} when it is missing */
export async function loadAzureSdk (): Promise<AzureSdk> {
  return await loaded(() => import('@azure/storage-blob'), '@azure/storage-blob@12.32')
}

/** What knows applications, workloads and machines. @throws {ConfigError} when it is missing */
export async function loadAzureIdentity (): Promise<typeof Identity> {
  return await loaded(() => import('@azure/identity'), '@azure/identity')
}

async function loaded<T> (load: () => Promise<T>, name: string): Promise<T> {
  try {
    return await load()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new ConfigError(`storage.azure: needs a package that is not installed: npm install ${name}`, { cause: error })
  }
}
