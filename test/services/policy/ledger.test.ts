import t from 'tap'
import { QuotaLedger } from '../../../services/policy/ledger.js'
import { Quotas } from '../../../services/policy/quotas.js'
import { TagClaims } from '../../../services/policy/tag-claims.js'
import type { Digest, RepositoryName, Tag } from '../../../services/reference/reference.js'
import { sha256, sha512 } from '../../helpers/images.js'
import { TestWorkers } from '../../helpers/workers.js'

const NAME = 'team/app' as RepositoryName
const [A, B, C] = [sha256('a'), sha256('b'), sha256('c')] as const

interface Held { readonly ledger: QuotaLedger, readonly storage: Map<Digest, number>, readonly counts: () => number, pass (ms: number): void }

function ledgerOver (...content: Array<[Digest, number]>): Held {
  const storage = new Map(content)
  let [now, counts] = [0, 0]
  const ledger = new QuotaLedger({ count: async () => { counts++; return new Map(storage) }, now: () => now })
  return { ledger, storage, counts: () => counts, pass: ms => { now += ms } }
}

t.test('room is what the limit leaves beside what is held and what is promised to others', async t => {
  const { ledger, counts } = ledgerOver([A, 50])
  t.same(await ledger.reserve({ name: NAME, id: '1', bytes: 30, limit: 100 }), { fits: true, used: 50, promised: 0 })
  t.same(await ledger.reserve({ name: NAME, id: '2', bytes: 21, limit: 100 }), { fits: false, used: 50, promised: 30 })
  t.same(await ledger.reserve({ name: NAME, id: '2', bytes: 20, limit: 100 }), { fits: true, used: 50, promised: 30 })
  t.match(await ledger.reserve({ name: NAME, id: '1', bytes: 31, limit: 100 }), { fits: false }, 'a push that grows is judged anew')
  ledger.release(NAME, '2')
  t.match(await ledger.reserve({ name: NAME, id: '1', bytes: 50, limit: 100 }), { fits: true })
  ledger.settle(NAME, '1', B, 50)
  t.same(await ledger.reserve({ name: NAME, id: '3', bytes: 1, limit: 100 }), { fits: false, used: 100, promised: 0 })
  t.match(await ledger.reserve({ name: NAME, id: '3', bytes: 50, limit: 100, digest: B }), { fits: true }, 'what is held already needs no room')
  ledger.remove(NAME, A)
  t.match(await ledger.reserve({ name: NAME, id: '4', bytes: 50, limit: 100 }), { fits: true, used: 50 })
  t.equal(counts(), 1, 'counted once')
  t.same(ledger.known(), { [NAME]: 50 })
})

t.test('what is promised to a push that is silent is given to others after a while', async t => {
  const { ledger, pass } = ledgerOver()
  t.match(await ledger.reserve({ name: NAME, id: '1', bytes: 100, limit: 100 }), { fits: true })
  pass(29_999)
  t.match(await ledger.reserve({ name: NAME, id: '2', bytes: 1, limit: 100 }), { fits: false })
  pass(1)
  t.match(await ledger.reserve({ name: NAME, id: '2', bytes: 1, limit: 100 }), { fits: true })
  t.match(await ledger.reserve({ name: NAME, id: '1', bytes: 100, limit: 100 }), { fits: false }, 'and it has to ask again')
})

t.test('storage is counted again after ten minutes, beside what goes on', async t => {
  let [now, counts] = [0, 0]
  const finish: Array<(usage: Map<Digest, number>) => void> = []
  const ledger = new QuotaLedger({ count: async () => { counts++; return await new Promise(resolve => { finish.push(resolve) }) }, now: () => now })
  const first = ledger.reserve({ name: NAME, id: '1', bytes: 1, limit: 100 })
  finish[0]?.(new Map([[A, 10]]))
  await first
  now += 10 * 60_000
  t.match(await ledger.reserve({ name: NAME, id: '1', bytes: 1, limit: 100 }), { used: 10 }, 'nobody waits for it')
  ledger.settle(NAME, '1', B, 5)
  finish[1]?.(new Map([[C, 70]])) // another server pushed C and deleted A
  await new Promise(resolve => { setImmediate(resolve) })
  t.match(await ledger.reserve({ name: NAME, id: '2', bytes: 1, limit: 100 }), { used: 75 }, 'with what was settled meanwhile')
  t.equal(counts, 2)
})

t.test('what is settled while the first count runs is neither lost nor counted twice', async t => {
  let finish: (usage: Map<Digest, number>) => void = () => {}
  const ledger = new QuotaLedger({ count: async () => await new Promise(resolve => { finish = resolve }) })
  const waiting = ledger.reserve({ name: NAME, id: '1', bytes: 1, limit: 100 })
  ledger.settle(NAME, '0', A, 10)
  ledger.settle(NAME, '0', B, 20)
  ledger.remove(NAME, C)
  finish(new Map([[A, 10], [C, 30]]))
  t.match(await waiting, { used: 30 })
})

t.test('a count that fails promises nothing, and is made again', async t => {
  let fails = true
  const ledger = new QuotaLedger({ count: async () => { if (fails) throw new Error('storage is down'); return new Map([[A, 1]]) } })
  await t.rejects(ledger.reserve({ name: NAME, id: '1', bytes: 1, limit: 100 }), { message: 'storage is down' })
  fails = false
  t.match(await ledger.reserve({ name: NAME, id: '1', bytes: 1, limit: 100 }), { fits: true, used: 1 })
})

t.test('all processes of a server share one ledger, and a leader that takes over counts anew', async t => {
  const testWorkers = new TestWorkers()
  const storage = new Map<Digest, number>([[A, 40]])
  const join = async (): Promise<Quotas> => new Quotas(await testWorkers.join(2), new QuotaLedger({ count: async () => new Map(storage) }))
  const [one, two] = [await join(), await join()]
  t.match(await one.reserve({ name: NAME, id: '1', bytes: 40, limit: 100 }), { fits: true })
  t.match(await two.reserve({ name: NAME, id: '2', bytes: 40, limit: 100 }), { fits: false, used: 40, promised: 40 })
  storage.set(B, 40)
  await one.settle(NAME, '1', B, 40)
  t.match(await two.reserve({ name: NAME, id: '2', bytes: 21, limit: 100 }), { fits: false, used: 80, promised: 0 })
  testWorkers.kill(1)
  t.match(await two.reserve({ name: NAME, id: '2', bytes: 21, limit: 100 }), { fits: false, used: 80, promised: 0 })
  t.match(await two.reserve({ name: NAME, id: '2', bytes: 20, limit: 100 }), { fits: true })
  storage.delete(A)
  await two.remove(NAME, sha512('a'))
  t.match(await two.reserve({ name: NAME, id: '2', bytes: 60, limit: 100 }), { fits: true, used: 40 }, 'counted again, where nobody knows what a digest was counted as')
})

t.test('of two digests on their way to a tag one has it, in whatever process', async t => {
  const testWorkers = new TestWorkers()
  let now = 0
  const join = async (): Promise<TagClaims> => new TagClaims(await testWorkers.join(2), () => now)
  const [one, two] = [await join(), await join()]
  const tag = '1.0' as Tag
  const first = await one.claim(NAME, tag, A)
  const again = await two.claim(NAME, tag, A)
  t.ok(first !== undefined && again !== undefined, 'the same digest may be pushed twice at a time')
  t.equal(await two.claim(NAME, tag, B), undefined)
  t.ok(await two.claim('other/app' as RepositoryName, tag, B))
  if (first !== undefined) await one.release(first)
  t.equal(await two.claim(NAME, tag, B), undefined, 'one of the two is still on its way')
  if (again !== undefined) await two.release(again)
  t.ok(await two.claim(NAME, tag, B))
  now += 60_000
  t.ok(await one.claim(NAME, tag, C), 'a claim that nobody releases does not last')
})
