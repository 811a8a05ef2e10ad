import { createRequire } from 'node:module'
import type * as AjvModule from 'ajv'

/** An Ajv, which is loaded with the first one: what never has a schema to compile does without it. */
export function newAjv (options: AjvModule.Options): AjvModule.Ajv {
  const { Ajv } = createRequire(import.meta.url)('ajv') as typeof AjvModule
  return new Ajv(options)
}
