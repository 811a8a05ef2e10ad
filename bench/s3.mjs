// Push and pull of 100 MiB through the driver s3, and without a registry by the AWS SDK, on the same store in the same
// rounds; then the memory of the server while 10 clients push 100 MiB each. Exit status 1 when a target is missed.
// Starts Ceph (scripts/ceph-rgw.sh, root only) unless it is given --endpoint; the bucket it makes is removed in the end.
import { spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { Client, sha256 } from './client.mjs'
import { cpuSeconds, peakRss } from './process.mjs'
import { freePort, startOurs } from './servers.mjs'
import { BareStore } from './s3-store.mjs'

const MB = 1e6
const MIB = 1024 * 1024
const BLOB_BYTES = 100 * MIB
const PARALLEL = 10
const MAX_PEAK = 300 * MB
const MIN_RATIO = 0.8

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
  const server = await startOurs(join(scratch, 'speed'), storage(parameters))
  const client = new Client(server.url, 1)
  const seconds = { 'push by the SDK': [], 'push, POST + PATCH + PUT': [], 'push, POST + PUT': [], 'pull by the SDK': [], pull: [] }
  const cpu = Object.fromEntries(Object.keys(seconds).map(name => [name, []]))
  try {
    // The first round is warm-up.
    for (let round = 0; round <= rounds; round++) {
      const [bare, patched, put] = [fresh(), fresh(), fresh()]
      const operations = {
        'push by the SDK': () => store.push('bare', bare.bytes),
        'push, POST + PATCH + PUT': () => client.pushBlob('bench/s3', patched.bytes, patched.digest),
        'push, POST + PUT': () => client.putBlob('bench/s3', put.bytes, put.digest),
        'pull by the SDK': () => store.pull('bare'),
        pull: () => client.pullBlob('bench/s3', put.digest)
      }
      for (const [name, operation] of Object.entries(operations)) {
        const used = await cpuSeconds(server.pid)
        const time = await timed(operation)
        if (round === 0) continue
        seconds[name].push(time)
        cpu[name].push(await cpuSeconds(server.pid) - used)
      }
    }
  } finally {
    await client.close()
    await server.stop()
  }
  const rate = name => BLOB_BYTES / MB / median(seconds[name])
  return Object.keys(seconds).map(name => {
    const bare = rate(name.startsWith('push') ? 'push by the SDK' : 'pull by the SDK')
    const ratio = rate(name) / bare
    const verdict = name.endsWith('SDK') ? '' : `: ${Math.round(ratio * 100)} % of the SDK, at least ${MIN_RATIO * 100} % wanted${ratio < MIN_RATIO ? ', TOO SLOW' : ''}; ${median(cpu[name]).toFixed(2)} s of CPU`
    return { isGood: ratio >= MIN_RATIO, text: `${name}: ${Math.round(rate(name))} MB/s${verdict}` }
  })
}

/** The most memory of a server of its own. */
async function memory () {
  const server = await startOurs(join(scratch, 'memory'), storage(parameters))
  const client = new Client(server.url, PARALLEL)
  try {
    const idle = await peakRss(server.pid)
    const blobs = Array.from({ length: PARALLEL }, fresh)
    await Promise.all(blobs.map(({ bytes, digest }) => client.pushBlob('bench/memory', bytes, digest)))
    const peak = await peakRss(server.pid)
    const text = `${PARALLEL} pushes at once: peak RSS ${Math.round(peak / MB)} MB (${Math.round(idle / MB)} MB when it started), limit ${MAX_PEAK / MB} MB${peak < MAX_PEAK ? '' : ': TOO MUCH'}`
    return { isGood: peak < MAX_PEAK, text }
  } finally {
    await client.close()
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

async function timed (operation) {
  const started = performance.now()
  await operation()
  return (performance.now() - started) / 1000
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
