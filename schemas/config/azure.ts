const text = { type: 'string', minLength: 1 } as const

/** A container of Azure Blob Storage. */
export const azureSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['accountname', 'container'],
  description: 'A container of Azure Blob Storage, in the layout of docker\'s registry; see docs/object-storage.md.',
  properties: {
    accountname: { ...text, description: 'Name of the storage account.' },
    accountkey: { ...text, description: 'One of the keys of the account; with credentials of type shared_key or without any.' },
    connectionstring: { ...text, description: 'Accepted; has no effect, as in docker\'s registry.' },
    container: { ...text, description: 'Name of the container; it must exist.' },
    credentials: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Who we are, where no accountkey says it.',
      properties: {
        type: { type: 'string', enum: ['shared_key', 'client_secret', 'default_credentials'], default: 'shared_key', description: 'accountkey; an application of Entra with its secret; or whatever the environment, the workload or the machine is.' },
        clientid: { ...text, description: 'Of the application. With default_credentials, of the managed identity.' },
        tenantid: { ...text, description: 'Tenant of the application.' },
        secret: { ...text, description: 'Secret of the application.' }
      }
    },
    realm: { ...text, default: 'core.windows.net', description: 'Domain of the service, for example core.chinacloudapi.cn.' },
    serviceurl: { ...text, description: 'Where the service is; https://<accountname>.blob.<realm> unless given.' },
    rootdirectory: { type: 'string', description: 'What all names begin with.' },
    trimlegacyrootprefix: { type: 'boolean', description: 'False puts the slash in front of all names that registry 2 put there, true does not. Unless given, what is in the container decides.' },
    skipverify: { type: 'boolean', default: false, description: 'Trusts any certificate of the service.' },
    copy_status_poll_max_retry: { type: 'integer', minimum: -1, description: 'How often a copy within the service that is not done at once is asked about; -1 gives it up. 50 unless given.' },
    copy_status_poll_delay: { type: 'string', format: 'duration', description: 'Pause before the first time; it grows by as much each time. 100ms unless given.' },
    max_retries: { type: 'integer', minimum: -1, description: 'Another name of copy_status_poll_max_retry.' },
    retry_delay: { type: 'string', format: 'duration', description: 'Another name of copy_status_poll_delay.' }
  }
} as const
