import t from 'tap'
import { MemoryCache } from '../../../services/cache/memory.js'
import { descriptorCacheSuite } from '../../suites/descriptor-cache.js'
import { sha256 } from '../../helpers/images.js'

t.test('bounded', async t => { descriptorCacheSuite(t, async () => new MemoryCache(100)) })
t.test('without a bound', async t => { descriptorCacheSuite(t, async () => new MemoryCache(0)) })

function filled (cache: MemoryCache, count: number): MemoryCache {
  for (let i = 0; i < count; i++) {
    const digest = sha256(String(i))
    cache.fill(digest, { mediaType: 'application/octet-stream', digest, size: i }, cache.lease(digest))
  }
  return cache
}

t.test('it answers at once, and keeps what was used most recently', async t => {
  const cache = filled(new MemoryCache(10), 10)
  t.match(cache.get(sha256('0')), { size: 0 })
  filled(cache, 1)
  const digest = sha256('one more')
  cache.fill(digest, { mediaType: 'application/octet-stream', digest, size: 1 }, cache.lease(digest))
  t.equal(cache.get(sha256('1')), undefined)
  t.match(cache.get(sha256('0')), { size: 0 })
})

t.test('0 and less keep everything, as in docker\'s registry', async t => {
  for (const size of [0, -1]) {
    const cache = filled(new MemoryCache(size), 20_000)
    t.match(cache.get(sha256('0')), { size: 0 })
    t.match(cache.get(sha256('19999')), { size: 19_999 })
  }
})
