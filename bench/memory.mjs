import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from './client.mjs'
import { peakRss } from './process.mjs'
import { startOurs } from './servers.mjs'

const MB = 1e6
const CHUNK = 1024 * 1024
const PARALLEL = 20
const CHUNKS = 200
const LIMIT = 250 * MB

/** An endless-looking layer: random once, different in each chunk and each upload, hashed as it goes out. */
async function * content (hash) {
  const random = randomBytes(CHUNK)
  for (let sent = 0; sent < CHUNKS; sent++) {
    const chunk = Buffer.from(random)
    chunk.writeUInt32BE(sent)
    hash.update(chunk)
    yield chunk
  }
}

const scratch = await mkdtemp(join(tmpdir(), 'oci-registry-memory-'))
let server
try {
  server = await startOurs(scratch)
  const idle = await peakRss(server.pid)
  const client = new Client(server.url, PARALLEL)
  const started = performance.now()
  await Promise.all(Array.from({ length: PARALLEL }, () => {
    const hash = createHash('sha256')
    return client.pushBlob('bench/memory', content(hash), () => `sha256:${hash.digest('hex')}`)
  }))
  const seconds = (performance.now() - started) / 1000
  await client.close()
  const peak = await peakRss(server.pid)
  const rate = PARALLEL * CHUNKS * CHUNK / MB / seconds
  process.stdout.write(`pushed ${PARALLEL} × ${CHUNKS} MiB at once in ${seconds.toFixed(1)} s (${Math.round(rate)} MB/s)\n`)
  process.stdout.write(`peak RSS ${Math.round(peak / MB)} MB (${Math.round(idle / MB)} MB when it started), limit ${LIMIT / MB} MB: ${peak < LIMIT ? 'ok' : 'TOO MUCH'}\n`)
  process.exitCode = peak < LIMIT ? 0 : 1
} finally {
  await server?.stop()
  await rm(scratch, { recursive: true, force: true })
}
