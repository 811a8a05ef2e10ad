import t from 'tap'
import { LoginThrottle } from '../../../services/auth/login-throttle.js'
import type { Admission } from '../../../services/auth/login-throttle.js'

const HERE = '192.0.2.1'
const MINUTE = 60_000

/** A throttle with a clock that only the test turns. */
class Throttled {
  now = 1_000_000
  readonly throttle = new LoginThrottle({ free: 3, delay: 1000, maxDelay: 8000, now: () => this.now })

  /** Tries, and fails or succeeds if it is let in; the clock runs while it waits. */
  try (user: string, address: string, outcome: 'succeeded' | 'failed' | 'abandoned'): Admission {
    const admission = this.throttle.admit({ user, address })
    if ('retryAfter' in admission) return admission
    this.now += admission.wait
    this.throttle.settle({ user, address }, outcome)
    return admission
  }

  fail (times: number, user: string | ((i: number) => string), address: string | ((i: number) => string) = HERE): Admission[] {
    return Array.from({ length: times }, (_, i) => this.try(typeof user === 'string' ? user : user(i), typeof address === 'string' ? address : address(i), 'failed'))
  }
}

const waits = (admissions: Admission[]): Array<number | string> => admissions.map(one => 'wait' in one ? one.wait : `after ${one.retryAfter}`)

t.test('some wrong passwords cost nothing, then each takes twice as long, up to a cap', async t => {
  const throttled = new Throttled()
  t.same(waits(throttled.fail(6, 'ann')), [0, 0, 0, 1000, 2000, 4000])
  t.same(waits(throttled.fail(2, 'ann')), ['after 8000', 'after 8000'], 'too long to be kept waiting, and asking makes it no longer')
  throttled.now += 8000
  t.same(waits(throttled.fail(2, 'ann')), [0, 'after 8000'], 'the cap')
})

t.test('the right password in between clears the account', async t => {
  const throttled = new Throttled()
  throttled.fail(4, 'ann')
  t.same(throttled.try('ann', HERE, 'succeeded'), { wait: 2000 })
  t.same(waits(throttled.fail(4, 'ann')), [0, 0, 0, 1000])
})

t.test('many at once gain nothing: what is let in counts before its outcome is known', async t => {
  const { throttle } = new Throttled()
  const admissions = Array.from({ length: 8 }, () => throttle.admit({ user: 'ann', address: HERE }))
  t.same(waits(admissions), [0, 0, 0, 1000, 3000, 'after 7000', 'after 7000', 'after 7000'])
})

t.test('an attempt that nobody looked at does not count', async t => {
  const throttled = new Throttled()
  for (let i = 0; i < 10; i++) t.same(throttled.try('ann', HERE, 'abandoned'), { wait: 0 })
})

t.test('guessing at one user slows neither another user at the same address nor that user where it is at home', async t => {
  const throttled = new Throttled()
  throttled.try('ann', '198.51.100.7', 'succeeded')
  throttled.fail(100, 'ann')
  t.same(throttled.try('bob', HERE, 'succeeded'), { wait: 0 })
  t.same(throttled.try('ann', '198.51.100.7', 'succeeded'), { wait: 0 })
  t.same(throttled.try('carol', '198.51.100.8', 'succeeded'), { wait: 0 })
})

t.test('a user under attack from many addresses gets in from a new one, after a wait that is bounded', async t => {
  const throttled = new Throttled()
  throttled.try('ann', '198.51.100.7', 'succeeded')
  const attacks = waits(throttled.fail(60, 'ann', i => `203.0.113.${i}`))
  t.same(attacks.slice(0, 50), Array.from({ length: 50 }, () => 0))
  t.same(attacks.slice(50), [250, 500, 1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000])
  t.same(throttled.try('ann', '198.51.100.9', 'succeeded'), { wait: 5000 })
  t.same(throttled.try('ann', '198.51.100.9', 'succeeded'), { wait: 0 }, 'now it is at home there')
  t.same(throttled.try('ann', '198.51.100.7', 'succeeded'), { wait: 0 })
  t.same(throttled.try('bob', '203.0.113.1', 'succeeded'), { wait: 0 })
})

t.test('an address that tries many names gets one attempt a second, its known users excepted', async t => {
  const throttled = new Throttled()
  throttled.try('ann', HERE, 'succeeded')
  t.same(waits(throttled.fail(20, i => `user${i}`)), Array.from({ length: 20 }, () => 0))
  const { throttle } = throttled
  const rest = Array.from({ length: 8 }, (_, i) => throttle.admit({ user: `more${i}`, address: HERE }))
  t.same(waits(rest), [0, 1000, 2000, 3000, 4000, 5000, 'after 6000', 'after 6000'])
  t.same(throttle.admit({ user: 'ann', address: HERE }), { wait: 0 })
  t.same(throttle.admit({ user: 'more0', address: '192.0.2.2' }), { wait: 0 })
})

t.test('one user that fails again and again is one name', async t => {
  const throttled = new Throttled()
  for (let i = 0; i < 30; i++) {
    throttled.fail(1, 'stale')
    throttled.now += 8000
  }
  t.same(throttled.try('bob', HERE, 'succeeded'), { wait: 0 })
})

t.test('after a quarter of an hour of silence all is forgotten', async t => {
  const throttled = new Throttled()
  throttled.fail(6, 'ann')
  throttled.fail(20, i => `user${i}`)
  throttled.now += 15 * MINUTE + 8001
  t.same(waits(throttled.fail(4, 'ann')), [0, 0, 0, 1000])
  t.same(throttled.try('new', HERE, 'failed'), { wait: 0 })
})

t.test('an IPv6 network of 64 bits is one address', async t => {
  const throttled = new Throttled()
  t.same(waits(throttled.fail(4, 'ann', i => `2001:db8:0:1::${i + 1}`)), [0, 0, 0, 1000])
  for (const same of ['2001:db8:0:1:ffff::1', '2001:0db8:0000:0001::9', '2001:db8:0:1:1:2:3:4', '2001:db8:0:1::1%eth0']) {
    t.not(waits([throttled.throttle.admit({ user: 'ann', address: same })])[0], 0, same)
  }
  t.same(throttled.throttle.admit({ user: 'ann', address: '2001:db8:0:2::1' }), { wait: 0 })
  t.same(throttled.throttle.admit({ user: 'ann', address: '::1' }), { wait: 0 })
  t.same(throttled.throttle.admit({ user: 'ann', address: '::ffff:192.0.2.1' }), { wait: 0 })
})

t.test('memory is bounded, however many names and addresses there are', async t => {
  const throttled = new Throttled()
  for (let i = 0; i < 50_000; i++) throttled.try(`user${i}${'x'.repeat(200)}`, `2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::1`, 'failed')
  const { users = 0, addresses = 0 } = throttled.throttle.numbers
  t.equal(users, 20_000)
  t.equal(addresses, 20_000)
})
