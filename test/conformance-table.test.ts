import { readFile } from 'node:fs/promises'
import t from 'tap'

const root = new URL('../../', import.meta.url)

t.test('every requirement has a test or a reason, and docs/conformance.md says which (npm run conformance:table writes it)', async t => {
  const script = await import(new URL('scripts/conformance-table.mjs', root).href) as { conformanceTable: () => string }
  t.equal(await readFile(new URL('docs/conformance.md', root), 'utf8'), script.conformanceTable())
})
