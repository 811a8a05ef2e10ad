// 99th percentile of manifest GET while garbage is collected, against the same without: `npm run build && node bench/collection.mjs`.
// Wants a ratio of at most 1.2 and exits with status 1 when it is more. IMAGES and SECONDS set how much.
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import Fastify from 'fastify'
import { registry } from '../dist/index.js'

const IMAGES = Number(process.env.IMAGES ?? 2000)
const SECONDS = Number(process.env.SECONDS ?? 5)
const ROUNDS = 5
const CLIENTS = 4
const LIMIT = 1.2
const TYPE = 'application/vnd.oci.image.manifest.v1+json'

const sha256 = bytes => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

async function push (url, name, seed) {
  const [config, layer] = [`{"seed":"${seed}"}`, `layer ${seed}`].map(bytes => ({ bytes, mediaType: 'application/octet-stream', digest: sha256(bytes), size: bytes.length }))
  for (const { bytes, digest } of [config, layer]) {
    await fetch(`${url}/v2/${name}/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes, headers: { 'content-type': 'application/octet-stream' } })
  }
  const body = JSON.stringify({ schemaVersion: 2, mediaType: TYPE, config: { ...config, bytes: undefined }, layers: [{ ...layer, bytes: undefined }] })
  const { status } = await fetch(`${url}/v2/${name}/manifests/v${seed}`, { method: 'PUT', body, headers: { 'content-type': TYPE } })
  if (status !== 201) throw new Error(`push: ${status}`)
}

/** Latencies in milliseconds of manifest GETs, for some seconds. */
async function measure ({ url, seconds }) {
  const times = []
  const end = performance.now() + 1000 * seconds
  await Promise.all(Array.from({ length: CLIENTS }, async (_, client) => {
    for (let i = client; performance.now() < end; i++) {
      const began = performance.now()
      const answer = await fetch(`${url}/v2/app${i % 10}/manifests/v${(i % 10) + 10 * (i % 7)}`)
      await answer.arrayBuffer()
      if (answer.status !== 200) throw new Error(`get: ${answer.status}`)
      times.push(performance.now() - began)
    }
  }))
  return times
}

function inThread (task) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task })
    worker.once('message', resolve).once('error', reject)
  })
}

const percentile = (times, part) => times.sort((a, b) => a - b)[Math.floor(times.length * part)]
const median = values => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]

async function main () {
  const rootdirectory = await mkdtemp(join(tmpdir(), 'collection-'))
  const app = Fastify()
  let handle
  try {
    await app.register(registry, {
      storage: { filesystem: { rootdirectory, fsync: false }, maintenance: { garbagecollect: { grace: '1h' } } },
      onReady: given => { handle = given }
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const url = `http://127.0.0.1:${app.server.address().port}`
    for (let i = 0; i < IMAGES; i++) await push(url, `app${i % 10}`, i)
    console.log(`${IMAGES} images in 10 repositories`)
    await inThread({ url, seconds: 2 })
    const ratios = []
    for (let round = 0; round < ROUNDS; round++) {
      const without = await inThread({ url, seconds: SECONDS })
      let isOver = false
      let runs = 0
      const collecting = (async () => { while (!isOver) { await handle.garbageCollection.runOnce(); runs++ } })()
      const during = await inThread({ url, seconds: SECONDS })
      isOver = true
      await collecting
      const [p99, p99During] = [percentile(without, 0.99), percentile(during, 0.99)]
      ratios.push(p99During / p99)
      console.log(`p50 ${percentile(without, 0.5).toFixed(2)} ms, during ${percentile(during, 0.5).toFixed(2)} ms; p99 ${p99.toFixed(2)} ms, during ${p99During.toFixed(2)} ms (x ${(p99During / p99).toFixed(2)}), ${without.length} and ${during.length} requests, ${runs} collections`)
    }
    console.log(`p99 during a collection: x ${median(ratios).toFixed(2)} (median of ${ROUNDS}; at most ${LIMIT})`)
    process.exitCode = median(ratios) > LIMIT ? 1 : 0
  } finally {
    await app.close()
    await rm(rootdirectory, { recursive: true })
  }
}

if (isMainThread) await main()
else parentPort.postMessage(await measure(workerData))
