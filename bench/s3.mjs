// Push and pull of 100 MiB by the AWS SDK, by the driver s3 alone, in the same process, and through a registry, which is
// a process of its own, on the same store in the same rounds; then the memory of the server while 10 clients push 100 MiB
// each. Exit status 1 when a target is missed: each row has its own.
// Starts Ceph (scripts/ceph-rgw.sh, root only) unless it is given --endpoint; the bucket it makes is removed in the end.
import { spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { parseConfig } from '../dist/services/config/parse.js'
import { S3Driver } from '../dist/services/storage/s3.js'
import { Client, withClients } from './client.mjs'
import { sha256 } from './image.mjs'
import { cpuSeconds, peakRss } from './process.mjs'
import { freePort, startOurs } from './servers.mjs'
import { BareStore } from './s3-store.mjs'

const MB = 1e6
const MIB = 1024 * 1024
const BLOB_BYTES = 100 * MIB
const PARALLEL = 10
const MAX_PEAK = 300 * MB
const MIN_RATIO = 0.8
/** What a body arrives in. */
const CHUNK_BYTES = 64 * 1024
const BATCH_BYTES = 8 * CHUNK_BYTES

const { values } = parseArgs({
  options: {
    endpoint: { type: 'string' },
    'access-key': { type: 'string', default: 'AK' },
    'secret-key': { type: 'string', default: 'SK' },
    rounds: { type: 'string', default: '7' },
    set: { type: 'string', multiple: true, default: [] }
  }
})
const rounds = Number(values.rounds)
if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error('--rounds must be more than 0')

const scratch = await mkdtemp(join(tmpdir(), 'oci-s3-'))
const ceph = values.endpoint === undefined ? await startCeph(join(scratch, 'ceph')) : undefined
const parameters = {
  regionendpoint: values.endpoint ?? ceph.url,
  bucket: `bench-${randomUUID()}`,
  accesskey: values['access-key'],
  secretkey: values['secret-key'],
  ...Object.fromEntries(values.set.map(text => text.split('=')).map(([key, value]) => [key, Number(value)]))
}
const store = new BareStore(parameters)
try {
  await store.createBucket()
  const results = [...await speed(), await memory()]
  process.stdout.write(results.map(({ text }) => `${text}\n`).join(''))
  process.exitCode = results.every(({ isGood }) => isGood) ? 0 : 1
} finally {
  await store.removeBucket()
  await ceph?.stop()
  await rm(scratch, { recursive: true, force: true })
}

/** The median of each measure over the rounds, and how it compares with what the SDK does alone. */
async function speed () {
  const server = await startOurs('oci-registry', { directory: join(scratch, 'speed') }, { storage: storage(parameters) })
  const client = await Client.open(server.url)
  const driver = await S3Driver.open(parseConfig({ storage: { s3: parameters } }).storage.s3)
  const samples = {}
  try {
    // The first round is warm-up.
    for (let round = 0; round <= rounds; round++) {
      const [bare, driven, patched, put] = [fresh(), fresh(), fresh(), fresh()]
      const path = `/bench/${driven.digest.slice(7)}`
      const operations = {
        'push: SDK': () => store.push('bare', bare.bytes),
        'push: driver': () => drivenPush(driver, path, driven.bytes),
        'push: registry, POST + PATCH + PUT': () => client.pushBlob('bench/s3', patched.bytes, patched.digest),
        'push: registry, POST + PUT': () => client.putBlob('bench/s3', put.bytes, put.digest),
        'pull: SDK': () => store.pull('bare'),
        'pull: driver': () => drivenPull(driver, path),
        'pull: registry': () => client.pullBlob('bench/s3', put.digest)
      }
      for (const [name, operation] of Object.entries(operations)) {
        const sample = await timed(server, operation)
        if (round > 0) (samples[name] ??= []).push(sample)
      }
    }
  } finally {
    client.close()
    await driver.close()
    await server.stop()
  }
  return Object.keys(samples).map(name => verdict(name, samples))
}

function verdict (name, samples) {
  const rate = name => BLOB_BYTES / MB / median(samples[name].map(({ seconds }) => seconds))
  const cpu = median(samples[name].map(({ here, server }) => name.includes('registry') ? server : here)).toFixed(2)
  const where = name.includes('registry') ? 'of the server' : 'in this process'
  const ratio = rate(name) / rate(`${name.slice(0, 4)}: SDK`)
  const compared = name.endsWith('SDK') ? '' : `: ${Math.round(ratio * 100)} % of the SDK, at least ${MIN_RATIO * 100} % wanted${ratio < MIN_RATIO ? ', TOO SLOW' : ''}`
  return { isGood: ratio >= MIN_RATIO, text: `${name}: ${Math.round(rate(name))} MB/s${compared}; ${cpu} s of CPU ${where}` }
}

/** What a registry asks of a driver, without its hashing: the bytes at one place, and then at another. */
async function drivenPush (driver, path, bytes) {
  const writer = await driver.openWriter(`${path}/upload`)
  for (let at = 0; at < bytes.length; at += BATCH_BYTES) {
    const batch = bytes.subarray(at, at + BATCH_BYTES)
    await writer.write(Array.from({ length: Math.ceil(batch.length / CHUNK_BYTES) }, (_, i) => batch.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)))
  }
  await writer.close({ moving: true })
  await driver.move(`${path}/upload`, `${path}/data`, { version: writer.version, last: true })
}

async function drivenPull (driver, path) {
  let bytes = 0
  for await (const chunk of await driver.createReadStream(`${path}/data`)) bytes += chunk.length
  if (bytes !== BLOB_BYTES) throw new Error(`${bytes} bytes came`)
}

/** The most memory of a server of its own. */
async function memory () {
  const server = await startOurs('oci-registry', { directory: join(scratch, 'memory') }, { storage: storage(parameters) })
  try {
    const idle = await peakRss(server.pid)
    const blobs = Array.from({ length: PARALLEL }, fresh)
    await withClients(server.url, PARALLEL, clients => Promise.all(blobs.map(({ bytes, digest }, i) => clients[i].pushBlob('bench/memory', bytes, digest))))
    const peak = await peakRss(server.pid)
    const text = `${PARALLEL} pushes at once: peak RSS ${Math.round(peak / MB)} MB (${Math.round(idle / MB)} MB when it started), limit ${MAX_PEAK / MB} MB${peak < MAX_PEAK ? '' : ': TOO MUCH'}`
    return { isGood: peak < MAX_PEAK, text }
  } finally {
    await server.stop()
  }
}

/** All bytes go through the registry: a redirected pull would be the SDK's. */
function storage (s3) {
  return { s3, redirect: { disable: true }, delete: { enabled: true } }
}

function fresh () {
  const bytes = randomBytes(BLOB_BYTES)
  return { bytes, digest: sha256(bytes) }
}

async function timed ({ pid }, operation) {
  const used = await cpuSeconds(pid)
  const before = process.cpuUsage()
  const started = performance.now()
  await operation()
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(before)
  return { seconds, here: (user + system) / 1e6, server: await cpuSeconds(pid) - used }
}

function median (numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]
}

async function startCeph (directory) {
  const [port, monitor] = [await freePort(), await freePort()]
  const child = spawn(fileURLToPath(new URL('../scripts/ceph-rgw.sh', import.meta.url)), [directory, String(port), String(monitor)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  await Promise.race([once(child.stdout, 'data'), ended.then(() => { throw new Error('Ceph did not start') })])
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    }
  }
}
