import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryConfigInput } from '../schemas/config/index.js'
import { startProduct } from './helpers/product.js'
import type { Product } from './helpers/product.js'

interface Measured { readonly product: Product, readonly metric: (line: string) => Promise<number | undefined>, readonly all: () => Promise<string> }

async function measured (t: Test, config: RegistryConfigInput = {}): Promise<Measured> {
  const product = await startProduct(t, t.testdir(), { ...config, http: { ...config.http, debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } } } })
  const [, debug = ''] = await product.logged(/debug server listens on (http:[^"]+)/)
  await product.logged(/providing prometheus metrics on \/metrics/)
  const all = async (): Promise<string> => {
    const answer = await fetch(`${debug}/metrics`)
    t.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
    return await answer.text()
  }
  const metric = async (line: string): Promise<number | undefined> => {
    const found = (await all()).split('\n').find(text => text.startsWith(`${line} `))
    return found === undefined ? undefined : Number(found.slice(line.length))
  }
  return { product, metric, all }
}

async function push (url: string, content: Buffer): Promise<string> {
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`
  const answer = await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${digest}`, { method: 'POST', body: content, headers: { 'content-type': 'application/octet-stream' } })
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`)
  return digest
}

t.test('requests, bytes, storage and cache are measured under the names of docker\'s registry', async t => {
  const { product, metric, all } = await measured(t, { storage: { inmemory: {}, cache: { blobdescriptor: 'inmemory' } } })
  const digest = await push(product.url, Buffer.alloc(5000, 1))
  await (await fetch(`${product.url}/v2/team/app/blobs/${digest}`)).arrayBuffer()
  await fetch(`${product.url}/v2/team/app/blobs/${digest}`, { method: 'HEAD' })
  await (await fetch(`${product.url}/v2/team/app/manifests/none`)).text()
  await (await fetch(`${product.url}/nowhere`)).text()
  const expected: Record<string, number> = {
    'registry_http_requests_total{code="201",handler="blob_upload",method="post"}': 1,
    'registry_http_requests_total{code="200",handler="blob",method="get"}': 1,
    'registry_http_requests_total{code="200",handler="blob",method="head"}': 1,
    'registry_http_requests_total{code="404",handler="manifest",method="get"}': 1,
    'registry_http_in_flight_requests{handler="blob"}': 0,
    'registry_http_request_duration_seconds_count{handler="blob",method="get"}': 1,
    'registry_http_request_size_bytes_sum{handler="blob_upload"}': 5000,
    'registry_http_response_size_bytes_bucket{le="8192",handler="blob"}': 2,
    'registry_http_received_bytes_total{handler="blob_upload"}': 5000,
    'registry_http_sent_bytes_total{handler="blob"}': 5000,
    registry_uploads_opened_total: 1
  }
  for (const [line, value] of Object.entries(expected)) t.equal(await metric(line), value, line)
  const text = await all()
  for (const pattern of [
    /^registry_storage_action_seconds_count\{action="PutContent",driver="inmemory"\} [1-9]/m,
    /^registry_storage_action_seconds_bucket\{le="0\.005",action="Stat",driver="inmemory"\}/m,
    /^registry_storage_cache_requests_total [1-9]/m, /^registry_storage_cache_hits_total [1-9]/m, /^registry_storage_cache_errors_total 0/m,
    /^process_resident_memory_bytes \d/m, /^nodejs_eventloop_lag_p99_seconds \d/m, /^process_start_time_seconds \d/m
  ]) t.match(text, pattern)
  t.notMatch(text, /nowhere|handler=""/, 'what no route takes is not counted')
  t.equal(await product.stop(), 0)
})

t.test('a client that goes away is counted, and nothing stays in flight', async t => {
  const { product, metric } = await measured(t, { storage: { inmemory: {} } })
  const [host = '', port = ''] = product.host.split(':')
  const socket = connect(Number(port), host)
  socket.write('PUT /v2/a/manifests/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{')
  while (await metric('registry_http_in_flight_requests{handler="manifest"}') !== 1);
  socket.destroy()
  while (await metric('registry_http_in_flight_requests{handler="manifest"}') !== 0);
  t.equal(await metric('registry_http_aborted_requests_total{handler="manifest"}'), 1)
})

t.test('with several workers they are summed, and what belongs to a process carries its number', async t => {
  const { product, metric, all } = await measured(t, { http: { workers: '2' } })
  const count = 40
  for (let i = 0; i < count; i++) await (await fetch(`${product.url}/v2/`, { headers: { connection: 'close' } })).text()
  t.equal(await metric('registry_http_requests_total{code="200",handler="base",method="get"}'), count)
  t.match(await all(), /^process_cpu_seconds_total\{worker="1"\} .*\n.*\{worker="2"\}/m)
})

t.test('metrics are off unless they are asked for', async t => {
  const product = await startProduct(t, t.testdir(), { storage: { inmemory: {} }, http: { debug: { addr: '127.0.0.1:0' } } })
  const [, debug = ''] = await product.logged(/debug server listens on (http:[^"]+)/)
  t.equal((await fetch(`${debug}/metrics`)).status, 404)
  t.equal((await fetch(`${product.url}/metrics`)).status, 404)
})
