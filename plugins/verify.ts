import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { parseBytes } from '../services/config/bytes.js'
import { parseDuration } from '../services/config/duration.js'
import { referenceValidation } from '../services/config/validation.js'
import { Scrub } from '../services/verify/scrub.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Reads everything that is stored and reports what is wrong with it. */
    ociVerify: Scrub
  }
}

async function verifyPlugin (fastify: FastifyInstance): Promise<void> {
  const { ociConfig, ociDriver: driver, ociWorkers, ociDebug, log } = fastify
  const { enabled, interval, rate, repair } = ociConfig.storage.maintenance.verify
  const validation = referenceValidation(ociConfig.validation)
  const scrub = new Scrub({ driver, intervalMs: parseDuration(interval), rate: parseBytes(rate), repair, validation, log })
  fastify.decorate('ociVerify', scrub)
  ociDebug.publish('verify', () => scrub.status)
  if (enabled) fastify.addHook('onReady', async () => { ociWorkers.onLead(() => { scrub.start() }) })
  fastify.addHook('onClose', async () => { await scrub.stop() })
}

export default fp(verifyPlugin, { name: 'oci-verify', fastify: '5.x', dependencies: ['oci-config', 'oci-debug', 'oci-workers', 'oci-storage'] })
