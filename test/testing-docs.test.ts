import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Test } from 'tap'

const ROOT = dirname(fileURLToPath(new URL('../', import.meta.url)))
const PAGE = readFileSync(join(ROOT, 'docs/testing.md'), 'utf8')
/** Where vitest is installed, for who wants to run its example: `npm install --prefix DIRECTORY vitest`. It is too much to come with every checkout. */
const VITEST = process.env['VITEST_DIRECTORY']

/** What the examples test: clients of a registry, as small as they get. */
const CLIENTS = {
  'my-pull.js': `
export async function myPull (image) {
  const [, host, name, tag] = /^([^/]+)\\/(.+):(.+)$/.exec(image)
  for (;;) {
    const answer = await fetch(\`http://\${host}/v2/\${name}/manifests/\${tag}\`)
    if (answer.status !== 429) return await answer.json()
  }
}`,
  'my-push.js': `
import { image } from 'fastify-oci-registry/testing'
export async function myPush (target) {
  const [, host, name, tag] = /^([^/]+)\\/(.+):(.+)$/.exec(target)
  const pushed = image()
  const send = async (method, path, body, type) => {
    const { status } = await fetch(\`http://\${host}/v2/\${name}/\${path}\`, { method, body, headers: { 'content-type': type } })
    if (status !== 201) throw new Error(\`\${path}: \${status}\`)
  }
  for (const { digest, bytes } of pushed.blobs) await send('POST', \`blobs/uploads/?digest=\${digest}\`, bytes, 'application/octet-stream')
  await send('PUT', \`manifests/\${tag}\`, pushed.bytes, pushed.mediaType)
}`
}

/** The program that stands below a heading of the page. */
function example (heading: string): string {
  const [, after = ''] = PAGE.split(`\n## ${heading}\n`)
  const [, program] = /^[^#]*?```ts\n([\s\S]*?)\n```/.exec(after) ?? []
  if (program === undefined) throw new Error(`no program below ${heading}`)
  return program
}

/** Runs a command beside the example, in a project that has the package installed; returns what it printed. */
function run (t: Test, heading: string, command: readonly string[]): string {
  const file = 'example.test.js'
  const directory = t.testdir({ ...CLIENTS, [file]: example(heading), 'package.json': '{ "type": "module" }', node_modules: {} })
  symlinkSync(ROOT, join(directory, 'node_modules/fastify-oci-registry'))
  if (VITEST !== undefined) symlinkSync(join(VITEST, 'node_modules/vitest'), join(directory, 'node_modules/vitest'))
  // A test runner that finds itself in another one reports to that one.
  const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, TAP: _tap, TAP_CHILD_ID: _id, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, [...command, file], { cwd: directory, env: { ...env, NO_COLOR: '1' }, encoding: 'utf8', timeout: 60_000 })
  t.equal(status, 0, `${stdout}\n${stderr}`)
  return stdout
}

t.test('the example for node:test', async t => {
  t.match(run(t, 'With node:test', ['--test', '--test-reporter=tap']), /^# pass 1$[\s\S]*^# fail 0$/m)
})

t.test('the example for tap', async t => {
  t.match(run(t, 'With tap', []), /^ok 1 - pushes[\s\S]*^# \{ total: 1, pass: 1 \}$/m)
})

t.test('the example for vitest', { skip: VITEST === undefined && 'vitest is not installed: VITEST_DIRECTORY names no directory' }, async t => {
  const command = join(VITEST ?? '', 'node_modules/vitest/vitest.mjs')
  t.ok(existsSync(command))
  t.match(run(t, 'With vitest', [command, 'run']), /Tests {2}1 passed/)
})
