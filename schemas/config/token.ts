const text = { type: 'string', minLength: 1 } as const
const texts = { type: 'array', items: text, default: [] } as const

/** Names of signatures that docker's registry knows. HS… never verifies: all keys are public. */
const SIGNING_ALGORITHMS = ['EdDSA', 'HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'] as const

/** `auth.token`: tokens of somebody else's token server. */
export const tokenSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['realm', 'service', 'issuer'],
  description: 'Bearer tokens (JWT) that a token server hands out. At least one of rootcertbundle, jwks and jwksurl is needed.',
  properties: {
    realm: { ...text, description: 'URL of the token server, told to clients.' },
    service: { ...text, description: 'Name of this registry: told to clients, and wanted in the aud of tokens.' },
    services: { ...texts, description: 'Ours. More names that are accepted in aud.' },
    issuer: { ...text, description: 'Wanted in the iss of tokens.' },
    issuers: { ...texts, description: 'Ours. More values that are accepted in iss.' },
    rootcertbundle: { ...text, description: 'PEM file: certificates whose keys sign tokens, or that chains in tokens lead to.' },
    jwks: { ...text, description: 'File with a JSON Web Key Set. Read again when it changes.' },
    jwksurl: { type: 'string', pattern: '^https?://', description: 'Ours. URL of a JSON Web Key Set. Read again when it is old, and when a token names a key that is not in it.' },
    jwksmaxage: { type: 'string', format: 'duration', default: '10m', description: 'Ours. After how long jwksurl is read again.' },
    jwkscooldown: { type: 'string', format: 'duration', default: '10s', description: 'Ours. How long an unknown key does not have jwksurl read again.' },
    autoredirect: { type: 'boolean', default: false, description: 'Tells clients a token server on the host they called, instead of realm.' },
    autoredirectpath: { ...text, default: '/auth/token', description: 'Its path.' },
    signingalgorithms: { type: 'array', items: { type: 'string', enum: SIGNING_ALGORITHMS }, default: [], description: 'Signatures that are accepted; empty means all but HS256, HS384 and HS512, which no public key can verify.' }
  }
} as const

/** `auth.htpasswd.tokenserver`: ours, beside the users and the policy that it hands out tokens by. */
export const tokenServerSchema = {
  type: 'object',
  additionalProperties: false,
  description: 'Ours. Hands out Bearer tokens to the users of this file: what docker needs for anonymous pulls beside logins.',
  properties: {
    path: { type: 'string', pattern: '^/(?!v2(?:/|$))[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*$', default: '/auth/token', description: 'Path of the token server, below the prefix.' },
    realm: { ...text, pattern: '^https?://', description: 'URL of it as clients see it; without, made from http.host or from what proxies and the request say.' },
    service: { ...text, description: 'Name of this registry, in the aud of its tokens; without, oci-registry and the prefix.' },
    issuer: { type: 'string', minLength: 1, default: 'oci-registry', description: 'In the iss of tokens.' },
    expiration: { type: 'string', format: 'duration', default: '5m', description: 'How long a token is good for; not below 60s.' },
    basic: { type: 'boolean', default: true, description: 'Also takes user and password with each request, for curl and scripts.' },
    privatekey: { ...text, description: 'File with the key that signs, PEM or JWK; made there when missing. Without, a key is made at each start.' },
    publickeys: { ...texts, description: 'Files with older keys whose tokens are still good: PEM, JWK or JSON Web Key Sets.' },
    refreshtokens: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        enabled: { type: 'boolean', default: false, description: 'Hands out refresh tokens, which clients keep instead of the password. Needs privatekey.' },
        expiration: { type: 'string', format: 'duration', default: '720h', description: 'How long they are good for.' }
      }
    }
  }
} as const
