import { PassThrough } from 'node:stream'
import Fastify from 'fastify'
import t from 'tap'
import { registry } from '../registry.js'
import { buildServer } from '../server.js'
import { accessFormat } from '../services/log/access-line.js'
import { AccessLog } from '../services/log/access-log.js'
import { CapturedLog } from './helpers/captured-log.js'
import { startProduct } from './helpers/product.js'
import type { Product } from './helpers/product.js'

const IN_MEMORY = { storage: { inmemory: {} } }
const COMBINED = /^127\.0\.0\.1 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET (\S+) HTTP\/1\.1" \d{3} \d+ "" "node"$/

/** Asks for different things, several at a time; the paths. */
async function ask ({ url }: Product, count: number, long = 1): Promise<string[]> {
  const paths = Array.from({ length: count }, (_, i) => `/v2/${'long/'.repeat(long)}b${i}/tags/list`)
  for (let i = 0; i < count; i += 25) await Promise.all(paths.slice(i, i + 25).map(async path => await (await fetch(url + path)).text()))
  return paths
}

t.test('standard output has a line in Apache\'s combined format for each request, and standard error the rest', async t => {
  const product = await startProduct(t, t.testdir(), IN_MEMORY)
  const paths = await ask(product, 200)
  t.equal(await product.stop(), 0)
  const { stdout, stderr } = await product.ended
  t.same(stdout.trimEnd().split('\n').map(line => COMBINED.exec(line)?.[1]).sort(), paths.sort(), 'none is lost at the end')
  t.equal(stderr.match(/msg="response completed with error"/g)?.length, 200)
})

t.test('all workers write to it, whole lines only', async t => {
  const product = await startProduct(t, t.testdir(), { http: { workers: '2' } })
  const paths = await ask(product, 400)
  t.equal(await product.stop(), 0)
  const { stdout } = await product.ended
  t.same(stdout.trimEnd().split('\n').map(line => COMBINED.exec(line)?.[1]).sort(), paths.sort())
})

t.test('it can be JSON, by itself and with the rest of the log; and it can be off', async t => {
  for (const [log, expected] of [
    [{ formatter: 'json' }, { msg: 'access', 'http.request.uri': '/v2/', 'http.response.status': 200, service: 'x' }],
    [{ formatter: 'logstash' }, { message: 'access', '@version': '1', service: 'x' }],
    [{ accesslog: { format: 'json' } }, { msg: 'access', 'instance.id': /^[\da-f-]{36}$/ }]
  ] as const) {
    const product = await startProduct(t, t.testdir(), { ...IN_MEMORY, log: { ...log, fields: { service: 'x' } } })
    await (await fetch(`${product.url}/v2/`)).text()
    await product.stop()
    t.match(JSON.parse((await product.ended).stdout), expected)
  }
  for (const log of [{ formatter: 'json', accesslog: { format: 'combined' } }, { accesslog: { disabled: true } }] as const) {
    const product = await startProduct(t, t.testdir(), { ...IN_MEMORY, log })
    await (await fetch(`${product.url}/v2/`)).text()
    await product.stop()
    t.match((await product.ended).stdout.trimEnd(), 'formatter' in log ? COMBINED : /^$/)
  }
})

t.test('the level of the log is not that of the access log', async t => {
  const log = new CapturedLog()
  const lines = new PassThrough({ encoding: 'utf8' })
  const access = new AccessLog({ format: accessFormat('combined', {}), stream: lines, log: log.logger })
  log.logger.level = 'error'
  const app = buildServer({ logger: log.logger, access, ...IN_MEMORY })
  await app.inject({ url: '/v2/', headers: { 'user-agent': 'node' } })
  await app.close()
  t.equal(await access.close(1000), true)
  t.match(String(lines.read()).trimEnd(), COMBINED)
  t.equal(log.text, '')
})

t.test('a reader that goes away stops the access log and not the server', async t => {
  const product = await startProduct(t, t.testdir(), IN_MEMORY)
  product.closeOut()
  await ask(product, 50)
  await product.logged(/level=warning msg="access log: nobody reads it any more/)
  t.equal((await fetch(`${product.url}/v2/`)).status, 200)
  t.equal(await product.stop(), 0)
})

t.test('a reader that hangs keeps nobody waiting, neither requests nor the end', async t => {
  const product = await startProduct(t, t.testdir(), IN_MEMORY)
  const resume = product.pauseOut()
  const paths = await ask(product, 500, 200)
  t.equal((await fetch(`${product.url}/v2/`)).status, 200)
  product.signal('SIGTERM')
  await product.exited
  resume()
  const { status, stdout, stderr } = await product.ended
  t.equal(status, 0)
  const lines = stdout.split('\n').slice(0, -1)
  t.ok(lines.length > 50 && lines.length < paths.length, `${lines.length} lines were taken`)
  t.ok(lines.every(line => COMBINED.test(line)), 'whole lines')
  t.match(stderr, /level=warning msg="access log: lines are lost: its reader is too slow"/)
})

t.test('embedded there is none; a host that wants one says where', async t => {
  const log = new CapturedLog()
  const lines = new PassThrough({ encoding: 'utf8' })
  const app = Fastify({ loggerInstance: log.logger })
  await app.register(registry, { prefix: '/one', ...IN_MEMORY, instances: { accessLog: lines } })
  await app.register(registry, { prefix: '/two', ...IN_MEMORY })
  app.get('/host', async () => 'the host\'s')
  for (const url of ['/one/v2/', '/two/v2/', '/host']) await app.inject({ url, headers: { 'user-agent': 'inject' } })
  await app.close()
  t.match(String(lines.read()), /^127\.0\.0\.1 - - \[.*\] "GET \/one\/v2\/ HTTP\/1\.1" 200 2 "" "inject"\n$/)
  t.equal(lines.writableEnded, false, 'it is the host\'s to close')
  t.notOk(log.lines.some(({ msg }) => msg === 'response completed'), 'requests are the host\'s to log')
})
