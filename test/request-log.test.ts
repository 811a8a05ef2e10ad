import { connect } from 'node:net'
import t from 'tap'
import { startProduct } from './helpers/product.js'
import { requestId } from '../services/http/request-id.js'

const UUID = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/

t.test('a request keeps the id it comes with, in the log and in the answer', async t => {
  const product = await startProduct(t, t.testdir(), { storage: { inmemory: {} } })
  const given = await fetch(`${product.url}/v2/`, { headers: { 'x-request-id': 'proxy-1/2:3' } })
  t.equal(given.headers.get('x-request-id'), 'proxy-1/2:3')
  await product.logged(/response completed.*proxy-1\/2:3/)
  t.match((await fetch(`${product.url}/v2/`)).headers.get('x-request-id'), UUID)
  t.match((await fetch(`${product.url}/nowhere`)).headers.get('x-request-id'), UUID, 'errors too')
})

t.test('an id that could be taken for something else in the log is replaced', async t => {
  for (const given of [undefined, '', 'a b', 'a"b', 'a\nb', 'x'.repeat(129), ['a', 'b']]) t.match(requestId(given), UUID, String(given))
  t.equal(requestId('x'.repeat(128)), 'x'.repeat(128))
})

t.test('a client that goes away while it pushes a manifest is no error', async t => {
  const product = await startProduct(t, t.testdir(), { storage: { inmemory: {} } })
  const [host = '', port = ''] = product.host.split(':')
  const socket = connect(Number(port), host)
  socket.write('PUT /v2/a/manifests/1 HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1000\r\n\r\n{')
  // Asked to go on, it has been let in.
  await new Promise(resolve => { socket.once('data', resolve) })
  socket.destroy()
  await product.logged(/level=info msg="response completed" .*http\.response\.aborted=true .*http\.response\.status=499/)
  t.notMatch(product.log, /level=error/)
})

t.test('log.formatter json has levels and times as docker\'s registry writes them', async t => {
  const product = await startProduct(t, t.testdir(), { storage: { inmemory: {} }, log: { formatter: 'json', fields: { service: 'registry' }, hooks: [{ type: 'mail' }] } })
  const lines = product.log.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Record<string, unknown>)
  const warning = lines.find(({ level }) => level === 'warning')
  t.match(warning, { msg: 'log.hooks: no mail is sent; watch the log with your log pipeline instead', time: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/, service: 'registry' })
  t.ok(lines.some(({ level }) => level === 'info'))
})
