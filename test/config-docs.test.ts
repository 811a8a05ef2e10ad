import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { loadConfig } from '../services/config/load.js'
import { parseConfig } from '../services/config/parse.js'
import { configurationReference, exampleConfig } from './helpers/config-docs.js'

const root = new URL('../../', import.meta.url)
const EXAMPLE = fileURLToPath(new URL('config.example.yml', root))

t.test('config.example.yml and docs/configuration.md are those of the schema (npm run configuration writes them)', async t => {
  t.equal(await readFile(EXAMPLE, 'utf8'), exampleConfig())
  t.equal(await readFile(new URL('docs/configuration.md', root), 'utf8'), configurationReference())
})

t.test('the example has every default, and nothing else', async t => {
  const { config, warnings } = await loadConfig({ file: EXAMPLE, environment: {}, strict: true })
  t.same(config, parseConfig({ version: '0.1', storage: { filesystem: {} } }))
  t.same(warnings, [])
})
