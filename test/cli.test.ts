import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { hangingUpload } from './helpers/hanging-upload.js'
import type { RegistryConfigInput } from '../schemas/config/index.js'
import { image, sha256 } from './helpers/images.js'
import type { Manifest } from './helpers/images.js'
import { runCli, serveProduct, startProduct } from './helpers/product.js'
import type { Product } from './helpers/product.js'
import { RawConnection } from './helpers/raw-http.js'

// dist/test/cli.test.js: the package is two directories up.
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }

/** Storage of a server that does nothing by the clock. */
function withoutPurge (directory: string): NonNullable<RegistryConfigInput['storage']> {
  return { filesystem: { rootdirectory: join(directory, 'data') }, maintenance: { uploadpurging: { enabled: false } } }
}

/** Runs a command line that must be refused, and returns the one line it says. */
async function refusal (t: Test, args: readonly string[], cwd: string): Promise<string> {
  const { status, stdout, stderr } = await runCli(t, args, cwd)
  t.equal(status, 1, 'exit status')
  t.equal(stdout, '', 'standard output')
  t.match(stderr, /^oci-registry: [^\n]+\n$/, 'one line on standard error')
  return stderr.trimEnd()
}

async function push (t: Test, { url }: Product, manifest: Manifest, tag: string): Promise<void> {
  for (const { bytes, digest } of manifest.blobs) {
    const answer = await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${digest}`, {
      method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: bytes
    })
    t.equal(answer.status, 201, await answer.text())
  }
  const answer = await fetch(`${url}/v2/team/app/manifests/${tag}`, {
    method: 'PUT', headers: { 'content-type': manifest.mediaType }, body: manifest.bytes
  })
  t.equal(answer.status, 201, await answer.text())
}

/** Resolves when the port is closed: a moment after the signal. */
async function refusesConnections (host: string): Promise<void> {
  for (;;) {
    const code = await RawConnection.open(host).then(({ socket }) => { socket.destroy() }, (error: NodeJS.ErrnoException) => error.code)
    if (code === 'ECONNREFUSED') return
  }
}

t.test('--help, -h, help and no argument at all say how to use it', async t => {
  for (const args of [['--help'], ['-h'], ['help'], []]) {
    const { status, stdout, stderr } = await runCli(t, args, t.testdir())
    t.equal(status, 0)
    t.match(stdout, /^oci-registry: .+\n\nUsage:\n {2}oci-registry serve \[options\] \[CONFIG\.yml\]/)
    t.equal(stderr, '')
  }
})

t.test('--version and -v say name and version of the package', async t => {
  for (const flag of ['--version', '-v']) {
    t.same(await runCli(t, [flag], t.testdir()), { status: 0, stdout: `oci-registry ${version}\n`, stderr: '' })
  }
})

t.test('a command line that makes no sense is refused in one line', async t => {
  const cwd = t.testdir()
  t.equal(await refusal(t, ['sevre'], cwd), 'oci-registry: unknown command: sevre (see oci-registry --help)')
  t.match(await refusal(t, ['serve', '--port', '80'], cwd), /^oci-registry: Unknown option '--port'.* \(see oci-registry --help\)$/)
  t.match(await refusal(t, ['--version=2'], cwd), /^oci-registry: .*--version.* \(see oci-registry --help\)$/)
  t.equal(await refusal(t, ['serve', 'a.yml', 'b.yml'], cwd), 'oci-registry: too many arguments: b.yml (see oci-registry --help)')
})

t.test('serve without a file listens on 127.0.0.1:5000, keeps its data in ./data and allows deletes', async t => {
  const directory = t.testdir()
  const taken = createServer()
  t.teardown(() => { taken.close() })
  const isFree = await new Promise<boolean>(resolve => {
    taken.once('error', () => { resolve(false) }).listen({ host: '127.0.0.1', port: 5000 }, () => { taken.close(() => { resolve(true) }) })
  })
  if (!isFree) {
    t.comment('port 5000 is taken on this machine: only the refusal is tested')
    t.equal(await refusal(t, ['serve'], directory), 'oci-registry: http.addr: cannot listen on 127.0.0.1:5000: the port is in use')
    return
  }
  const product = await serveProduct(t, [], directory)
  t.equal(product.url, 'http://127.0.0.1:5000')
  t.equal(product.data, join(directory, 'data'))
  const manifest = image('default')
  await push(t, product, manifest, '1.0')
  t.same(await readdir(join(directory, 'data/docker/registry/v2')), ['blobs', 'repositories'])
  const deleted = await fetch(`${product.url}/v2/team/app/manifests/${manifest.digest}`, { method: 'DELETE' })
  t.equal(deleted.status, 202)
  t.equal(await product.stop(), 0)
})

t.test('serve says in one friendly line where it listens and where the data is, and nothing else but when uploads are purged', async t => {
  const directory = t.testdir()
  const purging = await startProduct(t, directory)
  await purging.stop()
  t.match(purging.log.split('\n')[0], /^time="[^"]+" level=info msg="Starting upload purge in \d+(m0)?s" /)
  const product = await startProduct(t, directory, { storage: withoutPurge(directory) })
  const answer = await fetch(`${product.url}/`)
  t.equal(answer.status, 200)
  await product.logged(/response completed/)
  const [line = '', ...others] = product.log.trimEnd().split('\n')
  t.match(line, /^time="\d{4}-\d\d-\d\dT[\d:.]+Z" level=info msg="oci-registry listens on http:\/\/127\.0\.0\.1:\d+, data in .+" /)
  t.ok(line.includes(`, data in ${join(directory, 'data')}" `), line)
  t.equal(others.length, 1, 'one more line, for the request')
})

t.test('a registry in memory says so', async t => {
  const product = await startProduct(t, t.testdir(), { storage: { inmemory: {} } })
  t.equal(product.data, 'memory')
})

t.test('log.formatter json makes every line JSON', async t => {
  const directory = t.testdir()
  const product = await startProduct(t, directory, { log: { formatter: 'json' }, storage: withoutPurge(directory) })
  t.equal(await product.stop(), 0)
  const messages = product.log.trimEnd().split('\n').map(line => (JSON.parse(line) as { msg: string }).msg)
  t.same(messages, [`oci-registry listens on ${product.url}, data in ${product.data}`, 'SIGTERM: stopping', 'stopped'])
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} stops it with exit status 0`, async t => {
    const product = await startProduct(t, t.testdir())
    t.equal((await fetch(`${product.url}/v2/`)).status, 200)
    t.equal(await product.stop(signal), 0)
    t.match(product.log, new RegExp(`msg="${signal}: stopping" .*\n.*msg=stopped .*\n$`))
    await t.rejects(fetch(`${product.url}/v2/`), { cause: { code: 'ECONNREFUSED' } })
  })
}

t.test('a signal that comes as soon as it says that it listens stops it cleanly', async t => {
  const product = await startProduct(t, t.testdir())
  t.equal(await product.stop(), 0)
})

t.test('started again it still has what was pushed', async t => {
  const directory = t.testdir()
  const manifest = image('kept')
  const first = await startProduct(t, directory)
  await push(t, first, manifest, '1.0')
  t.equal(await first.stop(), 0)

  const { url } = await startProduct(t, directory)
  const pulled = await fetch(`${url}/v2/team/app/manifests/1.0`, { headers: { accept: manifest.mediaType } })
  t.equal(pulled.status, 200)
  t.equal(pulled.headers.get('docker-content-digest'), manifest.digest)
  t.equal(pulled.headers.get('content-type'), manifest.mediaType)
  t.same(Buffer.from(await pulled.arrayBuffer()), manifest.bytes)
  for (const { bytes, digest } of manifest.blobs) {
    const blob = await fetch(`${url}/v2/team/app/blobs/${digest}`)
    t.equal(blob.status, 200)
    t.same(Buffer.from(await blob.arrayBuffer()), bytes)
  }
})

t.test('what an upload had received when it was stopped can be resumed when it runs again', async t => {
  const directory = t.testdir()
  const bytes = randomBytes(1024 * 1024)
  const received = 300_000
  const first = await startProduct(t, directory)
  const { path } = await hangingUpload(t, first, bytes, received)
  t.equal(await first.stop(), 0)

  const { url } = await startProduct(t, directory)
  const progress = await fetch(`${url}${path}`)
  t.equal(progress.status, 204)
  t.equal(progress.headers.get('range'), `0-${received - 1}`)
  const digest = sha256(bytes)
  const finished = await fetch(`${progress.headers.get('location') ?? ''}?digest=${digest}`, {
    method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: bytes.subarray(received)
  })
  t.equal(finished.status, 201, await finished.text())
  t.equal(finished.headers.get('docker-content-digest'), digest)
  const pulled = await fetch(`${url}/v2/team/app/blobs/${digest}`)
  t.ok(Buffer.from(await pulled.arrayBuffer()).equals(bytes))
})

t.test('http.draintimeout lets requests finish, refuses new connections meanwhile, and then it ends', { timeout: 10_000 }, async t => {
  const product = await startProduct(t, t.testdir(), { http: { draintimeout: '1h' } })
  const bytes = randomBytes(100_000)
  const { connection } = await hangingUpload(t, product, bytes, 40_000)
  product.signal('SIGTERM')
  await product.logged(/SIGTERM: stopping/)
  await refusesConnections(product.host)
  connection.send(bytes.subarray(40_000))
  const answer = await connection.answer()
  t.equal(answer.status, 202)
  t.equal(answer.headers.get('range'), '0-99999')
  t.equal((await product.ended).status, 0)
})

t.test('a second signal ends it at once while it waits for requests', async t => {
  const product = await startProduct(t, t.testdir(), { http: { draintimeout: '1h' } })
  await hangingUpload(t, product, randomBytes(100_000), 40_000)
  product.signal('SIGINT')
  await product.logged(/SIGINT: stopping/)
  t.equal(await product.stop('SIGINT'), 1)
  t.notMatch(product.log, /msg=stopped /)
})

t.test('a port in use is one line that names the key and the address', async t => {
  const taken = createServer()
  t.teardown(() => { taken.close() })
  await once(taken.listen({ host: '127.0.0.1', port: 0 }), 'listening')
  const { port } = taken.address() as AddressInfo
  const cwd = t.testdir({ 'c.yml': `version: 0.1\nstorage: { inmemory: {}, maintenance: { uploadpurging: { enabled: false } } }\nhttp: { addr: "127.0.0.1:${port}" }\n` })
  t.equal(await refusal(t, ['serve', 'c.yml'], cwd), `oci-registry: http.addr: cannot listen on 127.0.0.1:${port}: the port is in use`)
})

t.test('a data directory that cannot be made is one line that names the key and the directory', async t => {
  const cwd = t.testdir({ file: '', 'c.yml': 'version: 0.1\nstorage: { filesystem: { rootdirectory: ./file/data } }\nhttp: { addr: "127.0.0.1:0" }\n' })
  const line = await refusal(t, ['serve', 'c.yml'], cwd)
  t.equal(line, `oci-registry: storage.filesystem.rootdirectory: cannot write to ${join(cwd, 'file/data')} (ENOTDIR)`)
})

t.test('a data directory where nothing can be made is one line, too', async t => {
  const cwd = t.testdir()
  const line = await refusal(t, ['serve', '--set', 'storage.filesystem.rootdirectory=/proc/nothing/here'], cwd)
  t.equal(line, 'oci-registry: storage.filesystem.rootdirectory: cannot write to /proc/nothing/here (ENOENT)')
})

t.test('a configuration file that cannot be read is one line that names the file', async t => {
  const cwd = t.testdir({ directory: {} })
  t.equal(await refusal(t, ['serve', 'missing.yml'], cwd), 'oci-registry: cannot read missing.yml (ENOENT)')
  t.equal(await refusal(t, ['serve', 'directory'], cwd), 'oci-registry: cannot read directory (EISDIR)')
})

t.test('a YAML error is one line that names file and line', async t => {
  const cwd = t.testdir({ 'c.yml': 'version: 0.1\nstorage: [\n', 'list.yml': '- 1\n' })
  t.match(await refusal(t, ['serve', 'c.yml'], cwd), /^oci-registry: c\.yml:\d+: ./)
  t.match(await refusal(t, ['serve', 'list.yml'], cwd), /^oci-registry: list\.yml: a map of keys is needed/)
})

t.test('a wrong key or value is one line that names the key', async t => {
  const refused = async (yaml: string): Promise<string> => await refusal(t, ['serve', 'c.yml'], t.testdir({ 'c.yml': yaml }))
  t.match(await refused('storage: inmemory\n'), /^oci-registry: c\.yml: version is missing/)
  t.match(await refused('version: 0.1\nhttp: { addr: "127.0.0.1:0" }\n'), /^oci-registry: storage: exactly one driver is needed/)
  t.match(await refused('version: 0.1\nstorage: inmemory\nhttp: { addr: nowhere }\n'), /^oci-registry: http\.addr: .*nowhere$/)
  t.match(await refused('version: 0.1\nstorage: inmemory\nhttp: { draintimeout: soon }\n'), /^oci-registry: http\.draintimeout: .*"soon"$/)
})

t.test('everything that is wrong is said, one line each, without a stack', async t => {
  const cwd = t.testdir({ 'c.yml': 'version: 0.1\nstorage: { filesytem: { rootdirectory: x } }\nhttp: { secret: [a] }\nlog: { level: loud }\n' })
  const { status, stderr, stdout } = await runCli(t, ['serve', 'c.yml'], cwd)
  t.equal(status, 1)
  t.equal(stdout, '')
  t.same(stderr.split('\n'), [
    'oci-registry: http.secret: a text is needed, not a list (c.yml:3)',
    'oci-registry: log.level: one of error, warn, info, debug is needed, not "loud"',
    'oci-registry: storage: exactly one driver is needed, none is given: filesystem or inmemory',
    'oci-registry: storage.filesytem: there is no such key; did you mean storage.filesystem? (c.yml:2)',
    ''
  ])
})

t.test('check prints the configuration with origins and warns; --strict makes a key that does not exist an error', async t => {
  const cwd = t.testdir({ 'c.yml': 'version: 0.1\nstorage: inmemory\nhttp: { adr: x, secret: hush }\n' })
  const checked = await runCli(t, ['check', '--set', 'http.addr=:1', 'c.yml'], cwd)
  t.equal(checked.status, 0)
  t.equal(checked.stderr, 'oci-registry: warning: http.adr: there is no such key; did you mean http.addr? (c.yml:3)\n')
  t.match(checked.stdout, /^ {2}addr: ":1" {2}# --set http\.addr$/m)
  t.match(checked.stdout, /^ {2}secret: "\*\*\*" {2}# c\.yml:3$/m)
  const strict = await runCli(t, ['check', '--strict', 'c.yml'], cwd)
  t.equal(strict.status, 1)
  t.equal(strict.stderr, 'oci-registry: http.adr: there is no such key; did you mean http.addr? (c.yml:3)\n')
})
