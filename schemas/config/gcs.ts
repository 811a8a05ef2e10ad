const text = { type: 'string', minLength: 1 } as const
const ALIGNMENT = 256 * 1024

/** A bucket of Google Cloud Storage. */
export const gcsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['bucket'],
  description: 'A bucket of Google Cloud Storage, in the layout of docker\'s registry; see docs/object-storage.md.',
  properties: {
    bucket: { ...text, description: 'Name of the bucket; it must exist.' },
    keyfile: { ...text, description: 'File with the key of a service account, or another credential of Google\'s. Without it and credentials, those of the environment or the machine count.' },
    credentials: { type: 'object', additionalProperties: true, description: 'What would be in the keyfile.' },
    rootdirectory: { type: 'string', description: 'What all names begin with.' },
    chunksize: { type: 'integer', minimum: ALIGNMENT, multipleOf: ALIGNMENT, default: 64 * ALIGNMENT, description: 'Bytes of a piece of an upload: a multiple of 256 KiB.' },
    maxconcurrency: { type: 'integer', default: 50, description: 'Requests to the service at a time; at least 25.' },
    useragent: { ...text, description: 'User-Agent of requests to the service.' },
    endpoint: { ...text, default: 'https://storage.googleapis.com', description: 'Ours. Where the service is.' }
  }
} as const
