import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url))
const START_SECONDS = 15

/**
 * A registry to measure.
 * @typedef {{ name: string, url: string, pid?: number, stop: () => Promise<void> }} Server
 */

const QUIET = { level: 'error', accesslog: { disabled: true } }

/** Our own, as built: filesystem storage, fsync on, logs errors only unless told otherwise. @returns {Promise<Server>} */
export async function startOurs (directory, { name = 'oci-registry', log = QUIET, stdio } = {}) {
  return await start(name, directory, config => [process.execPath, [CLI, 'serve', config]], { version: '0.1', log }, stdio)
}

/** Debian's package docker-registry with the same storage and as little logging. @returns {Promise<Server>} */
export async function startDockerRegistry (directory) {
  return await start('docker-registry', directory, config => ['docker-registry', ['serve', config]], {
    version: 0.1, log: QUIET
  })
}

/** A registry that runs already. @returns {Server} */
export function attach (url) {
  return { name: new URL(url).host, url: new URL(url).origin, stop: async () => {} }
}

async function start (name, directory, commandLine, config, stdio = ['ignore', 'ignore', 'inherit']) {
  const host = `127.0.0.1:${await freePort()}`
  const home = join(directory, name)
  const file = join(home, 'config.yml')
  await mkdir(home, { recursive: true })
  // JSON is YAML.
  await writeFile(file, JSON.stringify({
    ...config,
    storage: { filesystem: { rootdirectory: join(home, 'data') }, delete: { enabled: true } },
    http: { addr: host }
  }))
  const [command, args] = commandLine(file)
  const child = spawn(command, args, { stdio, env: { ...process.env, OTEL_TRACES_EXPORTER: 'none' } })
  await once(child, 'spawn')
  const ended = once(child, 'exit')
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  await answers(`http://${host}/v2/`, child)
  return { name, url: `http://${host}`, pid: child.pid, stop }
}

/** Waits until the registry answers: how it says that it is ready differs. */
async function answers (url, child) {
  for (const end = Date.now() + START_SECONDS * 1000; Date.now() < end;) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with status ${child.exitCode}`)
    const status = await fetch(url).then(answer => answer.status, () => 0)
    if (status === 200) return
    await sleep(50)
  }
  child.kill('SIGKILL')
  throw new Error(`${child.spawnfile} does not answer on ${url}`)
}

async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
