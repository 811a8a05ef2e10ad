const text = { type: 'string' } as const
const texts = { type: 'array', items: text, default: [] } as const
const duration = { type: 'string', format: 'duration' } as const

const endpointSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    name: { type: 'string', description: 'What it is called in logs, metrics and the queue. Without, it is called after its host.' },
    disabled: { type: 'boolean', default: false, description: 'Leaves it out.' },
    url: { type: 'string', description: 'Where events are sent: http or https, one POST for each.' },
    headers: { type: 'object', additionalProperties: { type: 'array', items: text }, default: {}, description: 'Added to every request: name to list of values.' },
    timeout: { ...duration, default: '1s', description: 'How long one attempt may take; 0 and less mean 1s.' },
    threshold: { type: 'integer', default: 10, description: 'After so many failures in a row every attempt is preceded by backoff; 0 and less mean 10.' },
    backoff: { ...duration, default: '1s', description: 'Pause before an attempt, once threshold is reached; 0 and less mean 1s.' },
    ignoredmediatypes: { ...texts, description: 'Old name of ignore.mediatypes; both count.' },
    ignore: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        mediatypes: { ...texts, description: 'Media types of targets whose events are not sent.' },
        actions: { ...texts, description: 'Actions that are not sent: push, pull, mount, delete.' }
      }
    },
    format: { type: 'string', enum: ['v2', 'v1', 'cloudevents'], default: 'v2', description: 'Ours. Envelope of registry 3, with the media type of registry 2, or CloudEvents 1.0.' },
    secret: { type: 'string', minLength: 1, description: 'Ours. Signs what is sent, with HMAC-SHA256; see docs/notifications.md.' }
  }
} as const

export const notificationsSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  properties: {
    events: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        includereferences: { type: 'boolean', default: false, description: 'Lists what a manifest refers to in its events.' },
        includehead: { type: 'boolean', default: true, description: 'Ours. False: a HEAD request is no pull.' }
      }
    },
    endpoints: { type: 'array', default: [], description: 'Who is told of pushes, pulls, mounts and deletes.', items: endpointSchema },
    queue: { type: 'string', enum: ['memory', 'disk', 'redis'], description: 'Ours. Where events wait: disk if the standalone server has its data on a file system, else memory.' },
    directory: { type: 'string', minLength: 1, description: 'Ours. Of the disk queue; without, `notifications` in storage.filesystem.rootdirectory.' },
    fsync: { type: 'string', enum: ['always', 'everysec', 'never'], default: 'everysec', description: 'Ours. When the disk queue is made to survive a power cut.' },
    maxqueue: { type: 'integer', minimum: 1, default: 100000, description: 'Ours. Events that wait for one endpoint; more take the place of the oldest.' },
    maxqueuebytes: { type: 'integer', minimum: 65536, default: 134217728, description: 'Ours. The same in bytes, in memory and on disk.' },
    draintimeout: { ...duration, default: '2s', description: 'Ours. How long a stop waits for events to be delivered.' },
    stream: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Ours. Events as server-sent events, for whoever may see the catalog.',
      properties: {
        enabled: { type: 'boolean', default: false, description: 'Serves them.' },
        path: { type: 'string', pattern: '^/[^?#*:]*$', default: '/events', description: 'Where, below the prefix.' },
        buffer: { type: 'integer', minimum: 0, default: 1000, description: 'Latest events that are kept for readers that come back.' }
      }
    }
  }
} as const
