import { randomUUID } from 'node:crypto'
import { isDigest } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'
import type { Descriptor } from '../registry/types.js'
import type { RedisClient, RedisConnection } from '../redis/connection.js'
import type { DescriptorCache, Lease, Scope } from './types.js'

/** Longer than anybody asks storage for one descriptor. What takes longer is not remembered. */
const LEASE_MS = 60_000
/** More deletes of one repository than this, and the repository is forgotten as a whole. */
const MAX_UNHEARD = 1000

/** The lease that is there, or a new one. */
const LEASE = 'local t = redis.call("GET", KEYS[1]) if t then return t end redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2]) return ARGV[1]'
const FILL = 'if redis.call("GET", KEYS[2]) ~= ARGV[1] then return 0 end redis.call("DEL", KEYS[2]) '
const FILL_MEMBER = `${FILL} redis.call("SADD", KEYS[1], ARGV[2]) return 1`
const FILL_REVISION = `${FILL} redis.call("HSET", KEYS[1], ARGV[2], ARGV[3]) return 1`
const FILL_CONTENT = `${FILL} redis.call("HSET", KEYS[1], "digest", ARGV[2], "size", ARGV[3]) redis.call("HSETNX", KEYS[1], "mediatype", ARGV[4]) return 1`
// These also run when Redis has no memory left.
const CLEAR_MEMBER = 'redis.call("DEL", KEYS[2]) return redis.call("SREM", KEYS[1], ARGV[1])'
const CLEAR_REVISION = 'redis.call("DEL", KEYS[2]) return redis.call("HDEL", KEYS[1], ARGV[1])'
const CLEAR_CONTENT = 'redis.call("DEL", KEYS[2]) return redis.call("HDEL", KEYS[1], "digest", "size", "mediatype")'

interface Unheard { readonly scope: Scope | undefined, readonly digests: Set<Digest> }

/**
 * Descriptors in Redis, in the keys of docker's registry, so that both can share one:
 *
 * - `blobs::<digest>`: hash of `digest`, `size`, `mediatype`
 * - `repository::<name>::blobs`: set of the digests that are blobs there
 * - `repository::<name>::blobs::<digest>`: hash of `mediatype`
 *
 * Ours are `repository::<name>::revisions`, a hash of `<digest> <size> <mediatype>` by digest, because a manifest is no
 * blob of its repository; and `lease::{<key>}::<digest>`, which the entries of `<key>` are filled by. Braces put a lease
 * where its key is in a cluster, so that one script sees both.
 */
export class RedisCache implements DescriptorCache {
  readonly isShared = true
  readonly #redis: RedisConnection
  /** Clears that did not reach Redis. Until they have, nothing it says is believed here. */
  readonly #unheard = new Map<string, Unheard>()
  #repeating: Promise<void> | undefined

  constructor (redis: RedisConnection) {
    this.#redis = redis
    redis.onReady(() => { this.#heard().catch(() => {}) })
  }

  async get (digest: Digest, scope?: Scope): Promise<Descriptor | undefined> {
    await this.#heard()
    if (scope === undefined) return await this.#redis.run(async client => contentOf(await contentFields(client, digest), digest))
    const key = keyOf(digest, scope)
    if (scope.set === '_manifests/revisions') {
      return revisionOf(await this.#redis.run(async client => await client.call('HGET', key, digest)), digest)
    }
    const [isMember, fields, mediaType] = await this.#redis.run(async client => await Promise.all([
      client.call('SISMEMBER', key, digest),
      contentFields(client, digest),
      client.call('HGET', mediaTypeKey(digest, scope), 'mediatype')
    ]))
    const content = isMember === 1 ? contentOf(fields, digest) : undefined
    return content === undefined || typeof mediaType !== 'string' ? content : { ...content, mediaType }
  }

  async lease (digest: Digest, scope?: Scope): Promise<Lease> {
    await this.#heard()
    return String(await this.#redis.run(async client => await client.call('EVAL', LEASE, 1, leaseKey(digest, scope), randomUUID(), LEASE_MS)))
  }

  async fill (digest: Digest, descriptor: Descriptor, lease: Lease, scope?: Scope): Promise<void> {
    await this.#heard()
    const { size, mediaType } = descriptor
    await this.#redis.run(async client => {
      const guarded = async (script: string, ...args: Array<string | number>): Promise<unknown> =>
        await client.call('EVAL', script, 2, keyOf(digest, scope), leaseKey(digest, scope), lease, ...args)
      if (scope === undefined) return await guarded(FILL_CONTENT, descriptor.digest, size, mediaType)
      if (scope.set === '_manifests/revisions') return await guarded(FILL_REVISION, digest, `${descriptor.digest} ${size} ${mediaType}`)
      return await Promise.all([
        client.call('HSET', mediaTypeKey(digest, scope), 'mediatype', mediaType),
        ...(digest === descriptor.digest ? [] : aliasFields(client, digest, descriptor)),
        guarded(FILL_MEMBER, digest)
      ])
    })
  }

  /** Storage does not have it: whatever is left here of it goes as well. */
  async release (digest: Digest, scope?: Scope): Promise<void> {
    await this.#redis.run(async client => { await forget(client, digest, scope) })
  }

  async clear (digest: Digest, scope?: Scope): Promise<void> {
    try {
      await this.#redis.run(async client => { await forget(client, digest, scope) })
    } catch (error) {
      this.#keep(digest, scope)
      throw error
    }
  }

  #keep (digest: Digest, scope: Scope | undefined): void {
    const key = keyOf(digest, scope)
    const unheard = this.#unheard.get(key) ?? { scope, digests: new Set() }
    this.#unheard.set(key, unheard)
    if (unheard.digests.size <= MAX_UNHEARD) unheard.digests.add(digest)
  }

  /** Passes when Redis has heard everything; rejects when it cannot be told. */
  async #heard (): Promise<void> {
    while (this.#repeating !== undefined || this.#unheard.size > 0) {
      this.#repeating ??= this.#repeat().finally(() => { this.#repeating = undefined })
      await this.#repeating
    }
  }

  async #repeat (): Promise<void> {
    const left = [...this.#unheard]
    this.#unheard.clear()
    try {
      for (let next = left.at(-1); next !== undefined; next = left.at(-1)) {
        await this.#repeatFor(...next)
        left.pop()
      }
    } catch (error) {
      for (const [, { scope, digests }] of left) for (const digest of digests) this.#keep(digest, scope)
      throw error
    }
  }

  async #repeatFor (key: string, { scope, digests }: Unheard): Promise<void> {
    await this.#redis.run(async client => {
      if (digests.size > MAX_UNHEARD) await client.call('DEL', key)
      else await Promise.all([...digests].map(async digest => { await forget(client, digest, scope) }))
    })
  }
}

async function forget (client: RedisClient, digest: Digest, scope: Scope | undefined): Promise<void> {
  const clear = async (script: string): Promise<unknown> => await client.call('EVAL', script, 2, keyOf(digest, scope), leaseKey(digest, scope), digest)
  if (scope === undefined) await clear(CLEAR_CONTENT)
  else if (scope.set === '_manifests/revisions') await clear(CLEAR_REVISION)
  else await Promise.all([clear(CLEAR_MEMBER), client.call('DEL', mediaTypeKey(digest, scope))])
}

async function contentFields (client: RedisClient, digest: Digest): Promise<unknown> {
  return await client.call('HMGET', keyOf(digest, undefined), 'digest', 'size', 'mediatype')
}

/** For docker's registry, which looks up the content of an alias under the alias. */
function aliasFields (client: RedisClient, alias: Digest, { digest, size, mediaType }: Descriptor): Array<Promise<unknown>> {
  const key = keyOf(alias, undefined)
  return [client.call('HSET', key, 'digest', digest, 'size', size), client.call('HSETNX', key, 'mediatype', mediaType)]
}

function contentOf (fields: unknown, asked: Digest): Descriptor | undefined {
  const [digest, size, mediaType] = fields as Array<string | null>
  return descriptorOf(asked, digest, size, mediaType ?? 'application/octet-stream')
}

function revisionOf (value: unknown, asked: Digest): Descriptor | undefined {
  const [digest, size, ...mediaType] = typeof value === 'string' ? value.split(' ') : []
  return descriptorOf(asked, digest, size, mediaType.join(' '))
}

/** Undefined for what is not there, and for what nobody can have meant. */
function descriptorOf (asked: Digest, digest: string | null | undefined, size: string | null | undefined, mediaType: string): Descriptor | undefined {
  if (typeof digest !== 'string' || !isDigest(digest) || typeof size !== 'string' || !/^\d{1,16}$/.test(size)) return undefined
  if (digest !== asked && asked.startsWith('sha256:')) return undefined
  return { mediaType, digest, size: Number(size) }
}

/** Of what decides whether the digest is known: a repository's set or hash, or the hash of the content. */
function keyOf (digest: Digest, scope: Scope | undefined): string {
  if (scope === undefined) return `blobs::${digest}`
  return `repository::${scope.name}::${scope.set === '_layers' ? 'blobs' : 'revisions'}`
}

function mediaTypeKey (digest: Digest, { name }: Scope): string {
  return `repository::${name}::blobs::${digest}`
}

function leaseKey (digest: Digest, scope: Scope | undefined): string {
  return `lease::{${keyOf(digest, scope)}}::${digest}`
}
