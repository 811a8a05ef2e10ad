import t from 'tap'
import { isBytes, formatBytes, parseBytes } from '../../../services/config/bytes.js'
import { DigestFilter } from '../../../services/verify/digest-filter.js'
import { Pace } from '../../../services/verify/pace.js'
import { FakeClock } from '../../helpers/fake-clock.js'
import { sha256, sha512 } from '../../helpers/images.js'

t.test('a rate is kept over time, in pieces of any size, and calls count too', async t => {
  const slept: number[] = []
  let now = 1000
  const clock = { now: () => now, sleep: async (ms: number) => { slept.push(ms); now += ms } }
  const pace = new Pace(10_000_000, { clock })
  for (let piece = 0; piece < 400; piece++) await pace.spend(250_000)
  t.ok(Math.abs(now - 1000 - 10_000) < 150, `100 MB took ${now - 1000} ms`)
  t.ok(slept.every(ms => ms >= 5))
  const before = now
  for (let call = 0; call < 10_000; call++) await pace.spend()
  t.ok(Math.abs(now - before - 4096) < 150, `10,000 calls took ${now - before} ms`)
})

t.test('a pause cannot be saved up for longer than a moment', async t => {
  const clock = new FakeClock()
  const pace = new Pace(1_000_000, { clock })
  await clock.advance(3_600_000)
  const spending = pace.spend(1_000_000)
  await clock.advance(890)
  t.equal(clock.sleeping.length, 1)
  await clock.advance(20)
  await spending
})

t.test('without a limit nothing waits; a signal ends it all the same', async t => {
  await new Pace(Infinity).spend(1e12)
  await t.rejects(new Pace(Infinity, { signal: AbortSignal.abort(new Error('enough')) }).spend(), { message: 'enough' })
})

t.test('numbers of bytes', async t => {
  t.same(['1', '50MB', '512kB', '1.5 GiB', '1mib', '2TB'].map(parseBytes), [1, 50e6, 512e3, 1.5 * 2 ** 30, 2 ** 20, 2e12])
  t.same(['', '0', 'MB', '-1MB', '1XB', '1 M B', '1e6'].map(isBytes), [false, false, false, false, false, false, false])
  t.same([0, 999, 1000, 1500, 123_456, 5e6, 2e9, 3e18].map(formatBytes), ['0 B', '999 B', '1.0 kB', '1.5 kB', '123 kB', '5.0 MB', '2.0 GB', '3000 PB'])
})

t.test('the filter never forgets what it saw, and rarely takes anything else for seen', async t => {
  const filter = new DigestFilter()
  for (let i = 0; i < 20_000; i++) filter.add(i % 10 === 0 ? sha512(String(i)) : sha256(String(i)))
  let wrong = 0
  for (let i = 0; i < 20_000; i++) {
    if (!filter.mayHave(i % 10 === 0 ? sha512(String(i)) : sha256(String(i)))) t.fail(`${i} is forgotten`)
    if (filter.mayHave(sha256(`other ${i}`))) wrong++
  }
  t.ok(wrong < 5, `${wrong} of 20,000`)
})
