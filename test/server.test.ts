import t from 'tap'
import { buildServer } from '../server.js'

t.test('OPTIONS has the methods of a resource and the configured headers; elsewhere it is 404', async t => {
  const app = buildServer({ storage: { inmemory: {} }, http: { prefix: '/p/', headers: { 'Access-Control-Allow-Origin': ['*'], 'X-Two': ['a', 'b'] } } })
  t.teardown(async () => { await app.close() })
  const table = {
    '/p/v2/': 'GET, HEAD',
    '/p/v2/_catalog': 'GET, HEAD',
    '/p/v2/a/b/manifests/latest': 'DELETE, GET, HEAD, PUT',
    '/p/v2/a/b/blobs/uploads/': 'POST',
    '/p/v2/a/b/tags/list?n=1': 'GET, HEAD'
  }
  for (const [url, allow] of Object.entries(table)) {
    const response = await app.inject({ method: 'OPTIONS', url })
    t.equal(response.statusCode, 200, url)
    t.match(response.headers, { allow, 'access-control-allow-origin': '*', 'x-two': ['a', 'b'], 'docker-distribution-api-version': 'registry/2.0' })
    t.equal(response.body, '')
  }
  for (const url of ['/p/v2/nothing', '/p/v2/a/b', '/v2/a/tags/list']) t.equal((await app.inject({ method: 'OPTIONS', url })).statusCode, 404, url)
})

t.test('GET / says that the process lives, for load balancers', async t => {
  const app = buildServer({ storage: { inmemory: {} } })
  t.teardown(async () => { await app.close() })
  const response = await app.inject('/')
  t.equal(response.statusCode, 200)
  t.equal(response.headers['cache-control'], 'no-cache')
})
