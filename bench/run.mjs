import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { peakRss } from './process.mjs'
import { medians, table } from './report.mjs'
import { measureRequests, prepareRequests } from './requests.mjs'
import { attach, startDockerRegistry, startOurs } from './servers.mjs'
import { freshBlobs, measurePull, measurePush } from './transfers.mjs'

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    compare: { type: 'string' },
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' }
  }
})
const seconds = Number(values.seconds)
const rounds = Number(values.rounds)
if (!(seconds > 0) || !(Number.isInteger(rounds) && rounds > 0)) throw new Error('--seconds and --rounds must be more than 0')
if (values.compare !== undefined && values.compare !== 'docker-registry') throw new Error('--compare knows docker-registry only')

const scratch = await mkdtemp(join(tmpdir(), 'oci-registry-bench-'))
const servers = []
try {
  servers.push(values.url === undefined ? await startOurs(scratch) : attach(values.url))
  if (values.compare !== undefined) servers.push(await startDockerRegistry(scratch))
  const results = await measure(servers)
  process.stdout.write(`${table(results)}\n`)
  if (values.json !== undefined) await writeJson(values.json, results)
} finally {
  await Promise.all(servers.map(server => server.stop()))
  await rm(scratch, { recursive: true, force: true })
}

/** The servers take turns within each round, so that a machine that slows down slows all of them. */
async function measure (servers) {
  const samples = new Map(servers.map(server => [server, new Map()]))
  const requests = new Map()
  const note = (server, unit, name, sample) => {
    const known = samples.get(server)
    if (!known.has(name)) known.set(name, { unit, rounds: [] })
    known.get(name).rounds.push(sample)
  }
  for (const server of servers) requests.set(server, await prepareRequests(server))
  for (let round = 1; round <= rounds; round++) {
    process.stderr.write(`round ${round} of ${rounds}\n`)
    const order = round % 2 === 1 ? servers : servers.toReversed()
    for (const name of Object.keys(requests.get(servers[0]))) {
      for (const server of order) note(server, '/s', name, await measureRequests(server, requests.get(server)[name], seconds))
    }
    const blobs = freshBlobs()
    for (const server of order) note(server, 'MB/s', 'push 4 × 64 MiB at once', await measurePush(server, blobs))
    for (const server of order) note(server, 'MB/s', 'pull 64 MiB', await measurePull(server, blobs[0]))
  }
  return await Promise.all(servers.map(async server => ({
    name: server.name,
    ...(server.pid === undefined ? {} : { peakRss: await peakRss(server.pid) }),
    measures: Object.fromEntries([...samples.get(server)].map(([name, { unit, rounds }]) => [name, { unit, ...medians(rounds), rounds }]))
  })))
}

async function writeJson (file, results) {
  const machine = { node: process.version, cpus: cpus().length, cpu: cpus()[0]?.model }
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, `${JSON.stringify({ date: new Date().toISOString(), machine, seconds, rounds, results }, null, 2)}\n`)
}
