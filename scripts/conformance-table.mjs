// Writes docs/conformance.md, the table of requirements and their tests: `npm run conformance:table`.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'
import { LEVEL, NOTES, WITHOUT_TEST } from './requirements.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const HEAD = `# Conformance

Every requirement by its number, with the tests that hold it: titles are those of the tests. Deviations and decisions say why.

- MUST, SHOULD, MAY: the OCI distribution spec 1.1 and its main branch. CONF: the spec's conformance program (\`npm run conformance\` runs it: profiles \`1.1\` and \`dev\`, nothing failed, nothing skipped).
- PAR: what docker's own registry does. CLIENT: what real clients need. HTTP: RFC 9110 and 9112. SUITE: the older conformance suite. OWN: our decision.

Written by \`npm run conformance:table\`.

| row | level | test | note |
| --- | --- | --- | --- |
`

/** The whole document. Throws when a row has neither a test nor a reason to have none. */
export function conformanceTable () {
  const tests = testsByRow()
  const rows = [...LEVEL].sort(([a], [b]) => a - b).map(([row, level]) => {
    const found = tests.get(row) ?? []
    if (found.length === 0 && !WITHOUT_TEST.has(row)) throw new Error(`R-${pad(row)} has no test`)
    return `| R-${pad(row)} | ${level} | ${found.join('<br>')} | ${NOTES[row] ?? ''} |\n`
  })
  return HEAD + rows.join('')
}

/** Every text in the tests that names a row: titles, and entries of tables from which titles are made. */
function testsByRow () {
  const tests = new Map()
  for (const file of testFiles(join(root, 'test'))) {
    const name = relative(join(root, 'test'), file)
    const visit = node => {
      const text = ts.isStringLiteralLike(node) ? node.text : ts.isTemplateExpression(node) ? node.getText().slice(1, -1) : ''
      for (const row of rowsIn(text)) {
        const title = text.replace(/ *\(?R-\d{3}[^()]*\)?/g, '').replace(/\$\{([^}]*)\}/g, '…').replace(/^[:,. ]+/, '').replaceAll('|', '\\|').replace(/\s+/g, ' ').trim()
        tests.set(row, [...tests.get(row) ?? [], `${title === '' ? 'table' : title} (${name})`])
      }
      ts.forEachChild(node, visit)
    }
    visit(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true))
  }
  return new Map([...tests].map(([row, titles]) => [row, [...new Set(titles)].sort()]))
}

/** Row numbers in a text, ranges such as `R-095 … R-098` included. */
function rowsIn (text) {
  return [...text.matchAll(/R-(\d{3})(?:\s*(?:…|\.\.)\s*R-(\d{3}))?/g)].flatMap(([, first, last = first]) =>
    Array.from({ length: last - first + 1 }, (_, i) => Number(first) + i))
}

function testFiles (directory) {
  return readdirSync(directory, { withFileTypes: true }).sort((a, b) => a.name < b.name ? -1 : 1).flatMap(entry => {
    const path = join(directory, entry.name)
    return entry.isDirectory() ? testFiles(path) : entry.name.endsWith('.ts') ? [path] : []
  })
}

function pad (row) {
  return String(row).padStart(3, '0')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) writeFileSync(join(root, 'docs', 'conformance.md'), conformanceTable())
