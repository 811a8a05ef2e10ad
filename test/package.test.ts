import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, symlinkSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Test } from 'tap'

const DIST = fileURLToPath(new URL('../', import.meta.url))
const ROOT = dirname(DIST)

/** What a program prints that runs where the package can be imported by its name; it has to end by itself. */
function run (t: Test, program: string, ...options: string[]): string {
  // Without what tap puts into every process: it has listeners of its own.
  const { status, stdout, stderr } = spawnSync('env', ['-u', 'NODE_OPTIONS', process.execPath, '--no-warnings', ...options, '-e', program], { cwd: ROOT, encoding: 'utf8', timeout: 60_000 })
  t.equal(status, 0, stderr)
  return stdout.trim()
}

/** The packages that are loaded with a module of ours, whatever happens then; builtins and what is imported later are not among them. */
function packagesOf (entry: string, seen = new Set<string>(), packages = new Set<string>()): Set<string> {
  if (seen.has(entry)) return packages
  seen.add(entry)
  for (const [, name = ''] of readFileSync(entry, 'utf8').matchAll(/^(?:import|export) (?:.* from )?'([^']+)'/gm)) {
    if (name.startsWith('.')) packagesOf(resolve(dirname(entry), name), seen, packages)
    else if (!name.startsWith('node:')) packages.add(name)
  }
  return packages
}

/** Every module that a module of ours loads, by its path below `dist`. */
function loadedBy (entry: string, seen = new Set<string>()): Set<string> {
  const name = relative(DIST, entry)
  if (seen.has(name)) return seen
  seen.add(name)
  for (const [, path] of readFileSync(entry, 'utf8').matchAll(/(?:from|import) ?\(?'(\.[^']+)'/g)) loadedBy(resolve(dirname(entry), String(path)), seen)
  return seen
}

for (const name of ['fastify-oci-registry', 'fastify-oci-registry/testing']) {
  t.test(`importing ${name} starts nothing`, async t => {
    const look = 'const look = () => [process.getActiveResourcesInfo().filter(name => !/TTY|Pipe|FSReq|CloseReq/.test(name)), process.listenerCount("SIGTERM"), process.listenerCount("uncaughtException")]'
    const [before, after] = JSON.parse(run(t, `${look}; const before = look(); import('${name}').then(() => { setImmediate(() => { console.log(JSON.stringify([before, look()])) }) })`, '--input-type=module')) as [unknown, unknown]
    t.same(after, before)
  })

  t.test(`${name} is the same by import and by require`, async t => {
    const program = `const required = require('${name}'); import('${name}').then(imported => { console.log(Object.keys(imported).every(key => key in required && required[key] === imported[key]), Object.keys(imported).length > 3) })`
    t.equal(run(t, program), 'true true')
  })
}

t.test('a server without a test loads nothing of the test registry', async t => {
  for (const entry of ['index.js', 'cli.js']) {
    const loaded = loadedBy(join(DIST, entry))
    t.ok(loaded.has('registry.js') && loaded.size > 100)
    t.same([...loaded].filter(name => /testing|test\//.test(name)), [])
  }
  t.ok(loadedBy(join(DIST, 'testing.js')).has('plugins/testing.js'))
})

t.test('a server loads no package before something that is configured needs it', async t => {
  t.same([...packagesOf(join(DIST, 'cli.js'))], [])
  t.same([...packagesOf(join(DIST, 'serve.js'))].sort(), ['fastify', 'fastify-plugin', 'lru-cache', 'picomatch', 'pino', 'uuid', 'yaml'])
  t.same([...packagesOf(join(DIST, 'index.js'))].sort(), ['fastify-plugin', 'lru-cache', 'picomatch', 'uuid'])
})

t.test('a registry that was started in a test and closed keeps no process alive', async t => {
  t.equal(run(t, "const { startRegistry } = await import('fastify-oci-registry/testing'); const registry = await startRegistry(); const { status } = await fetch(registry.url + '/v2/'); await registry.close(); console.log(status)", '--input-type=module'), '200')
})

t.test('the package has what runs, its types and maps, and no tests', async t => {
  const { stdout } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: ROOT, encoding: 'utf8' })
  const listed = JSON.parse(stdout) as unknown
  const [{ files }] = (Array.isArray(listed) ? listed : Object.values(listed as object)) as [{ files: Array<{ path: string, mode: number }> }]
  const paths = files.map(({ path }) => path)
  const others = paths.filter(path => !path.startsWith('dist/'))
  t.same(others.sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'config.example.yml', 'package.json'])
  t.same(paths.filter(path => /^dist\/(test|bench)\/|\.tsbuildinfo$/.test(path)), [])
  for (const path of paths.filter(path => path.endsWith('.js'))) {
    for (const beside of [`${path}.map`, path.replace(/js$/, 'd.ts')]) if (!paths.includes(beside)) t.fail(`${beside} is missing`)
  }
})

t.test('the command runs by itself and by a link, under both of its names', async t => {
  const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { bin: Record<string, string> }
  const directory = t.testdir()
  t.same(Object.keys(bin), ['oci-registry', 'fastify-oci-registry'])
  for (const [name, path] of Object.entries(bin)) {
    symlinkSync(join(ROOT, path), join(directory, name))
    const { status, stdout } = spawnSync(join(directory, name), ['--version'], { encoding: 'utf8' })
    t.equal(status, 0)
    t.match(stdout, /^oci-registry \d/)
  }
  t.equal(readdirSync(directory).length, 2)
})
