const text = { type: 'string', minLength: 1 } as const
const flag = { type: 'boolean', default: false } as const
const MIB = 1024 * 1024
const GIB = 1024 * MIB
const part = { type: 'integer', minimum: 5 * MIB, maximum: 5 * GIB } as const

const STORAGE_CLASSES = [
  'STANDARD', 'REDUCED_REDUNDANCY', 'STANDARD_IA', 'ONEZONE_IA', 'INTELLIGENT_TIERING', 'OUTPOSTS', 'GLACIER_IR',
  'EXPRESS_ONEZONE', 'NONE'
] as const
const ACLS = [
  'private', 'public-read', 'public-read-write', 'aws-exec-read', 'authenticated-read', 'bucket-owner-read',
  'bucket-owner-full-control'
] as const
const LOG_LEVELS = [
  'off', 'debug', 'debugwithsigning', 'debugwithhttpbody', 'debugwithrequestretries', 'debugwithrequesterrors',
  'debugwitheventstreambody'
] as const

/** A bucket of S3 or of a store that speaks its protocol; `storage.s3aws` is the same under the name of old. */
export const s3Schema = {
  type: 'object',
  additionalProperties: false,
  required: ['bucket'],
  description: 'A bucket of S3, or of a store that speaks its protocol, in the layout of docker\'s registry; see docs/object-storage.md.',
  properties: {
    bucket: { ...text, description: 'Name of the bucket; it must exist.' },
    region: { ...text, description: 'Region of the bucket. Required, unless regionendpoint is given.' },
    regionendpoint: { ...text, description: 'Where another store than that of AWS is, for example https://minio.example.com:9000.' },
    forcepathstyle: { type: 'boolean', description: 'Puts the name of the bucket into the path instead of the host name. True with a regionendpoint, unless given.' },
    rootdirectory: { type: 'string', description: 'What all keys begin with.' },
    accesskey: { ...text, description: 'With secretkey. Without both, the credentials of the environment, of the shared files or of the machine count.' },
    secretkey: { ...text, description: 'See accesskey.' },
    sessiontoken: { ...text, description: 'Of temporary credentials.' },
    encrypt: { ...flag, description: 'Has the store encrypt everything: by AES256, or by the key in keyid.' },
    keyid: { ...text, description: 'Key of KMS, with encrypt.' },
    secure: { type: 'boolean', default: true, description: 'False speaks http where regionendpoint does not say which.' },
    skipverify: { ...flag, description: 'Trusts any certificate of the store.' },
    v4auth: { type: 'boolean', default: true, description: 'Accepted; requests are always signed by version 4.' },
    chunksize: { ...part, default: 10 * MIB, description: 'Bytes of a part of an upload; an object has at most 10000 parts.' },
    multipartcopychunksize: { ...part, default: 32 * MIB, description: 'Bytes of a part of a copy within the store.' },
    multipartcopymaxconcurrency: { type: 'integer', minimum: 1, default: 100, description: 'Parts of a copy under way at a time.' },
    multipartcopythresholdsize: { type: 'integer', minimum: 0, maximum: 5 * GIB, default: 32 * MIB, description: 'Bytes above which a copy is made in parts.' },
    storageclass: { type: 'string', enum: [...STORAGE_CLASSES, ...STORAGE_CLASSES.map(name => name.toLowerCase())], default: 'STANDARD', description: 'Storage class of what is written; NONE leaves it to the store.' },
    objectacl: { type: 'string', enum: ACLS, description: 'Canned access control list of what is written; private unless given.' },
    acl: { type: 'string', enum: ACLS, description: 'Ours. Another name of objectacl.' },
    useragent: { ...text, description: 'Added to the User-Agent of requests to the store.' },
    usedualstack: { ...flag, description: 'Reaches AWS by IPv6 too.' },
    accelerate: { ...flag, description: 'Reaches AWS by its accelerated endpoint.' },
    usefipsendpoint: { ...flag, description: 'Reaches AWS by its FIPS endpoint.' },
    loglevel: { type: 'string', enum: LOG_LEVELS, default: 'off', description: 'Accepted; what fails is logged with the request that needed it.' }
  }
} as const
