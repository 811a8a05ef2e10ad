// How long a test waits for its registry: from the import of `fastify-oci-registry/testing` to ready, each time in a
// process of its own. Prints the median and the slowest; exit status 1 unless the median is below the limit.
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '11' }, limit: { type: 'string', default: '150' } } })
const [rounds, limit] = [Number(values.rounds), Number(values.limit)]
if (!(Number.isInteger(rounds) && rounds > 0) || !(limit > 0)) throw new Error('--rounds and --limit must be more than 0')

const testing = new URL('../dist/testing.js', import.meta.url).href
const PROGRAM = `
const start = performance.now()
const { startRegistry } = await import(${JSON.stringify(testing)})
const imported = performance.now()
const registry = await startRegistry()
const ready = performance.now()
await registry.close()
console.log(JSON.stringify({ import: imported - start, ready: ready - imported }))
`

const samples = Array.from({ length: rounds }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', PROGRAM], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
})
const ready = summary('ready')
for (const [name, { median, slowest }] of Object.entries({ import: summary('import'), 'ready after import': ready })) {
  process.stdout.write(`${name}: median ${median.toFixed(0)} ms, slowest ${slowest.toFixed(0)} ms of ${rounds}\n`)
}
if (ready.median >= limit) process.exitCode = 1

function summary (name) {
  const sorted = samples.map(sample => sample[name]).sort((a, b) => a - b)
  return { median: sorted[Math.floor(rounds / 2)], slowest: sorted[rounds - 1] }
}
