import { join } from 'node:path'
import { withClients } from '../client.mjs'
import { CONFIG, imageManifest, describe, MANIFEST, sha256 } from '../image.mjs'
import { measureRequests } from '../measure.mjs'
import { seedStorage } from '../seed.mjs'
import { dockerRegistry, ours } from '../servers.mjs'

const SIZES = [
  { tags: 10_000, repositories: 1000 },
  { tags: 100_000, repositories: 10_000 }
]
const NAME = 'bench/referrers'
const REFERRERS = 1000
const CONNECTIONS = 4

/** Pages of long lists: of both servers the same storage, which nobody writes to meanwhile. */
export const listings = SIZES.map(({ tags, repositories }) => ({
  servers: [ours, dockerRegistry],

  async rows ({ scratch, seconds }) {
    const data = seeded(scratch, { tags, repositories })
    const request = async (server, path) => await measureRequests(server, { path, connections: CONNECTIONS }, seconds)
    return {
      place: { data },
      async prepare () {},
      rows: [
        { name: `tags/list n=100 of ${tags}`, unit: '/s', measure: async server => await request(server, '/v2/tags/tags/list?n=100') },
        { name: `tags/list n=100 of ${tags}, in the middle`, unit: '/s', measure: async server => await request(server, `/v2/tags/tags/list?n=100&last=v${String(tags / 2).padStart(6, '0')}`) },
        { name: `catalog n=100 of ${repositories}`, unit: '/s', measure: async server => await request(server, '/v2/_catalog?n=100') },
        { name: `catalog n=100 of ${repositories}, in the middle`, unit: '/s', measure: async server => await request(server, `/v2/_catalog?n=100&last=r${String(repositories / 2).padStart(6, '0')}`) }
      ]
    }
  }
}))

/** What refers to one image. Docker's registry has no such list. */
export const referrers = {
  servers: [ours],

  async rows ({ seconds }) {
    const layer = Buffer.from('signed')
    const image = imageManifest(layer)
    return {
      async prepare ({ url }) {
        await withClients(url, 1, async ([client]) => {
          for (const bytes of [layer, CONFIG]) await client.putBlob(NAME, bytes, sha256(bytes))
          await client.pushManifest(NAME, 'latest', image)
          for (let i = 0; i < REFERRERS; i++) {
            const bytes = imageManifest(layer, { artifactType: 'application/vnd.example.signature', subject: describe(image, MANIFEST), annotations: { number: String(i) } })
            await client.pushManifest(NAME, sha256(bytes), bytes)
          }
        })
      },
      rows: [
        { name: `referrers of ${REFERRERS}`, unit: '/s', measure: async server => await measureRequests(server, { path: `/v2/${NAME}/referrers/${sha256(image)}`, connections: 1 }, seconds) }
      ]
    }
  }
}

const seeds = new Map()

/** One storage of each size, whoever asks. */
export function seeded (scratch, size) {
  const data = join(scratch, `seeded-${size.tags}`)
  if (!seeds.has(data)) {
    process.stderr.write(`a storage of ${size.tags} tags and ${size.repositories} repositories\n`)
    seedStorage(data, size)
    seeds.set(data, true)
  }
  return data
}

export const LARGEST = SIZES[1]
