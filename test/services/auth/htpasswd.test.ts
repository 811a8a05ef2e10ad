import { rm, writeFile } from 'node:fs/promises'
import t from 'tap'
import type { Test } from 'tap'
import { HtpasswdCredentials } from '../../../services/auth/htpasswd.js'
import { HtpasswdFile } from '../../../services/auth/htpasswd-file.js'
import { Logins } from '../../../services/auth/logins.js'
import type { LoginAttempt } from '../../../services/auth/login-throttle.js'
import { alone } from '../../../services/workers/workers.js'
import { RecordedLog, htpasswd, htpasswdFile } from '../../helpers/auth.js'

/** Counts how often a password was compared. */
class CountingLogins extends Logins {
  readonly attempts: LoginAttempt[] = []

  constructor () {
    super({ workers: alone(), free: 5, delay: 1000, maxDelay: 30_000, sleep: async () => {} })
  }

  override async attempt<T> (attempt: LoginAttempt, check: () => Promise<T | undefined>): Promise<T | undefined> {
    this.attempts.push(attempt)
    return await super.attempt(attempt, check)
  }
}

async function store (t: Test, users: Record<string, string>, groups = {}) {
  const path = await htpasswdFile(t, users)
  const logins = new CountingLogins()
  const credentials = new HtpasswdCredentials({ file: await HtpasswdFile.open({ path, log: new RecordedLog() }), logins, groups })
  t.teardown(async () => { await credentials.close() })
  const verify = async (user: string, password: string, address = '192.0.2.1') => await credentials.verify(user, password, address)
  return { path, credentials, logins, verify }
}

t.test('the right password of a user is an identity with its groups, and nothing else is', async t => {
  const { verify } = await store(t, { ann: 'secret', bob: 'other', ünal: 'pässwörd' }, { devs: ['ann', 'carol'], admins: ['ann'] })
  t.same(await verify('ann', 'secret'), { user: 'ann', groups: ['devs', 'admins'] })
  t.same(await verify('bob', 'other'), { user: 'bob', groups: [] })
  t.same(await verify('ünal', 'pässwörd'), { user: 'ünal', groups: [] })
  for (const [user, password] of [['ann', 'other'], ['ann', ''], ['ann', 'secret '], ['Ann', 'secret'], ['carol', 'secret'], ['', ''], ['__proto__', 'x'], ['constructor', '']] as const) {
    t.equal(await verify(user, password), undefined, `${user}:${password}`)
  }
})

t.test('a password is compared once, and again after a change of the file', async t => {
  const { verify, logins, path, credentials } = await store(t, { ann: 'secret' })
  for (let i = 0; i < 3; i++) t.match(await verify('ann', 'secret'), { user: 'ann' })
  t.equal(logins.attempts.length, 1)
  t.equal(credentials.size, 1)
  await writeFile(path, htpasswd({ ann: 'changed' }))
  t.equal(await verify('ann', 'secret'), undefined)
  t.match(await verify('ann', 'changed'), { user: 'ann' })
  t.equal(logins.attempts.length, 3)
})

t.test('a wrong password is never remembered as a right one, nor the other way round', async t => {
  const { verify, credentials } = await store(t, { ann: 'secret', 'an:n': 'x' })
  t.equal(await verify('ann', 'wrong'), undefined)
  t.match(await verify('ann', 'secret'), { user: 'ann' })
  t.equal(await verify('ann', 'wrong'), undefined)
  t.equal(await verify('an', 'n:secret'), undefined)
  t.equal(credentials.size, 1)
})

t.test('requests with the same credentials at once share one comparison', async t => {
  const { verify, logins } = await store(t, { ann: 'secret' })
  const answers = await Promise.all(Array.from({ length: 50 }, async () => await verify('ann', 'secret')))
  t.ok(answers.every(answer => answer?.user === 'ann'))
  t.equal(logins.attempts.length, 1)
  const wrong = await Promise.all(Array.from({ length: 50 }, async () => await verify('ann', 'wrong')))
  t.ok(wrong.every(answer => answer === undefined))
  t.equal(logins.attempts.length, 2)
})

t.test('a user who is taken out of the file while its password is being looked at is not let in', async t => {
  const { verify, path, logins } = await store(t, { ann: 'secret' })
  const attempt = logins.attempt.bind(logins)
  logins.attempt = async (login, check) => {
    await writeFile(path, htpasswd({ bob: 'x' }))
    return await attempt(login, check)
  }
  t.equal(await verify('ann', 'secret'), undefined)
})

t.test('users cannot be looked up without the file, those who are known included', async t => {
  const { verify, path } = await store(t, { ann: 'secret' })
  t.match(await verify('ann', 'secret'), { user: 'ann' })
  await rm(path)
  await t.rejects(verify('ann', 'secret'), { code: 'UNAVAILABLE' })
})

t.test('too many comparisons at once are refused, not queued without end', async t => {
  const { verify } = await store(t, { ann: 'secret' })
  const outcomes = await Promise.all(Array.from({ length: 400 }, async (_, i) => await verify(`user${i}`, 'x', `198.51.${i >> 8}.${i & 255}`).then(() => 401, (error: { status: number }) => error.status)))
  t.equal(outcomes.filter(status => status === 401).length, 2 + 256)
  t.equal(outcomes.filter(status => status === 429).length, 400 - 258)
  t.match(await verify('ann', 'secret'), { user: 'ann' })
})

t.test('a known password costs microseconds', async t => {
  const { verify, path, credentials } = await store(t, { ann: 'secret' })
  const { utimes } = await import('node:fs/promises')
  await utimes(path, 1000, 1000)
  await verify('ann', 'secret')
  const rounds = 2000
  const started = performance.now()
  for (let i = 0; i < rounds; i++) await verify('ann', 'secret')
  const micros = (performance.now() - started) * 1000 / rounds
  t.comment(`${micros.toFixed(1)} µs`)
  t.ok(micros < 200, 'far from the 50,000 of a comparison')
  t.equal(credentials.size, 1)
})
