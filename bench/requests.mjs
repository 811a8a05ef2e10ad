import { performance } from 'node:perf_hooks'
import { Client, MANIFEST, sha256 } from './client.mjs'
import { Connection } from './connection.mjs'
import { cpuSeconds } from './process.mjs'

const NAME = 'bench/requests'
const CONNECTIONS = 32
const WARM_UP_SECONDS = 0.5

/** Pushes a small image and returns the requests to measure, by name. */
export async function prepareRequests ({ url }) {
  const blob = Buffer.alloc(4096, 'four kibibytes')
  const config = Buffer.from('{"architecture":"amd64","os":"linux"}')
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha256(config), size: config.length },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: sha256(blob), size: blob.length }]
  })
  const client = new Client(url, 1)
  for (const bytes of [blob, config]) await client.pushBlob(NAME, bytes, sha256(bytes))
  await client.pushManifest(NAME, 'latest', manifest)
  await client.close()

  const byTag = `/v2/${NAME}/manifests/latest`
  const byDigest = `/v2/${NAME}/manifests/${sha256(manifest)}`
  const ofBlob = `/v2/${NAME}/blobs/${sha256(blob)}`
  return {
    'manifest GET by tag': { method: 'GET', path: byTag, bytes: manifest.length },
    'manifest GET by digest': { method: 'GET', path: byDigest, bytes: manifest.length },
    'manifest HEAD by tag': { method: 'HEAD', path: byTag, bytes: 0 },
    'blob HEAD': { method: 'HEAD', path: ofBlob, bytes: 0 },
    'blob GET 4 KiB': { method: 'GET', path: ofBlob, bytes: blob.length }
  }
}

/**
 * Sends one request again and again on fixed keep-alive connections, each waiting for its answer before the next.
 * An answer that is not 200 or has another length than expected ends the benchmark.
 */
export async function measureRequests ({ url, pid }, request, seconds) {
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => Connection.open(url, { ...request, accept: MANIFEST })))
  try {
    await run(connections, request, WARM_UP_SECONDS)
    const cpu = pid === undefined ? undefined : await cpuSeconds(pid)
    const started = performance.now()
    const latencies = await run(connections, request, seconds)
    const elapsed = (performance.now() - started) / 1000
    const used = pid === undefined ? undefined : await cpuSeconds(pid) - cpu
    latencies.sort()
    return {
      perSecond: latencies.length / elapsed,
      p50: latencies[Math.floor(latencies.length * 0.5)],
      p99: latencies[Math.floor(latencies.length * 0.99)],
      ...(used === undefined ? {} : { cpuMicroseconds: used / latencies.length * 1e6 })
    }
  } finally {
    for (const connection of connections) connection.close()
  }
}

/** Milliseconds each request took. */
async function run (connections, request, seconds) {
  const latencies = []
  const end = performance.now() + seconds * 1000
  await Promise.all(connections.map(connection => loop(connection, request, end, latencies)))
  return Float64Array.from(latencies)
}

function loop (connection, { method, path, bytes }, end, latencies) {
  return new Promise((resolve, reject) => {
    let started
    const next = () => {
      started = performance.now()
      connection.send(answered)
    }
    const answered = (error, status, received) => {
      if (error !== null) return reject(error)
      if (status !== 200 || received !== bytes) return reject(new Error(`${method} ${path}: status ${status}, ${received} bytes`))
      const now = performance.now()
      latencies.push(now - started)
      if (now < end) next()
      else resolve()
    }
    next()
  })
}
