import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Pool } from 'undici'
import { peakRss } from './process.mjs'
import { ours } from './servers.mjs'

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

/** POST, one PATCH of unknown length, PUT. `digest` is asked after the PATCH. */
async function push (pool, body, digest) {
  const request = async (expected, method, path, options) => {
    const answer = await pool.request({ method, path, ...options })
    if (answer.statusCode !== expected) throw new Error(`${method} ${path}: ${answer.statusCode}: ${await answer.body.text()}`)
    await answer.body.dump()
    return new URL(answer.headers.location, server.url).pathname
  }
  const started = await request(202, 'POST', '/v2/bench/memory/blobs/uploads/')
  const sent = await request(202, 'PATCH', started, { headers: { 'content-type': 'application/octet-stream' }, body })
  await request(201, 'PUT', `${sent}?digest=${digest()}`)
}

const scratch = await mkdtemp(join(tmpdir(), 'oci-registry-memory-'))
let server
try {
  server = await ours.start({ directory: scratch })
  const idle = await peakRss(server.pid)
  const pool = new Pool(server.url, { connections: PARALLEL, pipelining: 1, headersTimeout: 120_000, bodyTimeout: 120_000 })
  const started = performance.now()
  await Promise.all(Array.from({ length: PARALLEL }, () => {
    const hash = createHash('sha256')
    return push(pool, content(hash), () => `sha256:${hash.digest('hex')}`)
  }))
  const seconds = (performance.now() - started) / 1000
  await pool.close()
  const peak = await peakRss(server.pid)
  const rate = PARALLEL * CHUNKS * CHUNK / MB / seconds
  process.stdout.write(`pushed ${PARALLEL} × ${CHUNKS} MiB at once in ${seconds.toFixed(1)} s (${Math.round(rate)} MB/s)\n`)
  process.stdout.write(`peak RSS ${Math.round(peak / MB)} MB (${Math.round(idle / MB)} MB when it started), limit ${LIMIT / MB} MB: ${peak < LIMIT ? 'ok' : 'TOO MUCH'}\n`)
  process.exitCode = peak < LIMIT ? 0 : 1
} finally {
  await server?.stop()
  await rm(scratch, { recursive: true, force: true })
}
