import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { withClients } from '../client.mjs'
import { sha256 } from '../image.mjs'
import { peakRss } from '../process.mjs'
import { dockerRegistry, ours } from '../servers.mjs'
import { LARGEST, seeded } from './listings.mjs'

const NAME = 'bench/memory'
const BLOB_BYTES = 100 * 2 ** 20
const PARALLEL = 10
const MB = 1e6

/** Measured on a server of their own in each round: how fast it starts, and how much memory it needs. */
export const whole = {
  servers: [ours, dockerRegistry],

  async rows ({ scratch }) {
    const pulled = randomBytes(BLOB_BYTES)
    return {
      rows: [
        { name: 'start to first answer, nothing stored', unit: 'ms', measure: async (kind, place) => await start(kind, place) },
        {
          name: `start to first answer, ${LARGEST.tags} tags, ${LARGEST.repositories} repositories`,
          unit: 'ms',
          measure: async (kind, place) => await start(kind, { ...place, data: seeded(scratch, LARGEST) })
        },
        { name: 'peak RSS, 10 pushes and 10 pulls of 100 MiB at once', unit: 'MB', measure: async (kind, place) => await memory(kind, place, pulled) }
      ]
    }
  }
}

async function start (kind, place) {
  const server = await kind.start(place)
  await server.stop()
  return { value: server.startMs }
}

async function memory (kind, place, pulled) {
  const server = await kind.start({ ...place, data: join(place.directory, 'data') })
  try {
    await withClients(server.url, 1, async ([client]) => { await client.pushBlob(NAME, pulled, sha256(pulled)) })
    await withClients(server.url, 2 * PARALLEL, async clients => {
      await Promise.all(clients.map(async (client, i) => {
        if (i < PARALLEL) {
          await client.pullBlob(NAME, sha256(pulled))
        } else {
          const bytes = Buffer.from(pulled)
          bytes.writeUInt32BE(i)
          await client.pushBlob(NAME, bytes, sha256(bytes))
        }
      }))
    })
    return { value: await peakRss(server.pid) / MB }
  } finally {
    await server.stop()
    await rm(place.directory, { recursive: true })
  }
}
