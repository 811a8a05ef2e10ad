import { performance } from 'node:perf_hooks'
import { Connection, requestBytes } from './connection.mjs'
import { cpuSeconds } from './process.mjs'

const WARM_UP_SECONDS = 0.5

/**
 * What one round of a row gave. `perSecond` in the row's unit; CPU in microseconds for one request, blob or manifest, or
 * for one GiB, of the server's processes and of the generator.
 * @typedef {{ perSecond: number, p50?: number, p99?: number, cpu?: number, generatorCpu: number }} Sample
 */

/**
 * Sends one request again and again on keep-alive connections, each waiting for its answer before the next. An answer
 * that has another status or length than expected ends the benchmark; `bytes` undefined: any that is not empty.
 * @returns {Promise<Sample>}
 */
export async function measureRequests (server, { method = 'GET', path, headers = {}, bytes, connections = 32 }, seconds) {
  const [request] = requestBytes(server.url, method, path, { headers })
  const opened = await Promise.all(Array.from({ length: connections }, () => Connection.open(server.url)))
  const once = connection => new Promise((resolve, reject) => {
    connection.send(method === 'HEAD', request, (error, status, length) => {
      if (error !== null) reject(error)
      else if (status !== 200 || (bytes === undefined ? length === 0 : length !== bytes)) reject(new Error(`${server.name}: ${method} ${path}: status ${status}, ${length} bytes`))
      else resolve()
    })
  })
  try {
    await repeat(opened, once, WARM_UP_SECONDS)
    return await measured(server, async () => await repeat(opened, once, seconds))
  } finally {
    for (const connection of opened) connection.close()
  }
}

/** Runs `once` on each of `actors`, again and again, until the time is over. Milliseconds that each took. */
export async function repeat (actors, once, seconds) {
  const latencies = []
  const end = performance.now() + seconds * 1000
  await Promise.all(actors.map(async actor => {
    for (let now = performance.now(); now < end;) {
      await once(actor)
      const after = performance.now()
      latencies.push(after - now)
      now = after
    }
  }))
  return Float64Array.from(latencies)
}

/** @param work resolves to milliseconds, one for each operation @returns {Promise<Sample>} */
export async function measured (server, work) {
  const [elapsed, latencies, cpu] = await timed(server, work)
  latencies.sort()
  return {
    perSecond: latencies.length / elapsed,
    p50: latencies[Math.floor(latencies.length * 0.5)],
    p99: latencies[Math.floor(latencies.length * 0.99)],
    ...perUnit(cpu, latencies.length)
  }
}

/** Megabytes (10⁶ bytes) per second, and CPU for one GiB. @returns {Promise<Sample>} */
export async function measuredBytes (server, bytes, work) {
  const [elapsed, , cpu] = await timed(server, work)
  return { perSecond: bytes / 1e6 / elapsed, ...perUnit(cpu, bytes / 2 ** 30) }
}

async function timed ({ pid }, work) {
  const before = pid === undefined ? undefined : await cpuSeconds(pid)
  const generator = process.cpuUsage()
  const started = performance.now()
  const result = await work()
  const elapsed = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(generator)
  const used = before === undefined ? undefined : await cpuSeconds(pid) - before
  return [elapsed, result, { used, generator: (user + system) / 1e6 }]
}

function perUnit ({ used, generator }, count) {
  return { ...(used === undefined ? {} : { cpu: used / count * 1e6 }), generatorCpu: generator / count * 1e6 }
}
