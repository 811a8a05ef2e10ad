// A host in TypeScript, compiled by test/types.test.ts against what the package exports, with skipLibCheck off.
import Fastify from 'fastify'
import registry, { ForwardingDriver, ForwardingManifestStore, OciError, registerMiddleware } from 'fastify-oci-registry'
import type { AccessController, ManifestPut, ManifestPutResult, PolicyHooks, RegistryOptions } from 'fastify-oci-registry'
import { artifact, image, index, startRegistry } from 'fastify-oci-registry/testing'
import type { Fault } from 'fastify-oci-registry/testing'

// The host's own decorators may have any name and type, ours included: our augmentations do not leak.
declare module 'fastify' {
  interface FastifyInstance { ociConfig: string, config: { port: number } }
  interface FastifyRequest { oci: number, session: { user: string } | null }
}

const accessController: AccessController = {
  authorize ({ headers: { authorization } }, records) {
    if (authorization === undefined) throw new OciError('UNAUTHORIZED', { headers: { 'www-authenticate': 'Basic realm="host"' } })
    return { user: records[0]?.name ?? 'nobody' }
  }
}
const app = Fastify()
await app.register(registry, { prefix: '/containers', storage: { filesystem: { rootdirectory: '/data' } }, instances: { accessController } })
// A function does as well, with what the host keeps with its requests.
await app.register(registry, {
  async accessController ({ session, headers }, records) {
    if (session === null) throw new OciError('DENIED', { detail: `${headers.host ?? ''} ${records.length}` })
    return { user: session.user, groups: [], visible: { mayPull: name => name.startsWith(`${session.user}/`) } }
  }
})
// @ts-expect-error a controller that says neither yes nor no
await app.register(registry, { accessController: () => false })
// @ts-expect-error a key that does not exist
await app.register(registry, { storag: {} })
// @ts-expect-error a code that does not exist
export const error = new OciError('NO_SUCH_CODE')

const options: RegistryOptions = { storage: { inmemory: {} }, http: { relativeurls: true } }
await using running = await startRegistry(options)
export const texts: string[] = [running.url, running.host, app.ociConfig]
// A test as somebody writes it: events are typed by their action, faults by their kind.
const built = index([image({ layers: [{ 'etc/motd': 'hello' }, new Uint8Array(4)] })])
for (const { digest } of await running.seed(artifact({ subject: built }), 'team/app')) texts.push(digest)
const faults: Fault[] = [{ method: 'PATCH', after: 2_000_000, as: 'reset' }, { path: /manifests/, as: 429, times: Infinity }]
for (const fault of faults) { using active = running.fail(fault); texts.push(String(active.hits)) }
texts.push((await running.events.next('mount', { where: ({ target }) => target.size > 0 })).target.fromRepository)
await running.restore(running.snapshot())
// @ts-expect-error a kind that does not exist
running.fail({ as: 'explode' })
// @ts-expect-error an action that does not exist
await running.events.next('explode')

// Hooks and middleware as a host writes them: questions and answers are typed, in functions and in lists of them.
class Measured extends ForwardingDriver {
  override async redirectUrl (path: string, method: 'GET' | 'HEAD'): Promise<string | null> {
    return path.startsWith('/docker/') ? await super.redirectUrl(path, method) : null
  }
}
class Noted extends ForwardingManifestStore {
  override async put (bytes: Buffer, options: ManifestPut): Promise<ManifestPutResult> {
    const result = await super.put(bytes, options)
    texts.push(result.descriptor.digest)
    return result
  }
}
registerMiddleware('storage', 'measured', async ({ slow }, { log, config }) => {
  log.info({ slow }, config.http.addr)
  return driver => new Measured(driver)
})
registerMiddleware('registry', 'same', () => namespace => namespace)
// @ts-expect-error a repository middleware awaits nothing
registerMiddleware('repository', 'late', () => async repository => repository)
// @ts-expect-error a kind that does not exist
registerMiddleware('blob', 'none', () => blob => blob)

const hooks: PolicyHooks = {
  beforePush: ({ stage, descriptor }) => {
    if (stage === 'finish' && descriptor !== undefined && descriptor.size === 0) return { deny: 'empty' }
    return { limit: async bytes => bytes > 1e9 ? { deny: 'too large', code: 'SIZE_INVALID', detail: { bytes } } : undefined }
  },
  beforeManifest: [
    async ({ manifest, config, sizeOf }) => {
      const first = manifest.layers[0]
      if (first !== undefined && (await sizeOf(first.digest) ?? 0) > 1e9) return { warn: [first.mediaType, JSON.stringify(await config())] }
    },
    () => {}
  ],
  beforeTag: async ({ tag, change, digest, current, grant: { user } }) => change === 'set' && await current() !== digest ? { deny: `${user ?? 'nobody'} may not move ${tag}` } : undefined,
  // @ts-expect-error only a push has a limit
  beforePull: () => ({ limit: () => undefined }),
  // @ts-expect-error a code that does not exist
  beforeDelete: () => ({ deny: 'no', code: 'NO_SUCH_CODE' }),
  afterPush: async ({ kind, tags }) => { texts.push(kind, ...tags) },
  afterPull: async ({ reference, manifest }) => { texts.push('tag' in reference ? reference.tag : reference.digest, manifest()?.mediaType ?? '') }
}
await app.register(registry, {
  hooks,
  baseDirectory: '/etc',
  middleware: { storage: [{ name: 'measured', options: { slow: '1s' } }, { name: './own.js', disabled: true }] },
  instances: { middleware: { storage: [driver => new Measured(driver)], repository: [({ manifests, ...rest }) => ({ ...rest, manifests: new Noted(manifests) })] } }
})
