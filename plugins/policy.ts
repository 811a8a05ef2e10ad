import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { warningHeaders } from '../services/http/warning.js'
import { configuredPolicy } from '../services/policy/configured.js'
import { Explainer } from '../services/policy/explain.js'
import type { PolicyHooks } from '../services/policy/hooks.js'
import { Policy } from '../services/policy/policy.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** What hooks and configuration have to say about pushes, pulls and deletes. */
    ociPolicy: Policy
    /** Says who decides what, and why. */
    ociExplainer: Explainer
  }
}

export interface PolicyPluginOptions {
  /** Hooks of the host's, asked after what is configured. */
  readonly hooks?: PolicyHooks | undefined
  /** The rules of access are the host's. */
  readonly hasHostedAccess: boolean
}

async function policyPlugin (fastify: FastifyInstance, { hooks = {}, hasHostedAccess }: PolicyPluginOptions): Promise<void> {
  const { ociConfig: config, ociDebug, ociWorkers: workers, ociDriver: driver, ociNamespace: namespace } = fastify
  const policy = new Policy(configuredPolicy(config.policy, { workers, driver, hooks }))
  fastify.decorate('ociPolicy', policy)
  fastify.decorate('ociExplainer', new Explainer({ config, namespace, engine: policy.engine, hasHostedAccess }))
  if (policy.isEmpty) return
  ociDebug.publish('policy', () => policy.engine.counts)
  fastify.addHook('onClose', async () => { await policy.engine.close() })
  fastify.addHook('onSend', sendWarnings)
}

/** In callback form: it runs for every answer. */
function sendWarnings (request: FastifyRequest, reply: FastifyReply, _payload: unknown, done: () => void): void {
  // Not every route is about a repository, and not every request gets as far as being let in.
  const warnings = warningHeaders((request.oci as FastifyRequest['oci'] | null)?.warnings ?? [])
  if (warnings.length > 0) reply.header('warning', [...[reply.getHeader('warning') ?? []].flat().map(String), ...warnings])
  done()
}

export default fp(policyPlugin, { name: 'oci-policy', fastify: '5.x', dependencies: ['oci-config', 'oci-debug', 'oci-workers', 'oci-storage', 'oci-namespace', 'oci-auth'] })
