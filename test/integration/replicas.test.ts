import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { OCI_INDEX } from '../../schemas/media-types.js'
import type { RegistryHandle } from '../../registry.js'
import { build } from '../helpers/build.js'
import { needsRgw } from '../helpers/ceph-rgw.js'
import { containersClient, needs, skopeo } from '../helpers/clients.js'
import { blob, image } from '../helpers/images.js'
import type { Manifest } from '../helpers/images.js'
import { ociLayoutDigests, writeOciLayout } from '../helpers/oci-layout.js'
import { RawConnection } from '../helpers/raw-http.js'
import { Receiver } from '../helpers/receiver.js'
import { startReplicas } from '../helpers/replicas.js'
import type { Replica, Replicas } from '../helpers/replicas.js'

const MIB = 1024 * 1024
const options = { ...needs('nginx', 'redis-server', 'curl', 'skopeo', 'podman'), ...needsRgw() }

t.setTimeout(300_000)

// One start of everything; the replicas that are killed are killed last.
t.test('three replicas on one bucket and one Redis, behind nginx without sticky sessions', options, async t => {
  const receiver = await Receiver.start(t)
  const all = await startReplicas(t, {
    REGISTRY_STORAGE_S3_CHUNKSIZE: String(5 * MIB),
    REGISTRY_NOTIFICATIONS_ENDPOINTS: JSON.stringify([{ name: 'test', url: receiver.url, ignore: { actions: ['pull', 'delete'] } }])
  })
  await t.test('events of all replicas arrive in order, each once', async t => { await events(t, all, receiver) })
  await t.test('uploads are purged and garbage is collected by one replica only', async t => { await once(t, all) })
  await t.test('skopeo and podman push and pull', async t => { await clients(t, all) })
  await t.test('an upload whose every request lands on another replica', async t => { await wandering(t, all) })
  await t.test('one request at a time has an upload, on whatever replica', async t => { await contended(t, all) })
  await t.test('a delete and a moved tag are seen by all at once', async t => { await seen(t, all) })
  await t.test('a replica that stood still while another one went on acknowledges and overwrites nothing', async t => { await stalled(t, all) })
  await t.test('kill -9 in the middle of a request loses nothing that was acknowledged', async t => { await killed(t, all) })
  await t.test('kill -9 in the middle of a push: the client\'s retry succeeds', async t => { await retried(t, all) })
})

async function push (url: string, name: string, { blobs, bytes, mediaType }: Manifest, reference: string): Promise<number[]> {
  const answers = []
  for (const content of blobs) answers.push((await fetch(`${url}/v2/${name}/blobs/uploads/?digest=${content.digest}`, { method: 'POST', body: content.bytes })).status)
  answers.push((await fetch(`${url}/v2/${name}/manifests/${reference}`, { method: 'PUT', headers: { 'content-type': mediaType }, body: bytes })).status)
  return answers
}

async function events (t: Test, { url }: Replicas, receiver: Receiver): Promise<void> {
  const content = image('event')
  t.same(await push(url, 'events', content, 'v0'), [201, 201, 201])
  for (let i = 1; i < 30; i++) t.equal((await fetch(`${url}/v2/events/manifests/v${i}`, { method: 'PUT', headers: { 'content-type': content.mediaType }, body: content.bytes })).status, 201)
  await receiver.received(32)
  const tags = receiver.events.map(({ target }) => target.tag).filter(tag => tag !== undefined)
  t.same(tags, Array.from({ length: 30 }, (_, i) => `v${i}`))
  t.equal(new Set(receiver.events.map(({ source }) => source.instanceID)).size, 3, 'they happened on all three')
  t.equal(new Set(receiver.events.map(({ id }) => id)).size, receiver.events.length)
}

async function clients (t: Test, { host }: Replicas): Promise<void> {
  const directory = t.testdir({ source: {} })
  const [source, target] = [join(directory, 'source'), join(directory, 'target')]
  await writeOciLayout(source, { tag: '1.0', architectures: ['amd64', 'arm64'], layerBytes: 12 * MIB })
  await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${source}:1.0`, `docker://${host}/team/app:1.0`)
  await skopeo('copy', '--all', '--src-tls-verify=false', `docker://${host}/team/app:1.0`, `oci:${target}:1.0`)
  t.same(await ociLayoutDigests(target), await ociLayoutDigests(source))

  const podman = await containersClient(t, 'podman')
  const pushed = `${host}/team/pushed:2.0`
  const digestFile = join(directory, 'digest')
  await podman('pull', '--tls-verify=false', `${host}/team/app:1.0`)
  await podman('tag', `${host}/team/app:1.0`, pushed)
  await podman('push', '--tls-verify=false', '--digestfile', digestFile, pushed)
  await podman('rmi', '--all', '--force')
  await podman('pull', '--tls-verify=false', pushed)
  t.equal((await podman('image', 'inspect', '--format', '{{.Digest}}', pushed)).trim(), await readFile(digestFile, 'utf8'))
}

async function wandering (t: Test, { url, replicas }: Replicas): Promise<void> {
  const { bytes, digest } = blob(randomBytes(23 * MIB + 17))
  const started = await fetch(`${url}/v2/team/wandering/blobs/uploads/`, { method: 'POST' })
  let location = started.headers.get('location') ?? ''
  const ends = [3, 4 * MIB, 9 * MIB + 1, 20 * MIB]
  for (const [i, end] of ends.entries()) {
    const { url: here } = replicas[i % 3] as Replica
    const begin = ends[i - 1] ?? 0
    const patched = await fetch(`${here}${location}`, { method: 'PATCH', headers: { 'content-range': `${begin}-${end - 1}` }, body: bytes.subarray(begin, end) })
    t.equal(patched.status, 202)
    location = patched.headers.get('location') ?? ''
    t.equal((await fetch(`${replicas[(i + 1) % 3]?.url}${location}`)).headers.get('range'), `0-${end - 1}`, 'the next one knows')
  }
  const closed = await fetch(`${replicas[1].url}${location}?digest=${digest}`, { method: 'PUT', body: bytes.subarray(20 * MIB) })
  t.equal(closed.status, 201, await closed.text())
  for (const { url: here } of replicas) t.ok(bytes.equals(Buffer.from(await (await fetch(`${here}/v2/team/wandering/blobs/${digest}`)).arrayBuffer())))
  t.equal((await fetch(`${url}${location}`)).status, 404)
}

/** Begins a PATCH and sends `sent` of the bytes it announces; resolves when the replica has the upload. */
async function hanging (t: Test, all: Replicas, { host }: Replica, location: string, sent: Buffer): Promise<RawConnection> {
  const connection = await RawConnection.open(host)
  t.teardown(() => { connection.socket.destroy() })
  connection.send(`PATCH ${location} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${sent.length + 1}\r\n\r\n`)
  connection.send(sent)
  const id = /uploads\/([0-9a-f-]{36})/.exec(location)?.[1] ?? ''
  while ((await all.redis.keys(`oci-registry:upload:*${id}*`)).length === 0) await new Promise(resolve => { setImmediate(resolve) })
  return connection
}

async function contended (t: Test, all: Replicas): Promise<void> {
  const { replicas: [one, two, three] } = all
  const { bytes, digest } = blob(randomBytes(6 * MIB))
  const started = await fetch(`${one.url}/v2/team/contended/blobs/uploads/`, { method: 'POST' })
  const location = started.headers.get('location') ?? ''
  const silent = await hanging(t, all, one, location, bytes.subarray(0, MIB))
  // It is silent and somebody waits: it is told to let go, and what it got stays.
  const stale = await fetch(`${two.url}${location}`, { method: 'PATCH', body: bytes })
  t.equal(stale.status, 416, 'the upload has gone on meanwhile')
  t.equal(stale.headers.get('range'), `0-${MIB - 1}`)
  t.equal((await silent.answer()).status, 416)
  const closed = await fetch(`${three.url}${stale.headers.get('location')}?digest=${digest}`, { method: 'PUT', body: bytes.subarray(MIB) })
  t.equal(closed.status, 201, await closed.text())

  const cancelled = (await fetch(`${one.url}/v2/team/contended/blobs/uploads/`, { method: 'POST' })).headers.get('location') ?? ''
  const receiving = await hanging(t, all, two, cancelled, bytes.subarray(0, MIB))
  t.equal((await fetch(`${three.url}${cancelled}`, { method: 'DELETE' })).status, 204)
  t.equal((await receiving.answer()).status, 416)
  for (const { url } of all.replicas) t.equal((await fetch(`${url}${cancelled}`)).status, 404)
}

async function seen (t: Test, { replicas }: Replicas): Promise<void> {
  const everywhere = async (path: string): Promise<Array<string | number>> => await Promise.all(replicas.map(async ({ url }) => {
    const { status, headers } = await fetch(`${url}/v2/team/seen/${path}`, { method: 'HEAD', redirect: 'manual' })
    return status === 200 ? headers.get('docker-content-digest') ?? '' : status
  }))
  for (let i = 0; i < 3; i++) {
    const [first, next] = [image(`first ${i}`), image(`next ${i}`)]
    const [pusher, mover, deleter] = [0, 1, 2].map(offset => replicas[(i + offset) % 3] as Replica)
    t.same(await push(pusher?.url ?? '', 'team/seen', first, 'tag'), [201, 201, 201])
    t.same(await everywhere('manifests/tag'), Array(3).fill(first.digest))
    t.same(await push(mover?.url ?? '', 'team/seen', next, 'tag'), [201, 201, 201])
    t.same(await everywhere('manifests/tag'), Array(3).fill(next.digest))
    t.same(await everywhere(`manifests/${first.digest}`), Array(3).fill(first.digest))
    for (const path of [`manifests/${first.digest}`, `manifests/${next.digest}`, `blobs/${first.blobs[1]?.digest}`]) {
      await everywhere(path) // now all of them remember it
      t.equal((await fetch(`${deleter?.url}/v2/team/seen/${path}`, { method: 'DELETE' })).status, 202)
      t.same(await everywhere(path), [404, 404, 404], path)
    }
    t.same(await everywhere('manifests/tag'), [404, 404, 404])
  }
}

/** Three more replicas, in this process, which are all told to begin at the same time. */
async function once (t: Test, { replicas, config }: Replicas): Promise<void> {
  const { url } = replicas[0]
  const lost = blob('needed by nothing')
  t.equal((await fetch(`${url}/v2/team/once/blobs/uploads/?digest=${lost.digest}`, { method: 'POST', body: lost.bytes })).status, 201)
  for (const replica of replicas) t.equal((await fetch(`${replica.url}/v2/team/once/blobs/${lost.digest}`, { method: 'HEAD', redirect: 'manual' })).status, 307)
  const { storage, redis } = config
  const maintenance = { uploadpurging: { enabled: false, age: '0s' }, garbagecollect: { grace: '0s' } }
  const handles: RegistryHandle[] = []
  for (let i = 0; i < 3; i++) await build(t, { storage: { ...storage, maintenance }, ...redis === undefined ? {} : { redis }, onReady: handle => { handles.push(handle) } })
  const purged = await Promise.all(handles.map(async ({ uploadPurge }) => await uploadPurge.runOnce()))
  t.equal(purged.filter(result => result !== undefined).length, 1)
  const collected = await Promise.all(handles.map(async ({ garbageCollection }) => await garbageCollection.runOnce()))
  t.equal(collected.filter(result => result !== undefined).length, 1)
  for (const replica of replicas) t.equal((await fetch(`${replica.url}/v2/team/once/blobs/${lost.digest}`, { method: 'HEAD', redirect: 'manual' })).status, 404, 'and the others do not remember it')
}

async function stalled (t: Test, all: Replicas): Promise<void> {
  const { replicas: [one, two, three] } = all
  const { bytes, digest } = blob(randomBytes(19 * MIB))
  const started = await fetch(`${two.url}/v2/team/stalled/blobs/uploads/`, { method: 'POST' })
  const patched = await fetch(`${three.url}${started.headers.get('location')}`, { method: 'PATCH', body: bytes.subarray(0, 6 * MIB) })
  const location = patched.headers.get('location') ?? ''
  const late = await hanging(t, all, one, location, Buffer.alloc(7 * MIB, 'late'))
  process.kill(one.pid, 'SIGSTOP')
  const next = await fetch(`${two.url}${location}`, { method: 'PATCH', body: bytes.subarray(6 * MIB, 14 * MIB) })
  t.equal(next.status, 202)
  process.kill(one.pid, 'SIGCONT')
  late.send('e')
  t.equal((await late.answer()).status, 416)
  const closed = await fetch(`${three.url}${next.headers.get('location')}?digest=${digest}`, { method: 'PUT', body: bytes.subarray(14 * MIB) })
  t.equal(closed.status, 201, await closed.text())
  t.ok(bytes.equals(Buffer.from(await (await fetch(`${one.url}/v2/team/stalled/blobs/${digest}`)).arrayBuffer())))
}

async function killed (t: Test, all: Replicas): Promise<void> {
  const { replicas: [one, two, three] } = all
  const { bytes, digest } = blob(randomBytes(19 * MIB))
  const started = await fetch(`${two.url}/v2/team/killed/blobs/uploads/`, { method: 'POST' })
  const patched = await fetch(`${one.url}${started.headers.get('location')}`, { method: 'PATCH', body: bytes.subarray(0, 8 * MIB) })
  t.equal(patched.status, 202)
  const location = patched.headers.get('location') ?? ''
  await hanging(t, all, three, location, bytes.subarray(8 * MIB, 15 * MIB))
  process.kill(three.pid, 'SIGKILL')
  const began = performance.now()
  const next = await fetch(`${two.url}${location}`, { method: 'PATCH', body: bytes.subarray(8 * MIB, 12 * MIB) })
  t.equal(next.status, 202, 'what was acknowledged is there, what was not is not')
  t.ok(performance.now() - began < 15_000, 'and a dead replica does not keep it for long')
  const closed = await fetch(`${one.url}${next.headers.get('location')}?digest=${digest}`, { method: 'PUT', body: bytes.subarray(12 * MIB) })
  t.equal(closed.status, 201, await closed.text())
  t.ok(bytes.equals(Buffer.from(await (await fetch(`${two.url}/v2/team/killed/blobs/${digest}`)).arrayBuffer())))
}

async function retried (t: Test, { host, url, replicas: [, two] }: Replicas): Promise<void> {
  const directory = t.testdir({ source: {} })
  const [source, target] = [join(directory, 'source'), join(directory, 'target')]
  const { index: { digest } } = await writeOciLayout(source, { tag: '1.0', architectures: ['amd64', 'arm64'], layerBytes: 16 * MIB })
  const copy = async (): Promise<boolean> => await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${source}:1.0`, `docker://${host}/team/retried:1.0`).then(() => true, () => false)
  const state = { isOver: false }
  const copying = copy().finally(() => { state.isOver = true })
  while (!state.isOver && !/\/v2\/team\/retried\/blobs\/uploads\//.test(await two.log())) await new Promise(resolve => { setImmediate(resolve) })
  t.equal(state.isOver, false, 'the replica has begun an upload, and the push goes on')
  process.kill(two.pid, 'SIGKILL')
  // Whether the client notices depends on where its requests were just then.
  t.equal(await copying || await copy(), true)
  t.equal((await fetch(`${url}/v2/team/retried/manifests/1.0`, { method: 'HEAD', headers: { accept: OCI_INDEX } })).headers.get('docker-content-digest'), digest)
  await skopeo('copy', '--all', '--src-tls-verify=false', `docker://${host}/team/retried:1.0`, `oci:${target}:1.0`)
  t.same(await ociLayoutDigests(target), await ociLayoutDigests(source))
}
