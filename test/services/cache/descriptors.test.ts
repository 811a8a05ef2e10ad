import t from 'tap'
import type { Test } from 'tap'
import { Descriptors } from '../../../services/cache/descriptors.js'
import type { Load } from '../../../services/cache/descriptors.js'
import { MemoryCache } from '../../../services/cache/memory.js'
import { RedisCache } from '../../../services/cache/redis.js'
import type { DescriptorCache, Scope } from '../../../services/cache/types.js'
import { parseRepositoryName } from '../../../services/reference/reference.js'
import type { Digest } from '../../../services/reference/reference.js'
import type { Descriptor } from '../../../services/registry/types.js'
import { alone } from '../../../services/workers/workers.js'
import type { Workers } from '../../../services/workers/workers.js'
import { redisConnection, startRedis } from '../../helpers/redis.js'
import { sha256, sha512 } from '../../helpers/images.js'
import { workerGroup } from '../../helpers/worker-group.js'

const REVISIONS: Scope = { name: parseRepositoryName('team/app'), set: '_manifests/revisions' }
const DIGEST = sha256('content')
const FOUND: Descriptor = { mediaType: 'application/x', digest: DIGEST, size: 7 }

/** Storage that looks when it is asked and answers when it is told to. */
class SlowStorage {
  content: Descriptor | undefined = FOUND
  isSlow = false
  reads = 0
  readonly #waiting: Array<() => void> = []
  #asked: () => void = () => {}

  readonly load: Load = async () => {
    this.reads++
    const found = this.content
    if (!this.isSlow) return found
    await new Promise<void>(resolve => {
      this.#waiting.push(resolve)
      this.#asked()
    })
    return found
  }

  /** Resolves when storage has looked and not answered yet. */
  async isAsked (): Promise<void> {
    if (this.#waiting.length === 0) await new Promise<void>(resolve => { this.#asked = resolve })
  }

  answer (): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

/** Two processes on one storage: with caches of their own that talk, or with one cache between them that is shared. */
interface Pair { readonly storage: SlowStorage, readonly a: Descriptors, readonly b: Descriptors, readonly statA: () => Promise<Descriptor | undefined>, readonly statB: () => Promise<Descriptor | undefined> }

function pairOf (caches: readonly [DescriptorCache, DescriptorCache], workers: readonly Workers[]): Pair {
  const storage = new SlowStorage()
  const [a, b] = caches.map((cache, i) => new Descriptors({ cache, workers: workers[i] ?? alone() })) as [Descriptors, Descriptors]
  const stat = (descriptors: Descriptors) => async (digest: Digest = DIGEST) => await descriptors.of(REVISIONS).stat(digest, storage.load)
  return { storage, a, b, statA: async () => await stat(a)(), statB: async () => await stat(b)() }
}

function interleavings (t: Test, make: (t: Test) => Promise<Pair>): void {
  t.test('the second question is not one to storage, and counts as a hit', async t => {
    const { storage, a, statA } = await make(t)
    t.same(await statA(), FOUND)
    t.same(await statA(), FOUND)
    t.equal(storage.reads, 1)
    t.same(a.stats(), { requests: 2, hits: 1, misses: 1, errors: 0 })
  })

  t.test('who asks at the same time asks storage once', async t => {
    const { storage, a, statA } = await make(t)
    storage.isSlow = true
    const answers = Array.from({ length: 100 }, statA)
    await storage.isAsked()
    // The cache answers in order: when it has answered this one, all of them know that it does not have it.
    await a.of(REVISIONS).stat(sha256('another'), async () => undefined)
    storage.isSlow = false
    storage.answer()
    for (const answer of await Promise.all(answers)) t.same(answer, FOUND)
    t.equal(storage.reads, 1)
  })

  for (const deleter of ['this', 'another'] as const) {
    t.test(`what was read before a delete by ${deleter} process is not put back after it`, async t => {
      const { storage, a, b, statA } = await make(t)
      storage.isSlow = true
      const early = statA()
      await storage.isAsked()
      // The delete: out of storage, then out of the cache, then acknowledged.
      storage.content = undefined
      await (deleter === 'this' ? a : b).of(REVISIONS).clear([DIGEST])
      storage.isSlow = false
      storage.answer()
      t.same(await early, FOUND, 'it was there when this one asked')
      t.equal(await statA(), undefined)
      t.equal(storage.reads, 2)
    })

    t.test(`who asks after a delete by ${deleter} process does not wait for an answer from before it`, async t => {
      const { storage, a, b, statA } = await make(t)
      storage.isSlow = true
      const early = statA()
      await storage.isAsked()
      storage.content = undefined
      await (deleter === 'this' ? a : b).of(REVISIONS).clear([DIGEST])
      storage.isSlow = false
      t.equal(await statA(), undefined, 'storage has not answered the first one yet')
      storage.answer()
      t.same(await early, FOUND)
      t.equal(await statA(), undefined)
    })
  }

  t.test('who asks after a push is not told what storage said before it', async t => {
    const { storage, b, statA } = await make(t)
    storage.content = undefined
    storage.isSlow = true
    const early = statA()
    await storage.isAsked()
    await b.of(REVISIONS).remember([DIGEST], async () => {
      storage.content = FOUND
      return FOUND
    })
    storage.isSlow = false
    const late = statA()
    storage.answer()
    t.equal(await early, undefined)
    t.same(await late, FOUND)
  })

  t.test('a push that is overtaken by a delete does not remember what is gone', async t => {
    const { storage, a, b, statA, statB } = await make(t)
    await a.of(REVISIONS).remember([DIGEST], async () => {
      storage.content = undefined
      await b.of(REVISIONS).clear([DIGEST])
      return FOUND
    })
    t.equal(await statA(), undefined)
    t.equal(await statB(), undefined)
  })

  t.test('nothing remembers that something is missing', async t => {
    const { storage, statA, statB } = await make(t)
    storage.content = undefined
    t.equal(await statA(), undefined)
    t.equal(await statB(), undefined)
    storage.content = FOUND
    t.same(await statA(), FOUND)
    t.same(await statB(), FOUND)
  })

  t.test('when storage fails nothing is remembered, and the next one asks it again', async t => {
    const { storage, a, statA } = await make(t)
    await t.rejects(async () => await a.of(REVISIONS).stat(DIGEST, async () => { throw new Error('disk') }), { message: 'disk' })
    t.same(await statA(), FOUND)
    t.equal(storage.reads, 1)
  })
}

t.test('two workers with a cache each', async t => {
  interleavings(t, async () => pairOf([new MemoryCache(100), new MemoryCache(100)], workerGroup(2)))
})

t.test('two replicas with one Redis', async t => {
  const server = await startRedis(t)
  const client = server.client(t)
  interleavings(t, async t => {
    await client.flushall()
    return pairOf([new RedisCache(await redisConnection(t, server)), new RedisCache(await redisConnection(t, server))], [])
  })
})

t.test('a digest of another algorithm is no more alive than the canonical one', async t => {
  const cache = new MemoryCache(10)
  const entries = new Descriptors({ cache }).of(REVISIONS)
  const links = new Set<string>([DIGEST])
  const load: Load = async digest => links.has(digest) ? FOUND : undefined
  const alias = sha512('content')
  await entries.remember([DIGEST, alias], async () => FOUND)
  t.same(await entries.stat(alias, load), FOUND)
  links.delete(DIGEST)
  await entries.clear([DIGEST])
  t.equal(await entries.stat(alias, load), undefined)
})

t.test('a cache that fails is left out, and the log says so once for each kind of failure and when it is over', async t => {
  const logged: string[] = []
  let isBroken = true
  const memory = new MemoryCache(10)
  const guard = async <T>(value: () => T): Promise<T> => {
    if (isBroken) throw new Error('broken')
    return value()
  }
  const cache: DescriptorCache = {
    isShared: true,
    get: (...args) => guard(() => memory.get(...args)),
    lease: digest => guard(() => memory.lease(digest)),
    fill: (...args) => guard(() => { memory.fill(...args) }),
    release: () => guard(() => {}),
    clear: (...args) => guard(() => { memory.clear(...args) })
  }
  const note = (...args: unknown[]): void => { logged.push(String(args.at(-1))) }
  const descriptors = new Descriptors({ cache, log: { warn: note, info: note } })
  const entries = descriptors.of(REVISIONS)
  const load: Load = async () => FOUND
  for (let i = 0; i < 3; i++) t.same(await entries.stat(DIGEST, load), FOUND)
  for (let i = 0; i < 3; i++) await entries.clear([DIGEST])
  t.same(await entries.remember([DIGEST], async () => FOUND), FOUND)
  t.same(descriptors.stats(), { requests: 3, hits: 0, misses: 0, errors: 7 })
  const failures = ['get', 'clear', 'lease'].map(what => `the descriptor cache fails, going on without it: ${what}`)
  t.same(logged, failures)
  isBroken = false
  await entries.stat(DIGEST, load)
  t.same(await entries.stat(DIGEST, load), FOUND)
  await entries.clear([DIGEST])
  t.same(logged.slice(failures.length).sort(), ['clear', 'get', 'lease'].map(what => `the descriptor cache works again: ${what}`))
})

t.test('without a cache every question is one to storage', async t => {
  const storage = new SlowStorage()
  const descriptors = new Descriptors()
  for (let i = 0; i < 3; i++) t.same(await descriptors.of(REVISIONS).stat(DIGEST, storage.load), FOUND)
  t.equal(storage.reads, 3)
  t.same(descriptors.stats(), { requests: 0, hits: 0, misses: 0, errors: 0 })
})
