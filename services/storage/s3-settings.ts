import type { S3ClientConfig, ServerSideEncryption, StorageClass, ObjectCannedACL } from '@aws-sdk/client-s3'
import type { RegistryConfig } from '../../schemas/config/index.js'

export type S3Options = NonNullable<RegistryConfig['storage']['s3']>

/** A connection that stands still for this long is given up, and the request tried again. */
const SOCKET_TIMEOUT_MS = 60_000
const CONNECTION_TIMEOUT_MS = 10_000
/** The first attempt and four more, with growing, jittered pauses: for 5xx, 429, SlowDown and a broken network. */
const MAX_ATTEMPTS = 5
const MAX_SOCKETS = 256
const REGION = /^[a-z]{2,4}(?:-[a-z]+)+-\d+$/

/** What every object is written with. */
export interface S3ObjectSettings {
  readonly ContentType: string
  readonly ACL?: ObjectCannedACL
  readonly StorageClass?: StorageClass
  readonly ServerSideEncryption?: ServerSideEncryption
  readonly SSEKMSKeyId?: string
}

/** What is wrong with the parameters beyond what the schema sees, one line each. */
export function s3Problems ({ s3, s3aws }: RegistryConfig['storage']): string[] {
  const options = s3 ?? s3aws
  if (options === undefined) return []
  const { region, regionendpoint, accesskey, secretkey, sessiontoken, v4auth, keyid, encrypt, objectacl, acl } = options
  const at = s3 === undefined ? 'storage.s3aws' : 'storage.s3'
  const wrong: Record<string, boolean> = {
    'region: is missing; without a regionendpoint, that of the bucket is needed': region === undefined && regionendpoint === undefined,
    [`region: invalid region provided: ${region ?? ''}`]: region !== undefined && regionendpoint === undefined && !REGION.test(region),
    'regionendpoint: a URL or host:port is needed': regionendpoint !== undefined && !URL.canParse(withScheme(options) ?? ''),
    'secretkey: is missing; accesskey and secretkey go together': accesskey !== undefined && secretkey === undefined,
    'accesskey: is missing; accesskey and secretkey go together': accesskey === undefined && secretkey !== undefined,
    'sessiontoken: needs accesskey and secretkey': sessiontoken !== undefined && accesskey === undefined && secretkey === undefined,
    'v4auth: on Amazon S3 this storage driver can only be used with v4 authentication': !v4auth && regionendpoint === undefined,
    'keyid: needs encrypt: true': keyid !== undefined && !encrypt,
    'acl: is another name of objectacl; give one of them': objectacl !== undefined && acl !== undefined
  }
  return Object.entries(wrong).filter(([, isWrong]) => isWrong).map(([text]) => `${at}.${text}`)
}

/** Whether connections to the store are encrypted, and so cost something to make. */
export function isSecure (options: S3Options): boolean {
  return withScheme(options)?.toLowerCase().startsWith('http:') !== true
}

/**
 * The options of the SDK's client. Without `keepAlive` each request has a connection of its own: Ceph, unless it is told
 * otherwise (`tcp_nodelay`), sends an answer in two pieces, the second one when the first is acknowledged, and on a
 * connection that was used before the kernel takes 40 ms for that.
 */
export function s3ClientConfig (options: S3Options, { keepAlive = true }: { readonly keepAlive?: boolean } = {}): S3ClientConfig {
  const { region, regionendpoint, forcepathstyle, accesskey, secretkey, sessiontoken, secure, skipverify, useragent } = options
  const agent = { keepAlive, maxSockets: MAX_SOCKETS }
  const endpoint = withScheme(options)
  return {
    region: region ?? 'us-east-1',
    forcePathStyle: forcepathstyle ?? regionendpoint !== undefined,
    tls: secure,
    useDualstackEndpoint: options.usedualstack,
    useAccelerateEndpoint: options.accelerate,
    useFipsEndpoint: options.usefipsendpoint,
    maxAttempts: MAX_ATTEMPTS,
    retryMode: 'standard',
    // Stores other than that of AWS do not know the checksums that the SDK adds by itself.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Else each part would have a connection of its own, and wait for an answer before it is sent.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      socketTimeout: SOCKET_TIMEOUT_MS,
      httpAgent: agent,
      httpsAgent: { ...agent, rejectUnauthorized: !skipverify }
    },
    ...endpoint === undefined ? {} : { endpoint },
    ...useragent === undefined ? {} : { customUserAgent: useragent },
    ...accesskey === undefined || secretkey === undefined
      ? {}
      : { credentials: { accessKeyId: accesskey, secretAccessKey: secretkey, ...sessiontoken === undefined ? {} : { sessionToken: sessiontoken } } }
  }
}

export function s3ObjectSettings ({ encrypt, keyid, storageclass, objectacl, acl = objectacl }: S3Options): S3ObjectSettings {
  const kept = storageclass.toUpperCase()
  return {
    ContentType: 'application/octet-stream',
    // Private is what a store does anyway, and a bucket whose lists are switched off refuses to be told.
    ...acl === undefined || acl === 'private' ? {} : { ACL: acl },
    ...kept === 'NONE' || kept === 'STANDARD' ? {} : { StorageClass: kept as StorageClass },
    ...encrypt ? { ServerSideEncryption: keyid === undefined ? 'AES256' : 'aws:kms' } : {},
    ...keyid === undefined ? {} : { SSEKMSKeyId: keyid }
  }
}

/** For messages and the banner: where the bucket is, without anything secret. */
export function s3Location (options: S3Options): string {
  const { bucket, region = '', rootdirectory = '' } = options
  const endpoint = withScheme(options)
  const at = endpoint === undefined ? region : new URL(endpoint).host
  return `s3://${[bucket, ...rootdirectory.split('/').filter(name => name !== '')].join('/')} at ${at}`
}

function withScheme ({ regionendpoint, secure }: S3Options): string | undefined {
  if (regionendpoint === undefined || /^https?:\/\//i.test(regionendpoint)) return regionendpoint
  return `${secure ? 'https' : 'http'}://${regionendpoint}`
}
