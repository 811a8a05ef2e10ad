import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { Client, sha256 } from './client.mjs'
import { cpuSeconds } from './process.mjs'

const NAME = 'bench/transfers'
const MIB = 1024 * 1024
const BLOB_BYTES = 64 * MIB
const PARALLEL = 4
const PULLS = 4

/** Content that no earlier round has pushed: what the registry has already is another path. */
export function freshBlobs () {
  const random = randomBytes(BLOB_BYTES)
  return Array.from({ length: PARALLEL }, () => {
    const bytes = Buffer.from(random)
    randomBytes(32).copy(bytes)
    return { bytes, digest: sha256(bytes) }
  })
}

/** Pushes the blobs at the same time. */
export async function measurePush (server, blobs) {
  return await measured(server, PARALLEL, PARALLEL, async client => {
    await Promise.all(blobs.map(({ bytes, digest }) => client.pushBlob(NAME, bytes, digest)))
  })
}

/** Pulls one blob several times, one after the other. */
export async function measurePull (server, { digest }) {
  return await measured(server, 1, PULLS, async client => {
    for (let pull = 0; pull < PULLS; pull++) {
      const bytes = await client.pullBlob(NAME, digest)
      if (bytes !== BLOB_BYTES) throw new Error(`pulled ${bytes} bytes instead of ${BLOB_BYTES}`)
    }
  })
}

async function measured ({ url, pid }, connections, blobs, transfer) {
  const client = new Client(url, connections)
  try {
    const cpu = pid === undefined ? undefined : await cpuSeconds(pid)
    const started = performance.now()
    await transfer(client)
    const seconds = (performance.now() - started) / 1000
    const used = pid === undefined ? undefined : await cpuSeconds(pid) - cpu
    return {
      perSecond: blobs * BLOB_BYTES / 1e6 / seconds,
      ...(used === undefined ? {} : { cpuMicroseconds: used / blobs * 1e6 })
    }
  } finally {
    await client.close()
  }
}
