import fc from 'fast-check'
import t from 'tap'
import { configSchema } from '../../../schemas/config/index.js'
import { fits } from '../../../services/config/fits.js'
import { compiled } from '../../../services/config/parse.js'
import type { SchemaNode } from '../../../services/config/schema-node.js'

const WORDS = ['', 'x', 'auto', '3', '1000', '1s', '1h30m', '-5m', '0', '50MB', '1GiB', 'https://a.example', '*', 'a/b', 'pull', '0.1', '\u{1F600}']
const NUMBERS = [-1, 0, 1, 2, 3, 100, 262144, 5 * 2 ** 20, 2 ** 53, 1e21, 1.5, NaN]
/** What has no place in most of a configuration. */
const STRANGE = fc.constantFrom<unknown>(null, undefined, true, 7, 'x', [], {}, ['x'], { x: 1 })

/** Values of which most are what the schema wants, and some nearly. */
function valuesOf (schema: SchemaNode): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 30, arbitrary: likely(schema) }, { weight: 1, arbitrary: STRANGE })
}

function likely ({ type, enum: words, properties = {}, additionalProperties, items, ...schema }: SchemaNode): fc.Arbitrary<unknown> {
  if (words !== undefined) return fc.constantFrom(...words)
  if (type === 'boolean') return fc.boolean()
  if (type === 'integer') return fc.constantFrom(...NUMBERS)
  if (type === 'array') return fc.array(valuesOf(items ?? {}), { maxLength: 2 })
  if (type !== 'object') return fc.constantFrom(...(schema.format === undefined ? WORDS : [...WORDS, '1s', '1MB', 'auto']))
  const { required = [] } = schema as { required?: string[] }
  const others = typeof additionalProperties === 'object' ? valuesOf(additionalProperties) : STRANGE
  const known = [...Object.keys(properties), ...additionalProperties === false ? [] : ['other']]
  const some = known.length === 0 ? fc.constant([]) : fc.uniqueArray(fc.constantFrom(...known), { maxLength: 3 })
  const mistake = fc.oneof({ weight: 40, arbitrary: fc.constant([] as string[]) }, { weight: 1, arbitrary: fc.constant(['strange']) })
  return fc.tuple(some, mistake).chain(([keys, strange]) => fc.record(Object.fromEntries([...required, ...keys, ...strange].map(key => {
    const own = properties[key]
    return [key, own === undefined ? others : valuesOf(own)]
  }))))
}

t.test('what fits is what Ajv finds valid, with the same defaults', async t => {
  const seen = { valid: 0, invalid: 0 }
  fc.assert(fc.property(valuesOf(configSchema), config => {
    const [ours, theirs] = [structuredClone(config), structuredClone(config)]
    const isValid = compiled()(theirs)
    seen[isValid ? 'valid' : 'invalid']++
    if (fits(ours, configSchema) !== isValid) return false
    if (isValid) t.strictSame(ours, theirs)
    return true
  }), { numRuns: 3000 })
  t.ok(seen.valid > 300 && seen.invalid > 300, JSON.stringify(seen))
})

t.test('what has been looked at in vain is to Ajv what it was before', async t => {
  fc.assert(fc.property(valuesOf(configSchema), config => {
    const [ours, theirs] = [structuredClone(config), structuredClone(config)]
    if (fits(ours, configSchema)) return
    compiled()(ours)
    const errors = JSON.stringify(compiled().errors?.map(({ keyword, instancePath, params, data }) => [keyword, instancePath, params, data]))
    compiled()(theirs)
    t.equal(errors, JSON.stringify(compiled().errors?.map(({ keyword, instancePath, params, data }) => [keyword, instancePath, params, data])))
  }), { numRuns: 500 })
})

t.test('defaults of two values are not shared', async t => {
  const schema = { type: 'object', properties: { list: { type: 'array', default: [] } } }
  const [one, other]: [{ list?: unknown }, { list?: unknown }] = [{}, {}]
  t.ok(fits(one, schema) && fits(other, schema))
  t.same(one.list, [])
  t.not(one.list, other.list)
})

t.test('what it does not know is for Ajv to judge', async t => {
  t.notOk(fits('a', { type: 'string', contentEncoding: 'base64' } as SchemaNode))
  t.notOk(fits('a', { type: 'string', format: 'of the future' }))
  t.notOk(fits('a', {}))
})
