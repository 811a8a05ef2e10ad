import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const MODULE = new URL('../../services/heap-growth.js', import.meta.url).href

/** How often V8 looks at the whole heap, of 20 MB, while 500 MB pass through in chunks. */
const PROGRAM = `
import { PerformanceObserver, constants } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { letHeapGrow } from '${MODULE}'
setFlagsFromString('--heap-growing-percent=1') // what V8 chooses by itself depends on the machine
if (process.argv[1] === 'grow') letHeapGrow()
let count = 0
const observer = new PerformanceObserver(list => { count += list.getEntries().filter(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR).length })
observer.observe({ entryTypes: ['gc'] })
globalThis.kept = Array.from({ length: 200_000 }, (_, i) => ({ i, text: 'x'.repeat(8) + i }))
for (let i = 0; i < 8000; i++) {
  Buffer.from(new ArrayBuffer(65536))
  if (i % 8 === 0) await setImmediate()
}
await setImmediate()
console.log(count)
`

async function collections (...args: string[]): Promise<number> {
  const { stdout } = await run(process.execPath, [...args.filter(arg => arg.startsWith('--')), '--input-type=module', '--eval', PROGRAM, ...args.filter(arg => !arg.startsWith('--'))])
  return Number(stdout)
}

t.test('bodies that pass through have the whole heap collected less often', async t => {
  const [kept, grown, told] = [await collections('leave'), await collections('grow'), await collections('grow', '--heap-growing-percent=1')]
  // V8 of Node 24 takes the flag and does not look at it any more.
  const wanted = Number(process.versions.node.split('.')[0]) < 24 ? (many: number) => many / 2 : (many: number) => many * 2
  t.ok(grown < wanted(kept), `${grown} times instead of ${kept}`)
  t.ok(grown < wanted(told), `${told} times where whoever starts the process says so`)
})
