import { randomBytes } from 'node:crypto'
import { withClients } from '../client.mjs'
import { CONFIG, imageManifest, sha256 } from '../image.mjs'
import { measured, measuredBytes, repeat } from '../measure.mjs'
import { dockerRegistry, ours, unsynced, workers } from '../servers.mjs'

const NAME = 'bench/writes'
const SMALL_BYTES = 10 * 1024
const LARGE_BYTES = 64 * 2 ** 20
const SMALL_CONNECTIONS = 8
const LARGE_CONNECTIONS = 4
const WARM_UP_SECONDS = 0.5

/** Content that was never pushed before, each time: what a registry has already is another path. */
export const writes = {
  servers: [ours, unsynced, workers, dockerRegistry],

  async rows ({ seconds }) {
    const layer = randomBytes(4096)
    let tags = 0
    return {
      async prepare ({ url }) {
        await withClients(url, 1, async ([client]) => {
          for (const bytes of [layer, CONFIG]) await client.putBlob(NAME, bytes, sha256(bytes))
        })
      },
      rows: [{
        name: 'push 10 KiB (POST, PUT)',
        unit: '/s',
        measure: async server => await again(server, seconds, async client => {
          const bytes = randomBytes(SMALL_BYTES)
          await client.putBlob(NAME, bytes, sha256(bytes))
        })
      }, {
        name: 'manifest PUT by tag',
        unit: '/s',
        measure: async server => await again(server, seconds, async client => {
          const tag = `t${tags++}`
          await client.pushManifest(NAME, tag, imageManifest(layer, { annotations: { tag, random: randomBytes(8).toString('hex') } }))
        })
      }, {
        name: 'push 64 MiB (POST, PATCH, PUT), one',
        unit: 'MB/s',
        measure: async server => await pushLarge(server, 1)
      }, {
        name: 'push 64 MiB (POST, PATCH, PUT), four at once',
        unit: 'MB/s',
        measure: async server => await pushLarge(server, LARGE_CONNECTIONS)
      }]
    }
  }
}

async function again (server, seconds, once) {
  return await withClients(server.url, SMALL_CONNECTIONS, async clients => {
    await repeat(clients, once, WARM_UP_SECONDS)
    return await measured(server, async () => await repeat(clients, once, seconds))
  })
}

/** Hashing them is done before, so that it is not in the time. */
async function pushLarge (server, count) {
  const random = randomBytes(LARGE_BYTES)
  const blobs = Array.from({ length: LARGE_CONNECTIONS }, () => {
    const bytes = Buffer.from(random)
    randomBytes(32).copy(bytes)
    return { bytes, digest: sha256(bytes) }
  })
  return await withClients(server.url, count, async clients => await measuredBytes(server, LARGE_CONNECTIONS * LARGE_BYTES, async () => {
    await Promise.all(clients.map(async client => {
      for (let blob = blobs.pop(); blob !== undefined; blob = blobs.pop()) await client.pushBlob(NAME, blob.bytes, blob.digest)
    }))
  }))
}
