import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { RegistryConfig } from '../schemas/config/index.js'
import { parseConfig } from '../services/config/parse.js'
import { configWarnings } from '../services/config/supported.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** The registry's configuration: validated, complete, frozen. */
    ociConfig: RegistryConfig
  }
}

export interface ConfigPluginOptions {
  readonly config: unknown
  /** What is said of the configuration is said once, not by every process. */
  readonly quiet: boolean
}

async function configPlugin (fastify: FastifyInstance, { config, quiet }: ConfigPluginOptions): Promise<void> {
  const complete = deepFreeze(parseConfig(config))
  if (!quiet) for (const warning of configWarnings(complete)) fastify.log.warn(warning)
  fastify.decorate('ociConfig', complete)
}

function deepFreeze<T extends object> (value: T): T {
  for (const child of Object.values(value)) {
    if (typeof child === 'object' && child !== null) deepFreeze(child)
  }
  return Object.freeze(value)
}

export default fp(configPlugin, { name: 'oci-config', fastify: '5.x' })
