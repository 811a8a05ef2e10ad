// What logging costs: manifest GET with the log of requests and the access log, and with errors only, in alternating
// rounds: `npm run build && node bench/logging.mjs [text|json|logstash]`. Wants logging to cost less than 25 % of the
// requests per second and exits with status 1 when it is more. SECONDS and ROUNDS set how long.
import { closeSync, openSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { small } from './groups/small.mjs'
import { medians } from './report.mjs'
import { startOurs } from './servers.mjs'

const [formatter = 'text'] = process.argv.slice(2)
const SECONDS = Number(process.env.SECONDS ?? 1)
const ROUNDS = Number(process.env.ROUNDS ?? 21)
const LIMIT = 0.25
// The second one reads nothing from storage, so that logging is a larger part of it.
const REQUESTS = ['manifest GET by tag', 'manifest GET by digest']

const scratch = await mkdtemp(join(tmpdir(), 'logging-'))
const files = ['access.log', 'server.log'].map(name => join(scratch, name))
const [out, err] = files.map(file => openSync(file, 'a'))
const servers = []
try {
  const { prepare, rows } = await small.rows({ scratch, seconds: SECONDS })
  servers.push(await startOurs('quiet', { directory: join(scratch, 'quiet') }))
  servers.push(await startOurs('logging', { directory: join(scratch, 'logging') }, { log: { level: 'info', formatter }, stdio: ['ignore', out, err] }))
  await Promise.all(servers.map(prepare))
  for (const { name, measure } of rows.filter(({ name }) => REQUESTS.includes(name))) {
    const rounds = servers.map(() => [])
    for (let round = 0; round < ROUNDS; round++) {
      for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) rounds[i].push(await measure(servers[i]))
    }
    const cost = report(name, rounds)
    if (!(cost < LIMIT)) process.exitCode = 1
  }
  console.log(`written: ${files.map(file => `${Math.round(statSync(file).size / 1e6)} MB`).join(' of access log, ')} of log (${formatter})`)
} finally {
  await Promise.all(servers.map(server => server.stop()))
  for (const descriptor of [out, err]) closeSync(descriptor)
  await rm(scratch, { recursive: true })
}

/** Prints what was measured and returns what part of the requests per second logging costs. */
function report (name, rounds) {
  const [quiet, logging] = rounds.map(medians)
  // Of each round by itself: other work on the machine slows down both.
  const { ratio } = medians(rounds[0].map(({ perSecond }, i) => ({ ratio: rounds[1][i].perSecond / perSecond })))
  const cost = 1 - ratio
  console.log(name)
  for (const [i, { perSecond, p99, cpu }] of [quiet, logging].entries()) {
    console.log(`  ${servers[i].name.padEnd(8)} ${Math.round(perSecond)} /s, p99 ${p99.toFixed(2)} ms, ${cpu.toFixed(1)} µs of CPU each`)
  }
  console.log(`  logging costs ${(cost * 100).toFixed(1)} % of the requests per second, ${(logging.cpu - quiet.cpu).toFixed(1)} µs of CPU each (median of ${ROUNDS} rounds; less than ${LIMIT * 100} % wanted)`)
  return cost
}
