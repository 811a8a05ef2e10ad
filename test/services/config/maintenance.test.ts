import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryConfig } from '../../../schemas/config/index.js'
import { loadConfig } from '../../../services/config/load.js'
import { parseConfig } from '../../../services/config/parse.js'
import type { ConfigError } from '../../../services/errors/config-error.js'

const PURGING = 'storage.maintenance.uploadpurging'
const BAD = `${PURGING}: Unable to parse upload purge configuration:`

async function load (t: Test, maintenance: string, environment: NodeJS.ProcessEnv = {}): Promise<RegistryConfig> {
  const directory = await mkdtemp(join(tmpdir(), 'oci-registry-test-'))
  t.teardown(async () => { await rm(directory, { recursive: true }) })
  const file = join(directory, 'config.yml')
  await writeFile(file, `version: 0.1\nstorage:\n  inmemory:\n${maintenance}`)
  return (await loadConfig({ file, environment })).config
}

async function refused (t: Test, maintenance: string, environment?: NodeJS.ProcessEnv): Promise<string[]> {
  try {
    await load(t, maintenance, environment)
  } catch (error) {
    return (error as ConfigError).lines.map(line => line.replace(/ \([^()]*\)$/, ''))
  }
  return []
}

const purging = (text: string): string => `  maintenance: {uploadpurging: ${text}}\n`

t.test('without a map of upload purging its defaults count', async t => {
  for (const text of ['', '  maintenance:\n', '  maintenance: {readonly: {enabled: false}}\n']) {
    const { storage } = await load(t, text)
    t.same(storage.maintenance.uploadpurging, { enabled: true, age: '168h', interval: '24h', dryrun: false })
  }
})

t.test('a complete map, or one that switches it off, is fine', async t => {
  const { storage: complete } = await load(t, purging('{age: 1h30m, interval: 5m, dryrun: yes}'))
  t.same(complete.maintenance.uploadpurging, { enabled: true, age: '1h30m', interval: '5m', dryrun: true })
  const { storage: off } = await load(t, purging('{enabled: false}'))
  t.equal(off.maintenance.uploadpurging.enabled, false)
  const { storage: zero } = await load(t, purging('{age: "0", interval: 1m, dryrun: no}').replace('"0"', '0s'))
  t.equal(zero.maintenance.uploadpurging.age, '0s')
})

t.test('what docker\'s registry refuses to start with is refused in its words, all of it at once', async t => {
  const cases: ReadonlyArray<readonly [string, readonly string[]]> = [
    ['', [`${PURGING}: uploadpurging config key must contain additional keys`]],
    ['true', [`${PURGING}: uploadpurging config key must contain additional keys`]],
    ['[]', [`${PURGING}: uploadpurging config key must contain additional keys`]],
    ['{}', [`${BAD} age missing`, `${BAD} interval missing`, `${BAD} dryrun missing`]],
    ['{enabled: true}', [`${BAD} age missing`, `${BAD} interval missing`, `${BAD} dryrun missing`]],
    ['{age: 168h}', [`${BAD} interval missing`, `${BAD} dryrun missing`]],
    ['{age: 168, interval: 24h, dryrun: false}', [`${BAD} age is not a string`]],
    ['{age: 7d, interval: 24h, dryrun: false}', [`${BAD} Cannot parse duration: time: unknown unit "d" in duration "7d"`]],
    ['{age: 1h30, interval: 24h, dryrun: false}', [`${BAD} Cannot parse duration: time: missing unit in duration "1h30"`]],
    ['{age: a week, interval: 24h, dryrun: false}', [`${BAD} Cannot parse duration: time: invalid duration "a week"`]],
    ['{age: 168h, interval: [], dryrun: false}', [`${BAD} interval is not a string`]],
    ['{age: 168h, interval: daily, dryrun: false}', [`${BAD} Cannot parse interval: time: invalid duration "daily"`]],
    ['{age: 168h, interval: 24h, dryrun: maybe}', [`${BAD} cannot parse dryrun`]],
    ['{age: 168h, interval: 24h, dryrun: 1}', [`${BAD} cannot parse dryrun`]],
    ['{age: -1h, interval: 24h, dryrun: false}', [`${BAD} age is less than 0`]],
    ['{age: 168h, interval: 0s, dryrun: false}', [`${BAD} interval is less than 1s`]]
  ]
  for (const [text, lines] of cases) t.same(await refused(t, purging(text)), lines, text)
})

t.test('the line says where it is, and other mistakes are reported beside it', async t => {
  const message = await load(t, purging('{enabled: maybe, age: 168h, interval: 24h}') + 'http: {addr: [1]}\n').then(() => '', (error: ConfigError) => error.message)
  t.match(message, /^http\.addr: a text is needed.*\n.*dryrun missing \(.*config\.yml:4\)$/)
})

t.test('the environment counts too: whoever sets one key of the map must set all', async t => {
  const variables = { REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE: '24h' }
  t.same(await refused(t, '', variables), [`${BAD} interval missing`, `${BAD} dryrun missing`])
  const { storage } = await load(t, '', { ...variables, REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_INTERVAL: '1h', REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_DRYRUN: 'true' })
  t.same(storage.maintenance.uploadpurging, { enabled: true, age: '24h', interval: '1h', dryrun: true })
  const { storage: off } = await load(t, '', { REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED: 'false' })
  t.equal(off.maintenance.uploadpurging.enabled, false)
})

t.test('an embedded registry may leave out what has a default, and hears the same of the rest', async t => {
  const parse = (uploadpurging: unknown): unknown => parseConfig({ storage: { inmemory: {}, maintenance: { uploadpurging } } }).storage.maintenance.uploadpurging
  t.same(parse({ age: '1h' }), { enabled: true, age: '1h', interval: '24h', dryrun: false })
  const problem = (uploadpurging: unknown): string => {
    try {
      parse(uploadpurging)
      return 'none'
    } catch (error) {
      return (error as ConfigError).message
    }
  }
  t.equal(problem({ age: 1 }), `${BAD} age is not a string`)
  t.equal(problem({ age: '168' }), `${BAD} Cannot parse duration: time: missing unit in duration "168"`)
  t.equal(problem(true), `${PURGING}: uploadpurging config key must contain additional keys`)
  t.match(problem({ agee: '1h' }), /uploadpurging\.agee: there is no such key/)
})

t.test('read-only mode: by the file, by a variable, by a variable with a map', async t => {
  const on = async (maintenance: string, environment?: NodeJS.ProcessEnv): Promise<boolean> => (await load(t, maintenance, environment)).storage.maintenance.readonly.enabled
  t.equal(await on('  maintenance: {readonly: {enabled: true}}\n'), true)
  t.equal(await on('', { REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: 'true' }), true)
  t.equal(await on('  maintenance: {readonly: {enabled: false}}\n', { REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: 'true' }), true)
  t.equal(await on('  maintenance:\n', { REGISTRY_STORAGE_MAINTENANCE_READONLY: '{enabled: true}' }), true)
  t.equal(await on('', { REGISTRY_STORAGE_MAINTENANCE: '{readonly: {enabled: true}}' }), true)
  t.equal(await on('  maintenance: {readonly: {}}\n'), false)
})

t.test('read-only mode that is not understood is refused as docker\'s registry does', async t => {
  const map = 'storage.maintenance.readonly: readonly config key must contain additional keys'
  t.same(await refused(t, '  maintenance: {readonly: true}\n'), [map])
  t.same(await refused(t, '  maintenance: {readonly: }\n'), [map])
  t.same(await refused(t, '  maintenance: {readonly: {enabled: 1}}\n'), ['storage.maintenance.readonly: readonly\'s enabled config key must have a boolean value'])
})
