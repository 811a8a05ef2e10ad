import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { Collector } from './helpers/collector.js'
import { startProduct } from './helpers/product.js'
import type { Product } from './helpers/product.js'

async function traced (t: Test, environment: Record<string, string>, workers = '1'): Promise<Product> {
  const complete = { OTEL_BSP_SCHEDULE_DELAY: '10', ...environment }
  Object.assign(process.env, complete)
  const product = await startProduct(t, t.testdir(), { http: { workers, debug: { addr: '127.0.0.1:0' } } })
  for (const name of Object.keys(complete)) Reflect.deleteProperty(process.env, name)
  return product
}

/** A port on which nobody listens. */
async function closedPort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function ask (product: Product, count = 1): Promise<void> {
  for (let i = 0; i < count; i++) {
    const answer = await fetch(`${product.url}/v2/`)
    await answer.text()
    if (answer.status !== 200) throw new Error(`status ${answer.status}`)
  }
}

/** The exporter itself would try for 10 seconds. It is half of that because machines are slow, not because we are. */
const PATIENCE_MS = 5000

/** How long it takes to stop, in milliseconds. */
async function timeToStop (t: Test, product: Product): Promise<number> {
  const began = performance.now()
  t.equal(await product.stop(), 0)
  return performance.now() - began
}

t.test('a collector that is away is said once, and once that it is back', async t => {
  const port = await closedPort()
  // No time to try again, so that each attempt fails at once.
  const product = await traced(t, { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_TIMEOUT: '500' })
  const [, debug = ''] = await product.logged(/debug server listens on (http:[^"]+)/)
  const lost = async (): Promise<number> => {
    const { registry } = await (await fetch(`${debug}/debug/vars`)).json() as { registry: { tracing: { lost: number } } }
    return registry.tracing.lost
  }
  await ask(product)
  await product.logged(/traces cannot be sent and are lost until they can: .*ECONNREFUSED/)
  for (const before = await lost(); await lost() < before + 20;) await ask(product)
  const collector = await Collector.start(t, port)
  while (collector.spans.length === 0) await ask(product)
  await product.logged(/traces are sent again/)
  t.equal(product.log.match(/traces /g)?.length, 2)
  t.ok(await timeToStop(t, product) < PATIENCE_MS)
})

t.test('a collector that never answers keeps neither requests nor the stop waiting', async t => {
  const server = createServer(socket => { socket.on('error', () => {}) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  for (const workers of ['1', '2']) {
    const product = await traced(t, { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, workers)
    const connected = once(server, 'connection')
    await ask(product, 50)
    await connected
    const took = await timeToStop(t, product)
    t.ok(took < PATIENCE_MS, `${took} ms with ${workers} worker(s)`)
    // The purge of uploads, which may come at once, counts its errors.
    t.notMatch(product.log, /(?<!num )error|traces cannot/)
  }
})

t.test('a collector that refuses is no reason to try for ever, nor to say so more than once', async t => {
  const collector = await Collector.start(t)
  collector.status = 400
  const product = await traced(t, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
  while (collector.requests.length < 5) await ask(product)
  t.equal(await product.stop(), 0)
  t.equal(product.log.match(/traces cannot be sent/g)?.length, 1)
})

t.test('what cannot be used is one line, and the registry serves', async t => {
  const cases: Array<[Record<string, string>, RegExp]> = [
    [{ OTEL_TRACES_EXPORTER: 'zipkin' }, /OTEL_TRACES_EXPORTER: \\?"zipkin\\?" is none of otlp, console, none/],
    [{ OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /the package @opentelemetry\/exporter-trace-otlp-grpc is not installed: nothing is traced/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_TRACES_SAMPLER: 'sometimes' }, /OpenTelemetry: OTEL_TRACES_SAMPLER value \\?"sometimes\\?" invalid/]
  ]
  for (const [i, [environment, expected]] of cases.entries()) {
    const product = await traced(t, environment, i === 0 ? '2' : '1')
    await ask(product)
    t.equal(await product.stop(), 0)
    const lines = product.log.split('\n').filter(line => expected.test(line))
    t.equal(lines.length, 1, product.log)
  }
})
