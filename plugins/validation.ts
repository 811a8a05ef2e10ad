import type { Ajv, ValidateFunction } from 'ajv'
import type { FastifyInstance } from 'fastify'
import type { FastifySchemaValidationError } from 'fastify/types/schema.js'
import fp from 'fastify-plugin'
import { newAjv } from '../services/ajv.js'

/** As Ajv has it: false, and why. */
interface Validator {
  (data: unknown): boolean
  errors?: FastifySchemaValidationError[] | null
}

/** Compiled with the first request, once for all routes of a schema: at every start it would cost as much as all else. */
function compiledLater (ajv: () => Ajv, schema: object): Validator {
  let validate: ValidateFunction | undefined
  const validator: Validator = data => {
    validate ??= ajv().compile(schema)
    const isValid = validate(data)
    validator.errors = validate.errors as FastifySchemaValidationError[] | null
    return isValid
  }
  return validator
}

/** A query of which nothing is asked, as with `GET /v2/`: whatever a query is, it is an object. */
function takesAll (schema: object): boolean {
  return Object.entries(schema).every(([keyword, value]) => (keyword === 'type' && value === 'object') || (keyword === 'properties' && Object.keys(value as object).length === 0))
}

/**
 * Our routes are validated by our own rules, whatever validator the host has: a query parameter given once and one
 * given twice both become a list, and unknown parameters pass.
 */
async function validationPlugin (fastify: FastifyInstance): Promise<void> {
  let made: Ajv | undefined
  const ajv = (): Ajv => {
    made ??= newAjv({ meta: false, validateSchema: false, coerceTypes: 'array', strict: false })
    return made
  }
  const compiled = new WeakMap<object, Validator>()
  fastify.setValidatorCompiler(({ schema, httpPart }) => {
    if (httpPart === 'querystring' && takesAll(schema as object)) return () => true
    const known = compiled.get(schema as object)
    if (known !== undefined) return known
    const validator = compiledLater(ajv, schema as object)
    compiled.set(schema as object, validator)
    return validator
  })
  // Our bodies are bytes already: the response schemas describe them, and there is nothing to compile.
  fastify.setSerializerCompiler(() => JSON.stringify)
}

export default fp(validationPlugin, { name: 'oci-validation', fastify: '5.x' })
