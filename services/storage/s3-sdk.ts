import type * as Client from '@aws-sdk/client-s3'
import type * as Presigner from '@aws-sdk/s3-request-presigner'
import { ConfigError } from '../errors/config-error.js'

export type S3Sdk = typeof Client & Pick<typeof Presigner, 'getSignedUrl'>

/** The SDK is an optional package, and large: only who stores in S3 loads it. @throws {ConfigError} when it is missing */
export async function loadS3Sdk (): Promise<S3Sdk> {
  try {
    const [client, { getSignedUrl }] = await Promise.all([import('@aws-sdk/client-s3'), import('@aws-sdk/s3-request-presigner')])
    return { ...client, getSignedUrl }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new ConfigError('storage.s3: needs two packages that are not installed: npm install @aws-sdk/client-s3 @aws-sdk/s3-request-presigner', { cause: error })
  }
}
