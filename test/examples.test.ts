import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { image } from './helpers/images.js'
import type { Blob } from './helpers/images.js'
import { serveProduct } from './helpers/product.js'

const ROOT = dirname(fileURLToPath(new URL('../', import.meta.url)))
const example = (path: string): string => join(ROOT, 'examples', path)

t.test('examples/gateway: everybody pulls, users push below their own name, a release stays', async t => {
  const child = spawn(process.execPath, [example('gateway/server.js')], {
    cwd: ROOT,
    env: { ...process.env, PORT: '0', DATA: t.testdir() },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => { child.kill('SIGKILL') })
  let log = ''
  const url = await new Promise<string>((resolve, reject) => {
    child.once('close', () => { reject(new Error(log)) })
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      log += text
      const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec(log) ?? []
      if (found !== undefined) resolve(found)
    })
  })
  const as = (user: string, password: string): Record<string, string> => ({ authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`, connection: 'close' })
  const request = async (method: string, path: string, headers: Record<string, string>, content?: Blob): Promise<number> => {
    const init = content === undefined ? {} : { body: content.bytes }
    const { status } = await fetch(`${url}${path}`, { method, headers: { ...headers, ...(content === undefined ? {} : { 'content-type': content.mediaType }) }, ...init })
    return status
  }
  const alice = as('alice', 'wonderland')
  t.same(await (await fetch(`${url}/whoami`, { headers: alice })).json(), { user: 'alice' })

  const [first, second] = [image('first'), image('second')]
  for (const content of [...first.blobs, ...second.blobs]) {
    t.equal(await request('POST', `/containers/v2/alice/app/blobs/uploads/?digest=${content.digest}`, alice, content), 201)
  }
  const release = '/containers/v2/alice/app/manifests/1.0.0'
  t.equal(await request('PUT', release, alice, first), 201)
  t.equal(await request('PUT', release, alice, second), 403)
  t.equal(await request('PUT', release, {}, first), 401)
  t.equal(await request('PUT', release, as('bob', 'builder'), first), 403)
  t.equal(await request('GET', release, {}), 200)
  t.match(log, /"repository":"alice\/app","tag":"1\.0\.0","actor":"alice","msg":"pushed"/)

  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
})

t.test('examples/standalone: the configuration serves', async t => {
  const directory = t.testdir()
  const config = await readFile(example('standalone/config.yml'), 'utf8')
  await writeFile(join(directory, 'config.yml'), config)
  const registry = await serveProduct(t, ['config.yml', '--set', 'http.addr=127.0.0.1:0'], directory)
  t.equal((await fetch(`${registry.url}/v2/`)).status, 200)
  t.equal(await registry.stop(), 0)
})

t.test('examples/testing: its tests pass', async t => {
  // A test runner that finds itself in another one reports to that one.
  const { NODE_TEST_CONTEXT: _context, ...env } = process.env
  const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap', example('testing/pull.test.js')], { cwd: ROOT, env, encoding: 'utf8' })
  t.equal(status, 0, stdout)
  t.match(stdout, /^# pass 8$/m)
})
