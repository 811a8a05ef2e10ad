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

t.test('a CPU profile and a heap snapshot are taken on request, within bounds', async t => {
  const product = await startProduct(t, t.testdir(), { storage: { inmemory: {} }, http: { debug: { addr: '127.0.0.1:0' } } })
  const [, url = ''] = await product.logged(/debug server listens on (http:[^"]+)/)
  const [profile, busy] = await Promise.all([1, 1].map(async seconds => await fetch(`${url}/debug/pprof/profile?seconds=${seconds}`)))
  t.same([profile?.status, busy?.status].sort(), [200, 409], 'one at a time')
  const taken = profile?.status === 200 ? profile : busy
  t.match(await taken?.json(), { nodes: Array, startTime: Number, endTime: Number })
  for (const seconds of ['0', '61', '-1', 'x']) t.equal((await fetch(`${url}/debug/pprof/profile?seconds=${seconds}`)).status, 400, seconds)
  const heap = await fetch(`${url}/debug/pprof/heap`)
  t.match(heap.headers.get('content-disposition'), /\.heapsnapshot"$/)
  t.match(await heap.json(), { snapshot: { meta: Object }, nodes: Array, strings: Array })
  t.equal((await fetch(`${product.url}/debug/pprof/heap`)).status, 404, 'not on the port of the registry')
})
