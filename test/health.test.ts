import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import { registry } from '../registry.js'
import type { RegistryHandle } from '../registry.js'
import { startProduct } from './helpers/product.js'

t.test('while a check fails everything is answered with 503 UNAVAILABLE, and probes and debug server say why', async t => {
  const directory = t.testdir()
  const down = join(directory, 'down')
  const product = await startProduct(t, directory, { http: { debug: { addr: '127.0.0.1:0' } }, health: { file: [{ file: down, interval: '500ms' }] } })
  const [, debug = ''] = await product.logged(/debug server listens on (http:[^"]+)/)
  t.same(await (await fetch(`${product.url}/readyz`)).json(), { ready: true, failing: [] })
  t.same(await (await fetch(`${debug}/debug/health`)).json(), {})

  await writeFile(down, '')
  await product.logged(/health check [^ ]+down: file exists/)
  for (const [method, path] of [['GET', '/v2/'], ['GET', '/'], ['POST', '/v2/a/blobs/uploads/'], ['GET', '/nowhere']] as const) {
    const answer = await fetch(product.url + path, { method })
    t.equal(answer.status, 503, path)
    t.same(await answer.json(), { errors: [{ code: 'UNAVAILABLE', message: 'service unavailable', detail: 'health check failed: please see /debug/health' }] })
  }
  t.equal((await fetch(`${product.url}/livez`)).status, 200)
  const ready = await fetch(`${product.url}/readyz`)
  t.equal(ready.status, 503)
  t.same(await ready.json(), { ready: false, failing: [down] })
  const health = await fetch(`${debug}/debug/health`)
  t.equal(health.status, 503)
  t.match(health.headers.get('content-type'), /^application\/json/)
  t.same(await health.json(), { [down]: 'file exists' })
  t.equal((await fetch(`${debug}/debug/health`, { method: 'POST' })).status, 404)

  await rm(down)
  await product.logged(/well again/)
  t.equal((await fetch(`${product.url}/v2/`)).status, 200)
  t.equal(await product.stop(), 0)
})

t.test('after SIGTERM it is not ready, and still serves until the port closes', async t => {
  const product = await startProduct(t, t.testdir(), { health: { shutdowndelay: '1s' } })
  product.signal('SIGTERM')
  await product.logged(/SIGTERM: stopping/)
  const ready = await fetch(`${product.url}/readyz`)
  t.equal(ready.status, 503)
  t.same(await ready.json(), { ready: false, failing: ['server'] })
  t.equal((await fetch(`${product.url}/v2/`)).status, 200)
  t.equal((await product.ended).status, 0)
})

t.test('an embedded registry refuses nothing by itself and tells its host', async t => {
  const down = join(t.testdir({ down: '' }), 'down')
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  let handle: RegistryHandle | undefined
  await app.register(registry, { storage: { inmemory: {} }, health: { file: [{ file: down, interval: '300ms' }] }, onReady: ready => { handle = ready } })
  await app.ready()
  while (handle?.health.isWell === true) await new Promise(resolve => setImmediate(resolve))
  t.same(handle?.health.failures(), { [down]: 'file exists' })
  t.same(await handle?.health.ready(), { ready: false, problems: { [down]: 'file exists' } })
  t.equal((await app.inject('/v2/')).statusCode, 200)
  t.equal((await app.inject('/livez')).statusCode, 404, 'no paths of its own beside /v2')
})
