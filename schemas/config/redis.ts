const text = { type: 'string' } as const
const duration = { type: 'string', format: 'duration' } as const
const whole = { type: 'integer', minimum: 0 } as const
const accepted = 'Accepted; there is one connection, and commands do not wait for another.'

/** The connection to Redis, in the shapes of registry 2 (`addr`, `pool`) and registry 3 (`addrs` and the rest). */
export const redisSchema = {
  type: 'object',
  additionalProperties: false,
  description: 'Connection to Redis, in the shape of registry 2 (addr) or 3 (addrs).',
  properties: {
    addr: { ...text, description: 'host:port of one server, as in registry 2.' },
    addrs: { type: 'array', items: text, description: 'host:port of one server, of several servers of a cluster, or of sentinels, as in registry 3.' },
    mastername: { ...text, description: 'Asks the sentinels in addrs for the master of this name.' },
    username: { ...text, description: 'User of the access control list.' },
    password: { ...text, description: 'Password of the user, or of the server.' },
    sentinelusername: { ...text, description: 'User at the sentinels.' },
    sentinelpassword: { ...text, description: 'Password at the sentinels.' },
    db: { ...whole, description: 'Number of the database; a cluster has only 0.' },
    clientname: { ...text, description: 'Name of the connection in CLIENT LIST.' },
    protocol: { type: 'integer', minimum: 2, maximum: 3, description: 'Version of the protocol; 2 unless given.' },
    dialtimeout: { ...duration, description: 'How long connecting may take; 5s unless given.' },
    readtimeout: { ...duration, description: 'How long an answer may take before it is done without; 250ms unless given. The longer one of this and writetimeout counts.' },
    writetimeout: { ...duration, description: 'See readtimeout.' },
    pool: {
      type: 'object',
      additionalProperties: false,
      description: 'As in registry 2.',
      properties: {
        maxidle: { ...whole, description: accepted },
        maxactive: { ...whole, description: 'Operations under way at a time; one more is done without Redis. 1000 unless given.' },
        idletimeout: { ...duration, description: accepted }
      }
    },
    maxactiveconns: { ...whole, description: 'The same as pool.maxactive, in registry 3.' },
    poolsize: { ...whole, description: 'The same as pool.maxactive, where maxactiveconns is not given.' },
    poolfifo: { type: 'boolean', description: accepted },
    pooltimeout: { ...duration, description: accepted },
    minidleconns: { ...whole, description: accepted },
    maxidleconns: { ...whole, description: accepted },
    connmaxidletime: { ...duration, description: accepted },
    connmaxlifetime: { ...duration, description: accepted },
    maxretries: { type: 'integer', description: 'Accepted; what fails is done without Redis.' },
    minretrybackoff: { ...duration, description: 'Shortest pause before connecting again; 50ms unless given.' },
    maxretrybackoff: { ...duration, description: 'Longest pause before connecting again; 2s unless given.' },
    contexttimeoutenabled: { type: 'boolean', description: 'Accepted; timeouts always hold.' },
    maxredirects: { ...whole, description: 'Redirections of a cluster that are followed; 3 unless given.' },
    readonly: { type: 'boolean', description: 'Accepted; reads go to the master, a replica may not have heard of a delete.' },
    routebylatency: { type: 'boolean', description: 'Accepted; see readonly.' },
    routerandomly: { type: 'boolean', description: 'Accepted; see readonly.' },
    disableidentity: { type: 'boolean', description: 'Does not tell the server which library connects.' },
    identitysuffix: { ...text, description: 'Accepted.' },
    unstableresp3: { type: 'boolean', description: 'Accepted.' },
    tls: {
      type: 'object',
      additionalProperties: false,
      description: 'TLS, when one of these is given.',
      properties: {
        enabled: { type: 'boolean', default: false, description: 'Ours. TLS with the certificate authorities of Node, and no certificate of our own.' },
        certificate: { ...text, description: 'File with our certificate, when the server wants one.' },
        key: { ...text, description: 'File with its key.' },
        rootcas: { type: 'array', items: text, default: [], description: 'Files with the certificate authorities the server is checked against.' }
      }
    }
  }
} as const
