import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { rm, writeFile } from 'node:fs/promises'
import t from 'tap'
import { parseConfig } from '../../../services/config/parse.js'
import { DriverError } from '../../../services/errors/driver-error.js'
import { fileCheck, httpCheck, storageCheck, tcpCheck } from '../../../services/health/checks.js'
import { configuredChecks } from '../../../services/health/configured.js'
import { Health, failureOf } from '../../../services/health/health.js'
import { Readiness } from '../../../services/health/readiness.js'
import { ForwardingDriver } from '../../../services/storage/forwarding-driver.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { FakeClock, settled } from '../../helpers/fake-clock.js'
import { recordingLog } from '../../helpers/log.js'

const running = new AbortController().signal

/** One check that fails for as long as it is told a reason. */
function playedHealth (threshold: number) {
  const clock = new FakeClock()
  const state: { reason?: string | undefined, runs: number } = { runs: 0 }
  const { log, lines } = recordingLog()
  const run = async (): Promise<void> => {
    state.runs++
    if (state.reason !== undefined) throw new Error(state.reason)
  }
  const health = new Health({ checks: [{ name: 'it', intervalMs: 1000, threshold, timeoutMs: 1000, run }], log, clock })
  health.start()
  return { clock, state, health, lines }
}

t.test('a check is well until its first run, which comes after one interval', async t => {
  const { clock, state, health, lines } = playedHealth(0)
  state.reason = 'broken'
  await clock.advance(999)
  t.equal(state.runs, 0)
  t.ok(health.isWell)
  await clock.advance(1)
  t.notOk(health.isWell)
  t.same(health.failures(), { it: 'broken' })
  await clock.advance(3000)
  state.reason = undefined
  await clock.advance(1000)
  t.ok(health.isWell)
  t.same(lines, ['error: health check it: broken', 'info: health check it: well again'], 'said once, when it begins and when it ends')
  await health.stop()
  await clock.advance(5000)
  t.equal(state.runs, 5, 'not after it was stopped')
})

t.test('with a threshold it takes so many failures in a row', async t => {
  const { clock, state, health } = playedHealth(3)
  state.reason = 'broken'
  await clock.advance(2000)
  state.reason = undefined
  await clock.advance(1000)
  state.reason = 'broken'
  await clock.advance(2000)
  t.ok(health.isWell, 'two and two are not three in a row')
  await clock.advance(1000)
  t.notOk(health.isWell)
  await health.stop()
})

t.test('checks have the names, times and defaults of docker\'s registry', async t => {
  const { health } = parseConfig({
    storage: { inmemory: {} },
    health: {
      storagedriver: { enabled: true, threshold: 3 },
      file: [{ file: '/run/down', threshold: 7 }],
      http: [{ uri: 'http://a/b', timeout: '3s', interval: '5s', threshold: 2 }],
      tcp: [{ addr: 'redis:6379', interval: '0s' }]
    }
  })
  t.same(configuredChecks(health, new MemoryDriver()).map(({ run, ...check }) => check), [
    { name: 'storagedriver_inmemory', intervalMs: 10_000, threshold: 3, timeoutMs: 10_000 },
    { name: '/run/down', intervalMs: 10_000, threshold: 0, timeoutMs: 10_000 },
    { name: 'http://a/b', intervalMs: 5000, threshold: 2, timeoutMs: 3000 },
    { name: 'redis:6379', intervalMs: 10_000, threshold: 0, timeoutMs: 10_000 }
  ])
  t.same(configuredChecks(parseConfig({ storage: { inmemory: {} } }).health, new MemoryDriver()), [])
})

t.test('storage is well when it answers, also that there is nothing', async t => {
  class Answering extends ForwardingDriver {
    kind: 'path-not-found' | 'failed' = 'path-not-found'
    override async stat (path: string): Promise<never> { throw new DriverError(this.kind, { driver: 'x', path, detail: 'EIO' }) }
  }
  const driver = new Answering(new MemoryDriver())
  await storageCheck(driver)(running)
  await storageCheck(new MemoryDriver())(running)
  driver.kind = 'failed'
  await t.rejects(storageCheck(driver)(running), { message: 'x: failed: / (EIO)' })
})

t.test('a file is a reason to be down for as long as it exists', async t => {
  const path = join(t.testdir(), 'down')
  await fileCheck(path)(running)
  await writeFile(path, '')
  await t.rejects(fileCheck(path)(running), { message: 'file exists' })
  await rm(path)
  await fileCheck(path)(running)
})

t.test('a server has to answer HEAD with the status, and what it said instead is told', async t => {
  const asked: Array<[string | undefined, string | string[] | undefined]> = []
  const server = createServer(({ method, headers, url }, response) => {
    asked.push([method, headers['x-token']])
    if (url === '/moved') response.writeHead(302, { location: '/' }).end()
    else response.writeHead(url === '/bad' ? 500 : 200).end()
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close() })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await httpCheck(`${url}/`, { headers: { 'X-Token': ['a'] }, status: 200 })(running)
  t.same(asked, [['HEAD', 'a']])
  await httpCheck(`${url}/moved`, { headers: {}, status: 200 })(running)
  await t.rejects(httpCheck(`${url}/bad`, { headers: {}, status: 200 })(running), { message: `${url}/bad: downstream service returned unexpected status: 500` })
  await httpCheck(`${url}/bad`, { headers: {}, status: 500 })(running)
  await tcpCheck(url.slice('http://'.length))(running)
})

t.test('what nobody listens on is down, and why is told', async t => {
  await t.rejects(httpCheck('http://127.0.0.1:1/', { headers: {}, status: 200 })(running), { message: /^error while checking: http:\/\/127\.0\.0\.1:1\/: .*(ECONNREFUSED|bad port)/ })
  await t.rejects(tcpCheck('127.0.0.1:1')(running), { message: /^127\.0\.0\.1:1: connection failed: .*ECONNREFUSED/ })
})

t.test('a run that never ends is late', async t => {
  // The limit does not keep the process alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => { clearInterval(alive) })
  t.equal(await failureOf({ timeoutMs: 1, run: async () => { await new Promise(() => {}) } }), 'no answer within 1 ms')
})

t.test('ready: everything answers, no check fails, and the server is not about to stop', async t => {
  let now = 0
  let asked = 0
  let problem: string | undefined
  let failing = {}
  const readiness = new Readiness({ needs: { storage: async () => { asked++; if (problem !== undefined) throw new Error(problem) } }, failures: () => failing, now: () => now })
  t.same(await readiness.report(), { ready: true, problems: {} })
  problem = 'gone'
  t.same(await readiness.report(), { ready: true, problems: {} }, 'an answer counts for a second')
  t.equal(asked, 1)
  now = 1001
  t.same(await readiness.report(), { ready: false, problems: { storage: 'gone' } })
  problem = undefined
  failing = { '/run/down': 'file exists' }
  now = 3000
  t.same(await readiness.report(), { ready: false, problems: { '/run/down': 'file exists' } })
  failing = {}
  readiness.drain()
  t.same(await readiness.report(), { ready: false, problems: { server: 'it is stopping' } })
  await settled()
  t.equal(asked, 3, 'nobody is asked any more')
})
