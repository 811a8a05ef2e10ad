import Fastify from 'fastify'
import type { RouteOptions } from 'fastify'
import t from 'tap'
import { registry } from '../../registry.js'
import type { AccessRecord } from '../../services/auth/access.js'
import { OciError } from '../../services/errors/oci-error.js'
import type { Resource } from '../../services/reference/resource-path.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { FaultDriver } from '../helpers/fault-driver.js'
import { sha256 } from '../helpers/images.js'

const DIGEST = sha256('x')
const TAILS: Readonly<Record<Resource, string>> = {
  manifest: '/manifests/1.0',
  blob: `/blobs/${DIGEST}`,
  upload: '/blobs/uploads/',
  'upload-session': `/blobs/uploads/00000000-0000-4000-8000-000000000000?digest=${DIGEST}`,
  tags: '/tags/list',
  referrers: `/referrers/${DIGEST}`,
  extensions: '/_oci/ext/discover'
}

/** A URL that the route serves. */
function urlOf ({ url, config }: RouteOptions): string {
  const { ociResource } = config ?? {}
  return ociResource === undefined ? url.replace('*', 'nowhere/at/all') : url.replace('*', `team/app${TAILS[ociResource]}`)
}

t.test('every route that the registry registers asks before it does anything, or shows and changes nothing', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  const routes: RouteOptions[] = []
  const asked: Array<readonly AccessRecord[]> = []
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  app.addHook('onRoute', route => { routes.push(route) })
  await app.register(registry, {
    prefix: '/at',
    storage: { inmemory: {}, delete: { enabled: true } },
    instances: { driver },
    accessController (_request, records) {
      asked.push(records)
      throw new OciError('UNAUTHORIZED', { headers: { 'www-authenticate': 'Basic realm="test"' } })
    }
  })
  await app.ready()
  t.ok(routes.length > 20, `${routes.length} routes`)
  const answered = new Map<string, number>()
  for (const route of routes) {
    t.ok(route.url.startsWith('/at/v2') || route.url === '/at/_oci/explain', `${route.url} is part of the API`)
    const { ociAccess, ociResource } = route.config ?? {}
    t.ok(ociAccess, `${String(route.method)} ${route.url} declares its access`)
    t.equal(ociAccess === 'repository', ociResource !== undefined, `${route.url} is about a repository, and asks for it`)
    for (const method of [route.method].flat()) {
      asked.length = 0
      driver.calls.length = 0
      const { statusCode } = await app.inject({ method: method as 'GET', url: urlOf(route), ...(method === 'GET' || method === 'HEAD' ? {} : { payload: 'x' }) })
      const what = `${method} ${urlOf(route)}`
      if (ociAccess === 'public') t.ok([404, 405].includes(statusCode), `${what}: ${statusCode}`)
      else {
        t.equal(statusCode, 401, what)
        t.equal(asked.length, 1, what)
        const [first] = asked[0] ?? []
        if (ociAccess === 'repository') t.match(first, { type: 'repository', name: 'team/app' })
        else if (ociAccess === 'catalog') t.match(first, { type: 'registry', name: 'catalog' })
        else if (ociAccess === 'admin') t.match(first, { type: 'registry', name: 'admin' })
        else t.same(asked[0], [])
      }
      t.same(driver.calls, [], `${what} touches no storage`)
      answered.set(statusCode === 401 ? 'asks' : 'is public', (answered.get(statusCode === 401 ? 'asks' : 'is public') ?? 0) + 1)
    }
  }
  t.ok((answered.get('asks') ?? 0) >= 24 && (answered.get('is public') ?? 0) >= 10, JSON.stringify([...answered]))
})
