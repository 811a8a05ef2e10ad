import { Ajv } from 'ajv'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/**
 * Our routes are validated by our own rules, whatever validator the host has: a query parameter given once and one
 * given twice both become a list, and unknown parameters pass.
 */
async function validationPlugin (fastify: FastifyInstance): Promise<void> {
  const ajv = new Ajv({ meta: false, validateSchema: false, coerceTypes: 'array', strict: false })
  fastify.setValidatorCompiler(({ schema }) => ajv.compile(schema as object))
  // Our bodies are bytes already: the response schemas describe them, and there is nothing to compile.
  fastify.setSerializerCompiler(() => JSON.stringify)
}

export default fp(validationPlugin, { name: 'oci-validation', fastify: '5.x' })
