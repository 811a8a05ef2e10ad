/** `storage.maintenance`: what a registry does for its storage besides serving it. */
export const maintenanceSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  properties: {
    uploadpurging: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Removes uploads that nobody finished. In a file, whoever writes one of the keys writes all; enabled: false may stand alone.',
      properties: {
        enabled: { type: 'boolean', default: true, description: 'Whether it is done at all.' },
        age: { type: 'string', format: 'duration', default: '168h', description: 'How old an upload must be, since its start and since its last byte.' },
        interval: { type: 'string', format: 'duration', default: '24h', description: 'How often it is done; the first time within an hour after the start.' },
        dryrun: { type: 'boolean', default: false, description: 'Only says what it would remove.' }
      }
    },
    verify: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Ours. Reads everything that is stored, again and again, and reports what is corrupt, missing or left over.',
      properties: {
        enabled: { type: 'boolean', default: false, description: 'Whether it is done at all.' },
        interval: { type: 'string', format: 'duration', default: '720h', description: 'How long after a complete run the next one begins, also across restarts.' },
        rate: { type: 'string', format: 'bytes', default: '10MB', description: 'How much is read in a second, at most.' },
        repair: { type: 'boolean', default: false, description: 'Moves what is corrupt or dangling aside, below oci-registry/quarantine.' }
      }
    },
    garbagecollect: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Ours. Deletes, while the registry serves, what no manifest needs any more.',
      properties: {
        enabled: { type: 'boolean', default: false, description: 'Whether it is done at all.' },
        interval: { type: 'string', format: 'duration', default: '24h', description: 'How often it is done.' },
        grace: { type: 'string', format: 'duration', default: '24h', description: 'Longer than any push takes: what is younger stays, and what was put aside is deleted after this time.' },
        deleteuntagged: { type: 'boolean', default: false, description: 'Deletes manifests too that have no tag and that nothing with a tag needs.' },
        dryrun: { type: 'boolean', default: false, description: 'Only counts what it would delete.' }
      }
    },
    readonly: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { enabled: { type: 'boolean', default: false, description: 'Refuses every push and delete.' } }
    }
  }
} as const
