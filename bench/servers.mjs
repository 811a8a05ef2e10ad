import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url))
const BARE = fileURLToPath(new URL('bare-fastify.mjs', import.meta.url))
const START_MS = 60_000
const POLL_MS = 5
const QUIET = { level: 'error', accesslog: { disabled: true } }
const STORAGE = { delete: { enabled: true }, cache: { blobdescriptor: 'inmemory' } }

/**
 * A server to measure.
 * @typedef {{ name: string, url: string, pid?: number, startMs?: number, data?: string, stop: () => Promise<void> }} Server
 *
 * How to start one: in a directory of its own; `data` is where a registry keeps everything, `files` what a server of
 * files serves, under the paths of the requests that are measured.
 * @typedef {{ directory: string, data?: string, files?: string }} Place
 */

/** Our own, as built: filesystem storage, no access log. */
export const ours = { name: 'oci-registry', start: place => startOurs('oci-registry', place) }
/** One process for each core. */
export const workers = { name: 'workers: auto', start: place => startOurs('workers: auto', place, { http: { workers: 'auto' } }) }
/** Without fsync: what a power cut takes is not counted. */
export const unsynced = { name: 'without fsync', start: place => startOurs('without fsync', place, { filesystem: { fsync: false } }) }
/** Debian's package docker-registry with the same storage and as little logging. */
export const dockerRegistry = { name: 'docker-registry', needs: 'docker-registry', start: startDockerRegistry }
/** What Fastify costs when a route sends the same bytes. */
export const bareFastify = { name: 'bare Fastify', start: startBareFastify, isFileServer: true }
/** What it costs to send the same file. */
export const nginx = { name: 'nginx', needs: 'nginx', start: startNginx, isFileServer: true }

/** Whether the program is there that this kind of server needs. */
export function isInstalled ({ needs }) {
  return needs === undefined || spawnSync('sh', ['-c', `command -v ${needs}`], { env: withSbin() }).status === 0
}

/** A registry that runs already. */
export function attach (url) {
  return { name: new URL(url).host, start: async () => ({ name: new URL(url).host, url: new URL(url).origin, stop: async () => {} }) }
}

/** With other storage, logs or settings of HTTP than the benchmark has them. @returns {Promise<Server>} */
export async function startOurs (name, { directory, data = join(directory, 'data') }, { http = {}, filesystem = {}, storage, log = QUIET, stdio } = {}) {
  const host = `127.0.0.1:${await freePort()}`
  const file = await writeConfig(directory, {
    version: '0.1',
    log,
    storage: storage ?? { filesystem: { rootdirectory: data, ...filesystem }, ...STORAGE },
    http: { addr: host, ...http }
  })
  return { ...await start(name, host, process.execPath, [CLI, 'serve', file], stdio), data }
}

async function startDockerRegistry ({ directory, data = join(directory, 'data') }) {
  const host = `127.0.0.1:${await freePort()}`
  const file = await writeConfig(directory, {
    version: 0.1,
    log: QUIET,
    storage: { filesystem: { rootdirectory: data }, ...STORAGE },
    http: { addr: host }
  })
  return { ...await start('docker-registry', host, 'docker-registry', ['serve', file]), data }
}

async function startBareFastify ({ files }) {
  const port = await freePort()
  return await start('bare Fastify', `127.0.0.1:${port}`, process.execPath, [BARE, files, String(port), 'application/octet-stream'])
}

async function startNginx ({ directory, files }) {
  const host = `127.0.0.1:${await freePort()}`
  const file = join(directory, 'nginx.conf')
  await mkdir(directory, { recursive: true })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${join(directory, name)};`).join(' ')
  // With an inode cache: what a server of files does at its best. The user's own rights are enough to read.
  await writeFile(file, `
daemon off; worker_processes 1; pid ${join(directory, 'nginx.pid')}; error_log stderr error;
${process.getuid() === 0 ? 'user root;' : ''}
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=1000; ${temporary}
  server { listen ${host}; root ${files}; default_type application/octet-stream; location = /v2/ { return 200 '{}'; } }
}
`)
  return await start('nginx', host, 'nginx', ['-c', file, '-e', 'stderr'])
}

async function writeConfig (directory, config) {
  const file = join(directory, 'config.yml')
  await mkdir(directory, { recursive: true })
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config))
  return file
}

async function start (name, host, command, args, stdio = ['ignore', 'ignore', 'inherit']) {
  const started = performance.now()
  const child = spawn(command, args, { stdio, env: { ...withSbin(), OTEL_TRACES_EXPORTER: 'none' } })
  await once(child, 'spawn')
  const ended = once(child, 'exit')
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  await answers(`http://${host}/v2/`, child)
  return { name, url: `http://${host}`, pid: child.pid, startMs: performance.now() - started, stop }
}

/** Waits until the server answers: how it says that it is ready differs. */
async function answers (url, child) {
  for (const end = Date.now() + START_MS; Date.now() < end;) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with status ${child.exitCode}`)
    const status = await fetch(url).then(answer => answer.status, () => 0)
    if (status === 200) return
    await sleep(POLL_MS)
  }
  child.kill('SIGKILL')
  throw new Error(`${child.spawnfile} does not answer on ${url}`)
}

/** nginx is where only root looks. */
function withSbin () {
  return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }
}

export async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
