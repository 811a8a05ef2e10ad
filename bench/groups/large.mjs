import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { withClients } from '../client.mjs'
import { sha256 } from '../image.mjs'
import { measuredBytes } from '../measure.mjs'
import { bareFastify, dockerRegistry, nginx, ours, workers } from '../servers.mjs'

const NAME = 'bench/large'
const BLOB_BYTES = 64 * 2 ** 20
const CONNECTIONS = 4
/** 4 GiB: a second or two. */
const PULLS_EACH = 16

/** Large blobs, four connections at a time. */
export const large = {
  servers: [ours, workers, dockerRegistry, bareFastify, nginx],

  async rows ({ scratch }) {
    const blob = randomBytes(BLOB_BYTES)
    const digest = sha256(blob)
    const files = join(scratch, 'large-files')
    const file = join(files, 'v2', NAME, 'blobs', digest)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, blob)
    return {
      place: { files },
      async prepare ({ url }) {
        await withClients(url, 1, async ([client]) => { await client.pushBlob(NAME, blob, digest) })
      },
      rows: [{
        name: 'blob GET 64 MiB',
        unit: 'MB/s',
        measure: async server => await pull(server, digest)
      }],
      alone: [{ name: 'SHA-256 of 64 MiB', by: 'openssl', unit: 'MB/s', measure: () => opensslDigest(file) }]
    }
  }
}

async function pull (server, digest) {
  return await withClients(server.url, CONNECTIONS, async clients => {
    const all = async times => {
      await Promise.all(clients.map(async client => {
        for (let pulled = 0; pulled < times; pulled++) {
          const bytes = await client.pullBlob(NAME, digest)
          if (bytes !== BLOB_BYTES) throw new Error(`${server.name}: pulled ${bytes} bytes instead of ${BLOB_BYTES}`)
        }
      }))
    }
    await all(1)
    return await measuredBytes(server, CONNECTIONS * PULLS_EACH * BLOB_BYTES, async () => { await all(PULLS_EACH) })
  })
}

/** What hashing costs where nothing else is done: the file eight times, as eight arguments. */
function opensslDigest (file) {
  const times = 8
  const command = `TIMEFORMAT='%U %S'; time openssl dgst -sha256 ${Array.from({ length: times }, () => `'${file}'`).join(' ')} >/dev/null`
  const started = performance.now()
  const { status, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  const seconds = (performance.now() - started) / 1000
  const [user, system] = stderr.trim().split(' ').map(Number)
  const bytes = times * BLOB_BYTES
  return { perSecond: bytes / 1e6 / seconds, cpu: (user + system) / (bytes / 2 ** 30) * 1e6, generatorCpu: 0 }
}
