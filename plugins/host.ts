import type { FastifyInstance, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'

/** An upload may take hours; a limit below one is somebody's who did not think of it. */
const SHORT_MS = 3_600_000

/**
 * Says at boot what a host does that breaks uploads or downloads, as far as it can be seen: docs/embedding.md has all of
 * it. Each is said once.
 */
async function hostPlugin (fastify: FastifyInstance): Promise<void> {
  const said = new Set<string>()
  const warn = (text: string): void => {
    if (!said.has(text)) fastify.log.warn(text)
    said.add(text)
  }
  for (const [name, limit] of Object.entries(timeouts(fastify))) {
    if (limit > 0 && limit < SHORT_MS) warn(`${name} of the server is ${limit} ms: uploads and downloads that take longer are cut off; 0 has no limit`)
  }
  const { preParsing = [] } = hooksOf(fastify)
  if (preParsing.length > 0) warn(`the host has a preParsing hook${named(preParsing)} for all routes: it must hand on the bodies of uploads as they are, as streams`)
  // Plugins of the host add hooks to single routes; by now those have.
  fastify.addHook('onRoute', ({ config, onSend, preParsing }: RouteOptions) => {
    if (config?.ociResource === undefined) return
    if (preParsing !== undefined) warn(`a plugin of the host adds a preParsing hook${named(preParsing)} to the registry's routes: it must hand on the bodies of uploads as they are, as streams`)
    if (onSend !== undefined) warn(`a plugin of the host adds an onSend hook${named(onSend)} to the registry's routes: it must not compress or rewrite answers, whose digests and lengths are those of the bytes stored`)
  })
}

/** Milliseconds; 0 where there is no limit. */
function timeouts ({ server, initialConfig }: FastifyInstance): Record<string, number> {
  const { handlerTimeout } = initialConfig as { handlerTimeout?: number }
  return { requestTimeout: server.requestTimeout ?? 0, handlerTimeout: handlerTimeout ?? 0 }
}

/** Hooks this scope has from the host. Fastify shows them to nobody; where it keeps them elsewhere there are none to see. */
function hooksOf (fastify: FastifyInstance): { readonly preParsing?: readonly unknown[] } {
  for (let scope: object | null = fastify; scope !== null; scope = Object.getPrototypeOf(scope) as object | null) {
    const key = Object.getOwnPropertySymbols(scope).find(({ description }) => description === 'fastify.hooks')
    if (key !== undefined) return (scope as Record<symbol, object>)[key] ?? {}
  }
  return {}
}

function named (hooks: unknown): string {
  const names = [hooks].flat().map(hook => (hook as { name?: string }).name ?? '').filter(name => name !== '')
  return names.length === 0 ? '' : ` (${names.join(', ')})`
}

export default fp(hostPlugin, { name: 'oci-host', fastify: '5.x' })
