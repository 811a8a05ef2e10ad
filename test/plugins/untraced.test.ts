import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { StorageDriver } from '../../services/storage/driver.js'
import { TracedDriver } from '../../services/tracing/traced-driver.js'
import { build, IN_MEMORY } from '../helpers/build.js'

const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))

t.test('where nobody traces there is no wrapper in front of storage, and no header changes anything', async t => {
  let found: StorageDriver | undefined
  const app = await build(t, { ...IN_MEMORY, instances: { middleware: { storage: [driver => { found = driver; return driver }] } } })
  t.ok(found !== undefined && !(found instanceof TracedDriver))
  t.equal((await app.inject({ url: '/v2/', headers: { traceparent: 'x' } })).statusCode, 200)
})

t.test('where nobody traces no SDK is loaded', t => {
  const program = `
    import { createRequire } from 'node:module'
    const { startRegistry } = await import('fastify-oci-registry/testing')
    const registry = await startRegistry()
    await fetch(registry.url + '/v2/')
    await registry.close()
    console.log(Object.keys(createRequire(import.meta.url).cache).filter(path => /@opentelemetry\\/(?!api\\/)/.test(path)).length)`
  const { stdout, stderr } = spawnSync('env', ['-u', 'NODE_OPTIONS', process.execPath, '--no-warnings', '--input-type=module', '-e', program], { cwd: ROOT, encoding: 'utf8', timeout: 60_000 })
  t.equal(stdout.trim(), '0', stderr)
  t.end()
})
