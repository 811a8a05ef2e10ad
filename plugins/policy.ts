import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { parseDuration } from '../services/config/duration.js'
import { warningHeaders } from '../services/http/warning.js'
import { configuredRules } from '../services/policy/configured.js'
import type { PolicyHooks } from '../services/policy/hooks.js'
import { Policy } from '../services/policy/policy.js'
import { rulesOfHooks } from '../services/policy/rule.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** What hooks and configuration have to say about pushes, pulls and deletes. */
    ociPolicy: Policy
  }
}

export interface PolicyPluginOptions {
  /** Hooks of the host's, asked after what is configured. */
  readonly hooks?: PolicyHooks | undefined
}

async function policyPlugin (fastify: FastifyInstance, { hooks = {} }: PolicyPluginOptions): Promise<void> {
  const { ociConfig: { policy: configured }, ociDebug, ociWorkers: workers, ociDriver: driver } = fastify
  const { audit, hooks: { timeout, failedreads } } = configured
  const rules = [...configuredRules(configured, { workers, driver }), ...rulesOfHooks(hooks)]
  const policy = new Policy({ rules, audit, timeout: parseDuration(timeout), failedReads: failedreads })
  fastify.decorate('ociPolicy', policy)
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

export default fp(policyPlugin, { name: 'oci-policy', fastify: '5.x', dependencies: ['oci-config', 'oci-debug', 'oci-workers', 'oci-storage'] })
