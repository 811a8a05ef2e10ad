import Fastify from 'fastify'
import t from 'tap'
import { ForwardingDriver, ForwardingManifestStore, ForwardingNamespace, registerMiddleware, registry } from '../../index.js'
import type { ManifestPut, ManifestPutResult, Repository, RepositoryName, StorageDriver } from '../../index.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { IN_MEMORY, build, errorCodes } from '../helpers/build.js'
import { FaultDriver } from '../helpers/fault-driver.js'
import { blob, image, pushBlob, pushManifest } from '../helpers/images.js'

const BASE = 'https://cdn.example.com/base'
const REDIRECT = { storage: [{ name: 'redirect', options: { baseurl: BASE } }] }
const layer = blob('a redirected layer')
const hex = layer.digest.slice('sha256:'.length)
const LOCATION = `${BASE}/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`
const URL = `/v2/team/app/blobs/${layer.digest}`

t.test('a blob whose storage has a URL is a 307 to it, without a word about the blob', async t => {
  const app = await build(t, { ...IN_MEMORY, middleware: REDIRECT })
  await pushBlob(t, app, 'team/app', layer)
  for (const method of ['GET', 'HEAD'] as const) {
    for (const headers of [{}, { range: 'bytes=0-3' }, { 'if-none-match': `"${layer.digest}"` }]) {
      const answer = await app.inject({ method, url: URL, headers })
      t.equal(answer.statusCode, 307)
      t.equal(answer.headers.location, LOCATION)
      for (const name of ['etag', 'docker-content-digest', 'cache-control', 'accept-ranges']) t.notOk(answer.headers[name], name)
      t.equal(answer.body, '')
    }
  }
})

t.test('what is not in the repository is not redirected', async t => {
  const app = await build(t, { ...IN_MEMORY, middleware: REDIRECT })
  await pushBlob(t, app, 'team/app', layer)
  t.same(errorCodes(t, await app.inject(`/v2/team/other/blobs/${layer.digest}`), 404), ['BLOB_UNKNOWN'])
})

t.test('storage.redirect.disable serves all blobs from here', async t => {
  const storage = { inmemory: {}, redirect: { disable: true } }
  const app = await build(t, { storage, middleware: REDIRECT })
  await pushBlob(t, app, 'team/app', layer)
  const answer = await app.inject(URL)
  t.equal(answer.statusCode, 200)
  t.same(answer.rawPayload, layer.bytes)
})

t.test('a middleware that is disabled does nothing', async t => {
  const app = await build(t, { ...IN_MEMORY, middleware: { storage: [{ ...REDIRECT.storage[0], name: 'redirect', disabled: true }] } })
  await pushBlob(t, app, 'team/app', layer)
  t.equal((await app.inject(URL)).statusCode, 200)
})

t.test('the registry does not start with a middleware that does not exist', async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await t.rejects(async () => { await app.register(registry, { ...IN_MEMORY, middleware: { repository: [{ name: 'nothing' }] } }) }, {
    message: 'middleware.repository[0].name: there is no repository middleware called "nothing"; none is known'
  })
})

t.test('modules are found relative to baseDirectory', async t => {
  const baseDirectory = t.testdir({
    'package.json': '{ "type": "module" }',
    'elsewhere.js': 'export default ({ to }) => driver => { driver.redirectUrl = async () => to; driver.redirects = true; return driver }\n'
  })
  const app = await build(t, { ...IN_MEMORY, baseDirectory, middleware: { storage: [{ name: './elsewhere.js', options: { to: 'https://here/' } }] } })
  await pushBlob(t, app, 'team/app', layer)
  t.equal((await app.inject(URL)).headers.location, 'https://here/')
})

t.test('functions of the host come after what is configured, each in front of the ones before it', async t => {
  const order: string[] = []
  class Noting extends ForwardingDriver {
    readonly #word: string
    constructor (inner: StorageDriver, word: string) {
      super(inner)
      this.#word = word
    }

    override read (path: string, options?: { readonly maxBytes?: number }): Promise<Buffer> {
      order.push(this.#word)
      return super.read(path, options)
    }
  }
  registerMiddleware('storage', 'noting', ({ word }) => inner => new Noting(inner, String(word)))
  const app = await build(t, {
    ...IN_MEMORY,
    middleware: { storage: [{ name: 'noting', options: { word: 'one' } }, { name: 'noting', options: { word: 'two' } }] },
    instances: { middleware: { storage: [inner => new Noting(inner, 'three')] } }
  })
  await app.inject('/v2/team/app/manifests/none')
  t.same(order, ['three', 'two', 'one'])
})

t.test('registry and repository middleware see what a request does', async t => {
  const seen: string[] = []
  class Watched extends ForwardingManifestStore {
    override async put (bytes: Buffer, options: ManifestPut): Promise<ManifestPutResult> {
      const result = await super.put(bytes, options)
      seen.push(`pushed ${result.descriptor.digest}`)
      return result
    }
  }
  class Seen extends ForwardingNamespace {
    override repository (name: RepositoryName): Repository {
      seen.push(`repository ${name}`)
      return super.repository(name)
    }
  }
  const repository = ({ name, blobs, manifests, tags, referrers }: Repository): Repository => ({ name, blobs, manifests: new Watched(manifests), tags, referrers })
  const app = await build(t, {
    ...IN_MEMORY,
    instances: {
      middleware: {
        registry: [async inner => new Seen(inner)],
        repository: [repository]
      }
    }
  })
  const pushed = image()
  await pushManifest(t, app, 'team/app', pushed, '1.0')
  t.same(seen.filter(line => line.startsWith('pushed')), [`pushed ${pushed.digest}`])
  t.ok(seen.includes('repository team/app'))
  t.equal((await app.inject('/v2/team/app/manifests/1.0')).statusCode, 200)
})

t.test("a middleware's errors and paths are guarded as a driver's are", async t => {
  class Careless extends ForwardingDriver {
    override read (path: string): Promise<Buffer> {
      if (path.includes('/outside/')) return super.read('/../etc/passwd')
      throw new TypeError('a bug')
    }
  }
  const app = await build(t, { ...IN_MEMORY, instances: { middleware: { storage: [driver => new Careless(driver)] } } })
  t.same(errorCodes(t, await app.inject('/v2/team/app/manifests/none'), 500), ['UNKNOWN'])
  t.same(errorCodes(t, await app.inject('/v2/outside/app/manifests/none'), 500), ['UNKNOWN'])
})

t.test("a host's driver stays open behind middleware, the middleware is closed", async t => {
  const closed: string[] = []
  class Closing extends FaultDriver {
    override async close (): Promise<void> { closed.push('driver') }
  }
  class Closed extends ForwardingDriver {
    override async close (): Promise<void> {
      closed.push('middleware')
      await super.close()
    }
  }
  const app = Fastify()
  const driver = new Closing(new MemoryDriver())
  await app.register(registry, { ...IN_MEMORY, instances: { driver, middleware: { storage: [inner => new Closed(inner)] } } })
  await app.ready()
  await app.close()
  t.same(closed, ['middleware'])
})
