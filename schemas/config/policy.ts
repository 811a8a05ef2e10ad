const patterns = { type: 'array', items: { type: 'string', minLength: 1 } } as const

/** What all shipped policies have. */
const scope = {
  repositories: { ...patterns, default: ['**'], description: 'Repositories it is about: globs, * within a component, ** across them.' },
  audit: { type: 'boolean', default: false, description: 'Refuses nothing; the log says what it would.' }
} as const

const tagged = {
  untagged: { type: 'boolean', default: false, description: 'Also judges manifests that are pushed without a tag, such as the children of an index.' }
} as const

const allowed = (of: string) => ({
  type: 'array',
  default: [],
  description: `Ours. ${of}`,
  items: {
    type: 'object',
    additionalProperties: false,
    properties: {
      ...scope,
      allow: { ...patterns, default: [], description: 'Globs of those that are allowed; empty allows all.' },
      deny: { ...patterns, default: [], description: 'Globs of those that are not.' }
    }
  }
} as const)

const bytes = (description: string) => ({ type: 'string', format: 'bytes', description } as const)

export const policySchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  properties: {
    audit: { type: 'boolean', default: false, description: 'Ours. Nothing is refused; the log says what would be.' },
    hooks: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        timeout: { type: 'string', format: 'duration', default: '5s', description: 'Ours. How long a hook may take; after that pushes and deletes are refused.' },
        failedreads: { type: 'string', enum: ['deny', 'allow'], default: 'deny', description: 'Ours. What becomes of a pull whose hook fails or takes too long.' }
      }
    },
    repository: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { classes: { type: 'array', items: { type: 'string' }, default: [], description: 'Classes of artifacts that may be pushed: image, plugin; empty means all.' } }
    },
    immutabletags: {
      type: 'array',
      default: [],
      description: 'Ours. Tags that stay what they are; pushing the same digest again is allowed.',
      items: {
        type: 'object',
        additionalProperties: false,
        properties: {
          ...scope,
          tags: { ...patterns, default: ['**'], description: 'Globs of the tags.' },
          deletable: { type: 'boolean', default: false, description: 'Lets them be deleted, alone or with their manifest.' }
        }
      }
    },
    mediatypes: allowed('Media types of manifests, of their configs and of their layers.'),
    artifacttypes: allowed('Types of artifacts: a manifest\'s artifactType, or else the media type of its config.'),
    annotations: {
      type: 'array',
      default: [],
      description: 'Ours. Annotations that a manifest must have.',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['required'],
        properties: {
          ...scope,
          ...tagged,
          required: { ...patterns, description: 'Their keys; each needs a value that is not empty.' },
          labels: { type: 'boolean', default: false, description: 'A label of the image\'s config counts as well.' }
        }
      }
    },
    sizes: {
      type: 'array',
      default: [],
      description: 'Ours. How large things may be: 500MB, 1.5GiB or bytes.',
      items: {
        type: 'object',
        additionalProperties: false,
        properties: {
          ...scope,
          layer: bytes('Of one blob; enforced while it arrives.'),
          image: bytes('Of an image\'s config and layers together, each counted once.')
        }
      }
    },
    quotas: {
      type: 'array',
      default: [],
      description: 'Ours. How much a repository may hold; enforced while it arrives.',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['bytes'],
        properties: { ...scope, bytes: bytes('Of all its blobs and manifests, each counted once; for each of the repositories.') }
      }
    }
  }
} as const
