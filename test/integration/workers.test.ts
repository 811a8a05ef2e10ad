import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { needs, skopeo } from '../helpers/clients.js'
import { hangingUpload } from '../helpers/hanging-upload.js'
import { image, sha256 } from '../helpers/images.js'
import { writeOciLayout } from '../helpers/oci-layout.js'
import { CliProcess, runCli, startProduct } from '../helpers/product.js'
import type { Product } from '../helpers/product.js'
import { RawConnection, rawRequest } from '../helpers/raw-http.js'
import type { RawAnswer } from '../helpers/raw-http.js'

const OCTETS = { 'content-type': 'application/octet-stream' }

async function startWorkers (t: Test, workers: number, http: object = {}): Promise<Product> {
  return await startProduct(t, t.testdir(), { http: { workers: String(workers), ...http } })
}

/** Which workers answered requests, in the order in which they did, by the log. */
function answeredBy (product: Product): number[] {
  return [...product.log.matchAll(/msg="response completed.* worker=(\d+)/g)].map(([, worker]) => Number(worker))
}

/** A request on a connection of its own, which goes to the next worker. */
async function send (product: Product, method: string, path: string, body = '', headers: Record<string, string> = {}): Promise<RawAnswer> {
  return await rawRequest(product.host, method, path, { 'content-length': String(body.length), ...headers }, body)
}

function pathOf (answer: RawAnswer): string {
  return new URL(answer.headers.get('location') ?? '').pathname
}

async function startUpload (product: Product): Promise<string> {
  return pathOf(await send(product, 'POST', '/v2/team/app/blobs/uploads/'))
}

/** Ids of the running worker processes, as the primary process's children. */
async function workerPids (product: Product): Promise<number[]> {
  const children = await readFile(`/proc/${product.pid}/task/${product.pid}/children`, 'utf8')
  return children.split(' ').filter(pid => pid !== '').map(Number)
}

t.test('every request of an upload may reach another process (R-119)', async t => {
  const product = await startWorkers(t, 3)
  const chunks = ['first ', 'second ', 'third ', 'fourth']
  let path = await startUpload(product)
  let offset = 0
  for (const chunk of chunks) {
    const answer = await send(product, 'PATCH', path, chunk, { ...OCTETS, 'content-range': `${offset}-${offset + chunk.length - 1}` })
    t.equal(answer.status, 202, answer.body)
    offset += chunk.length
    path = pathOf(answer)
    const status = await send(product, 'GET', path)
    t.equal(status.headers.get('range'), `0-${offset - 1}`)
  }
  const digest = sha256(chunks.join(''))
  t.equal((await send(product, 'PUT', `${path}?digest=${digest}`)).status, 201)
  for (let i = 0; i < 6; i++) t.equal((await send(product, 'HEAD', `/v2/team/app/blobs/${digest}`)).status, 200)
  await product.stop()
  t.equal(new Set(answeredBy(product)).size, 3, 'all three took part')
})

t.test('what is deleted or moved is so in every process at once, and can be pushed again (R-140, R-141)', async t => {
  const product = await startWorkers(t, 2)
  const manifest = image('workers')
  const push = async (): Promise<void> => {
    for (const { bytes, digest } of manifest.blobs) {
      t.equal((await send(product, 'POST', `/v2/team/app/blobs/uploads/?digest=${digest}`, bytes.toString('latin1'), OCTETS)).status, 201)
    }
    t.equal((await send(product, 'PUT', '/v2/team/app/manifests/latest', manifest.bytes.toString('latin1'), { 'content-type': manifest.mediaType })).status, 201)
  }
  const statuses = async (path: string): Promise<number[]> => {
    const answers = []
    for (let i = 0; i < 4; i++) answers.push((await send(product, 'HEAD', path)).status)
    return answers
  }
  const [{ digest }] = manifest.blobs as [typeof manifest.blobs[0] & object]
  for (let round = 0; round < 2; round++) {
    await push()
    t.same(await statuses('/v2/team/app/manifests/latest'), [200, 200, 200, 200])
    t.same(await statuses(`/v2/team/app/blobs/${digest}`), [200, 200, 200, 200])
    t.equal((await send(product, 'DELETE', `/v2/team/app/manifests/${manifest.digest}`)).status, 202)
    t.equal((await send(product, 'DELETE', `/v2/team/app/blobs/${digest}`)).status, 202)
    t.same(await statuses('/v2/team/app/manifests/latest'), [404, 404, 404, 404])
    t.same(await statuses(`/v2/team/app/manifests/${manifest.digest}`), [404, 404, 404, 404])
    t.same(await statuses(`/v2/team/app/blobs/${digest}`), [404, 404, 404, 404])
  }
})

/** True while the process runs; one that is dead may still have a number until its parent has noticed. */
/** Resolves when the process has ended: what was killed a moment ago may still be at it. */
async function gone (pid: number): Promise<void> {
  while (!/\) Z/.test(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')));
}

/** Resolves when the connection is gone, also by a reset. */
async function closed ({ socket }: RawConnection): Promise<void> {
  await new Promise<void>(resolve => { socket.once('close', () => { resolve() }) })
}

t.test('a request takes an upload over from a dead one in another process (R-102)', async t => {
  const product = await startWorkers(t, 2)
  const { path, connection } = await hangingUpload(t, product, Buffer.alloc(100, 'half'), 4)
  // Comes to the other worker, and waits there until nothing was heard from the first one for a while.
  const status = await send(product, 'GET', path)
  t.equal(status.status, 204)
  t.equal(status.headers.get('range'), '0-3')
  const stopped = await connection.answer()
  t.equal(stopped.status, 416, 'the request that was taken over')
  const answer = await send(product, 'PATCH', pathOf(status), ' and half', OCTETS)
  t.equal(answer.status, 202, answer.body)
  t.equal((await send(product, 'PUT', `${pathOf(answer)}?digest=${sha256('half and half')}`)).status, 201)
})

t.test('an upload is cancelled in whichever process it is being received', async t => {
  const product = await startWorkers(t, 2)
  const { path, connection } = await hangingUpload(t, product, Buffer.alloc(100), 4)
  const [first, second] = [await send(product, 'DELETE', path), await send(product, 'DELETE', path)]
  t.same([first.status, second.status], [204, 404])
  t.equal((await connection.answer()).status, 416)
})

t.test('a process that is killed is replaced, and what its uploads had received goes on', async t => {
  const product = await startWorkers(t, 2)
  const { path } = await hangingUpload(t, product, Buffer.alloc(100, 'half'), 4)
  for (const [i, pid] of (await workerPids(product)).entries()) {
    process.kill(pid, 'SIGKILL')
    await product.logged(new RegExp(`worker ${3 + i} serves`))
  }
  const status = await send(product, 'GET', path)
  t.equal(status.status, 204)
  t.equal(status.headers.get('range'), '0-3')
  t.equal((await send(product, 'PUT', `${pathOf(status)}?digest=${sha256('half')}`)).status, 201)
})

t.test('a signal to the primary process lets requests finish in all processes, and ends with status 0', async t => {
  const product = await startWorkers(t, 2, { draintimeout: '30s' })
  const body = 'x'.repeat(10)
  const begun = await Promise.all(Array.from({ length: 4 }, async () => {
    const path = await startUpload(product)
    const connection = await RawConnection.open(product.host)
    connection.send(`PATCH ${path} HTTP/1.1\r\nhost: ${product.host}\r\ncontent-type: application/octet-stream\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n`)
    t.equal((await connection.answer()).status, 100)
    return connection
  }))
  product.signal('SIGTERM')
  await product.logged(/the server stops[^]*the server stops/)
  for (const connection of begun) connection.send(body)
  for (const connection of begun) t.equal((await connection.answer()).status, 202)
  t.equal((await product.ended).status, 0)
})

t.test('a second signal ends all processes at once', async t => {
  const product = await startWorkers(t, 2, { draintimeout: '30s' })
  const { connection } = await hangingUpload(t, product, Buffer.alloc(100), 4)
  const pids = await workerPids(product)
  product.signal('SIGTERM')
  await product.logged(/the server stops/)
  const cut = closed(connection)
  product.signal('SIGTERM')
  t.equal((await product.ended).status, 1)
  await cut
  for (const pid of pids) await gone(pid)
})

t.test('a signal before all processes listen ends those that were started, and no more are', async t => {
  const directory = t.testdir({ 'config.yml': 'version: 0.1\nstorage: { filesystem: { rootdirectory: ./data } }\nhttp: { addr: "127.0.0.1:0", workers: 2 }\n' })
  const starting = new CliProcess(t, ['serve', 'config.yml'], directory)
  // The first process, just before it listens.
  await starting.logged(/upload purge/)
  starting.signal('SIGTERM')
  const { status, stderr } = await starting.ended
  t.equal(status, 0, stderr)
  t.match(stderr, /SIGTERM: stopping/)
  t.notMatch(stderr, /worker 2 serves/)
})

t.test('a signal while the others start ends those too', async t => {
  const directory = t.testdir({ 'config.yml': 'version: 0.1\nstorage: { filesystem: { rootdirectory: ./data } }\nhttp: { addr: "127.0.0.1:0", workers: 2 }\n' })
  const starting = new CliProcess(t, ['serve', 'config.yml'], directory)
  await starting.logged(/worker 1 serves/)
  starting.signal('SIGTERM')
  const { status, stderr } = await starting.ended
  t.equal(status, 0, stderr)
  t.notMatch(stderr, /oci-registry listens on/)
})

t.test('the workers end when their primary process is killed', async t => {
  const product = await startWorkers(t, 2)
  const [pid = 0] = await workerPids(product)
  const connection = await RawConnection.open(product.host)
  const cut = closed(connection)
  process.kill(product.pid, 'SIGKILL')
  await cut
  // Standard error is shared: it is at its end when the last of them is gone.
  t.equal((await product.ended).status, null)
  await t.resolves(gone(pid))
})

t.test('the debug server shows the numbers of all processes, and the next leader opens it again', async t => {
  const product = await startWorkers(t, 2, { debug: { addr: '127.0.0.1:0' } })
  const [, url = ''] = await product.logged(/debug server listens on (http:[^"]+)/)
  const answer = await fetch(`${url}/debug/vars`)
  t.equal(answer.status, 200)
  const variables = await answer.json() as Record<string, unknown>
  t.hasProps(variables, ['cmdline', 'memstats', 'registry'])
  const [leader = 0] = await workerPids(product)
  process.kill(leader, 'SIGKILL')
  const [, next = ''] = await product.logged(/debug server listens on[^]*debug server listens on (http:[^"]+)/)
  t.equal((await fetch(`${next}/debug/vars`)).status, 200)
})

t.test('what keeps the workers from starting is said once, in one line', async t => {
  const product = await startWorkers(t, 1)
  const directory = t.testdir()
  const args = ['serve', '--set', `http.addr=${product.host}`, '--set', 'http.workers=2', '--set', `storage.filesystem.rootdirectory=${join(directory, 'data')}`, '--set', 'storage.maintenance.uploadpurging.enabled=false']
  const { status, stderr } = await runCli(t, args, directory)
  t.equal(status, 1)
  t.equal(stderr, `oci-registry: http.addr: cannot listen on ${product.host}: the port is in use\n`)
})

t.test('memory is not shared: the inmemory driver has one process', async t => {
  const { status, stderr } = await runCli(t, ['serve', '--set', 'storage=inmemory', '--set', 'http.workers=2'], t.testdir())
  t.equal(status, 1)
  t.match(stderr, /^oci-registry: http\.workers: storage\.inmemory is the memory of one process[^\n]+\n$/)
})

t.test('skopeo pushes to and pulls from several processes', needs('skopeo'), async t => {
  const directory = t.testdir({ source: {}, pulled: {} })
  const source = join(directory, 'source')
  const layout = await writeOciLayout(source, { tag: '1.0', architectures: ['amd64', 'arm64'], layerBytes: 3_000_000 })
  const product = await startProduct(t, directory, { http: { workers: '2' } })
  await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${source}:1.0`, `docker://${product.host}/team/app:1.0`)
  await skopeo('copy', '--all', '--src-tls-verify=false', `docker://${product.host}/team/app:1.0`, `oci:${join(directory, 'pulled')}:1.0`)
  const pulled = JSON.parse(await readFile(join(directory, 'pulled', 'index.json'), 'utf8')) as { manifests: Array<{ digest: string }> }
  t.equal(pulled.manifests[0]?.digest, layout.index.digest)
  await product.stop()
  t.equal(new Set(answeredBy(product)).size, 2)
})
