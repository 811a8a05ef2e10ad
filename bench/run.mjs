import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { large } from './groups/large.mjs'
import { listings, referrers } from './groups/listings.mjs'
import { small } from './groups/small.mjs'
import { whole } from './groups/whole.mjs'
import { writes } from './groups/writes.mjs'
import { medians, table, targetTable } from './report.mjs'
import { attach, isInstalled } from './servers.mjs'
import { TARGETS } from './targets.mjs'

const GROUPS = { small: [small], large: [large], writes: [writes], listings, referrers: [referrers], whole: [whole] }

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    only: { type: 'string' },
    servers: { type: 'string' },
    directory: { type: 'string', default: tmpdir() },
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' }
  }
})
const seconds = Number(values.seconds)
const rounds = Number(values.rounds)
if (!(seconds > 0) || !(Number.isInteger(rounds) && rounds > 0)) throw new Error('--seconds and --rounds must be more than 0')
const names = values.only?.split(',') ?? Object.keys(GROUPS)
const unknown = names.find(name => !Object.hasOwn(GROUPS, name))
if (unknown !== undefined) throw new Error(`--only knows ${Object.keys(GROUPS).join(', ')}`)
const wanted = values.servers?.split(',')

const scratch = await mkdtemp(join(values.directory, 'oci-registry-bench-'))
const results = []
try {
  for (const name of names) {
    for (const [i, group] of GROUPS[name].entries()) results.push(...await measureGroup(join(scratch, `${name}-${i}`), group))
  }
  process.stdout.write(`${table(results)}\n\n${targetTable(results, TARGETS)}\n`)
  if (values.json !== undefined) await writeJson(values.json)
} finally {
  await rm(scratch, { recursive: true, force: true })
}

/** The servers take turns within each round, so that a machine that slows down slows all of them. */
async function measureGroup (home, { servers: kinds, rows: open }) {
  const { place = {}, prepare, rows, alone = [] } = await open({ scratch, seconds })
  const chosen = values.url === undefined ? kinds.filter(kind => isWanted(kind) && isThere(kind)) : [attach(values.url)]
  const placeOf = (kind, part = '') => ({ ...place, directory: join(home, kind.name.replaceAll(/\W+/g, '-'), part) })
  const servers = new Map()
  try {
    if (prepare !== undefined) for (const kind of chosen) servers.set(kind, await kind.start(placeOf(kind)))
    for (const [{ isFileServer = false }, server] of servers) if (!isFileServer) await prepare(server)
    const samples = new Map([...rows, ...alone].map(row => [row, new Map()]))
    const note = (row, name, sample) => { samples.get(row).set(name, [...samples.get(row).get(name) ?? [], sample]) }
    for (let round = 1; round <= rounds; round++) {
      for (const row of rows) {
        process.stderr.write(`round ${round} of ${rounds}: ${row.name}\n`)
        for (const kind of round % 2 === 1 ? chosen : chosen.toReversed()) {
          note(row, kind.name, await row.measure(servers.get(kind) ?? kind, placeOf(kind, `round-${round}`)))
        }
      }
      for (const row of alone) note(row, row.by, row.measure())
    }
    return [...samples].filter(([, of]) => of.size > 0).map(([{ name: row, unit }, of]) => ({
      row,
      unit,
      servers: [...of].map(([server, rounds]) => ({ server, median: medians(rounds), rounds }))
    }))
  } finally {
    // What is small is removed when all is over: for minutes after files were removed, ext4 takes long to make new ones.
    await Promise.all([...servers.values()].map(async server => { await server.stop() }))
  }
}

function isWanted ({ name }) {
  return wanted === undefined || wanted.includes(name)
}

function isThere (kind) {
  if (isInstalled(kind)) return true
  process.stderr.write(`${kind.name} is not installed: left out\n`)
  return false
}

async function writeJson (file) {
  const machine = { node: process.version, cpus: cpus().length, cpu: cpus()[0]?.model }
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, `${JSON.stringify({ date: new Date().toISOString(), machine, seconds, rounds, results }, null, 1)}\n`)
}
