// A host in TypeScript, compiled by test/types.test.ts against what the package exports, with skipLibCheck off.
import Fastify from 'fastify'
import registry, { OciError } from 'fastify-oci-registry'
import type { AccessController, RegistryOptions } from 'fastify-oci-registry'
import { startRegistry } from 'fastify-oci-registry/testing'

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
