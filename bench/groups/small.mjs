import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { withClients } from '../client.mjs'
import { CONFIG, MANIFEST, imageManifest, sha256 } from '../image.mjs'
import { measureRequests } from '../measure.mjs'
import { bareFastify, dockerRegistry, nginx, ours, workers } from '../servers.mjs'

const NAME = 'bench/small'

/** Requests for one small image that everybody has in memory after the first of them. */
export const small = {
  servers: [ours, workers, dockerRegistry, bareFastify, nginx],

  async rows ({ scratch, seconds }) {
    const blob = randomBytes(4096)
    const manifest = imageManifest(blob)
    const byTag = `/v2/${NAME}/manifests/latest`
    const byDigest = `/v2/${NAME}/manifests/${sha256(manifest)}`
    const ofBlob = `/v2/${NAME}/blobs/${sha256(blob)}`
    const files = join(scratch, 'small-files')
    for (const [path, bytes] of [[byTag, manifest], [byDigest, manifest], [ofBlob, blob]]) {
      await mkdir(dirname(join(files, path)), { recursive: true })
      await writeFile(join(files, path), bytes)
    }
    const headers = { accept: MANIFEST }
    const requests = {
      'manifest GET by tag': { path: byTag, headers, bytes: manifest.length },
      'manifest GET by digest': { path: byDigest, headers, bytes: manifest.length },
      'manifest HEAD by tag': { method: 'HEAD', path: byTag, headers, bytes: 0 },
      'manifest HEAD by digest': { method: 'HEAD', path: byDigest, headers, bytes: 0 },
      'blob HEAD': { method: 'HEAD', path: ofBlob, bytes: 0 },
      'blob GET 4 KiB': { path: ofBlob, bytes: blob.length }
    }
    return {
      place: { files },
      async prepare ({ url }) {
        await withClients(url, 1, async ([client]) => {
          for (const bytes of [blob, CONFIG]) await client.putBlob(NAME, bytes, sha256(bytes))
          await client.pushManifest(NAME, 'latest', manifest)
        })
      },
      rows: Object.entries(requests).map(([name, request]) => ({
        name, unit: '/s', measure: async server => await measureRequests(server, request, seconds)
      }))
    }
  }
}
