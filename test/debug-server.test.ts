import t from 'tap'
import { runCli, startProduct } from './helpers/product.js'
import { processVariables } from '../services/debug/process-variables.js'

t.test('the debug server shows command line, memory and what each part publishes, on a port of its own', async t => {
  const product = await startProduct(t, t.testdir(), { http: { debug: { addr: '127.0.0.1:0' } } })
  const [, url = ''] = await product.logged(/debug server listens on (http:[^"]+)/)
  const answer = await fetch(`${url}/debug/vars`)
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^application\/json/)
  const variables = await answer.json() as { cmdline: string[], memstats: Record<string, number>, registry: object }
  t.match(variables.cmdline.slice(2), ['serve', /config\.yml$/])
  t.ok((variables.memstats['HeapAlloc'] ?? 0) > 0)
  t.type(variables.registry, 'object')
  t.equal((await fetch(`${product.url}/debug/vars`)).status, 404, 'not on the port of the registry')
  t.equal(await product.stop(), 0)
})

t.test('secrets of the command line are not shown', async t => {
  const { cmdline } = processVariables(['node', 'cli.js', 'serve', '--set', 'http.secret=hush', '--set=redis.password=hush\nhush', '--set', 'http.addr=:5000'])
  t.same(cmdline, ['node', 'cli.js', 'serve', '--set', 'http.secret=***', '--set=redis.password=***', '--set', 'http.addr=:5000'])
})

t.test('an address that the debug server cannot have is one line that names its key', async t => {
  const product = await startProduct(t, t.testdir())
  for (const [addr, reason] of [[product.host, 'the port is in use'], ['nonsense', 'not host:port: nonsense']] as const) {
    const directory = t.testdir()
    const { status, stderr } = await runCli(t, ['serve', '--set', 'http.addr=127.0.0.1:0', '--set', `http.debug.addr=${addr}`, '--set', 'storage=inmemory', '--set', 'storage.maintenance.uploadpurging.enabled=false'], directory)
    t.equal(status, 1)
    t.match(stderr, /^oci-registry: http\.debug\.addr: [^\n]+\n$/)
    t.ok(stderr.includes(reason), stderr)
  }
})
