import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import t from 'tap'

t.test('a host in TypeScript compiles against the package, its own decorators beside ours', async t => {
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  const project = fileURLToPath(new URL('../../test/types/tsconfig.json', import.meta.url))
  const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', project], { encoding: 'utf8' })
  t.equal(status, 0, stdout)
})
