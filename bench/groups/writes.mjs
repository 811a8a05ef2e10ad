import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { withClients } from '../client.mjs'
import { CONFIG, imageManifest, sha256 } from '../image.mjs'
import { measured, measuredBytes, repeat } from '../measure.mjs'
import { dockerRegistry, ours, unsynced, workers } from '../servers.mjs'

const NAME = 'bench/writes'
const SMALL_BYTES = 10 * 1024
const LARGE_BYTES = 64 * 2 ** 20
/** 1 GiB: one or two seconds. */
const LARGE_BLOBS = 16
/** What makes one blob another one. */
const HEAD_BYTES = 32
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

/** What the generator has to hash is hashed before; what was pushed is removed afterwards, where that can be done. */
async function pushLarge (server, count) {
  const body = randomBytes(LARGE_BYTES)
  const blobs = Array.from({ length: LARGE_BLOBS }, () => {
    const head = randomBytes(HEAD_BYTES)
    head.copy(body)
    return { head, digest: sha256(body) }
  })
  const digests = blobs.map(({ digest }) => digest)
  try {
    return await withClients(server.url, count, async clients => {
      const bodies = clients.map(() => Buffer.from(body))
      return await measuredBytes(server, LARGE_BLOBS * LARGE_BYTES, async () => {
        await Promise.all(clients.map(async (client, i) => {
          for (let blob = blobs.pop(); blob !== undefined; blob = blobs.pop()) {
            blob.head.copy(bodies[i])
            await client.pushBlob(NAME, bodies[i], blob.digest)
          }
        }))
      })
    })
  } finally {
    if (server.data !== undefined) await Promise.all(digests.map(async digest => { await rm(contentOf(server.data, digest), { recursive: true, force: true }) }))
  }
}

function contentOf (data, digest) {
  const [algorithm, hex] = digest.split(':')
  return join(data, 'docker/registry/v2/blobs', algorithm, hex.slice(0, 2), hex)
}
