import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'

/** Docker's own registry, as Debian packages it: the oracle of what a drop-in has to be like. */
export interface DockerRegistry {
  readonly url: string
  readonly host: string
  readonly configFile: string
  /** Everything on its standard error until now. */
  readonly log: string
  /** Everything on its standard output. */
  readonly out: string
  stop (): Promise<void>
}

/** Parts of its configuration beside `http`. */
interface Parts { readonly storage?: Record<string, unknown>, readonly [part: string]: unknown }

/** Starts `docker-registry` on a free port with its data in `rootdirectory`; deletes are allowed, `http` and the other parts are added. Killed with the test. */
export async function startDockerRegistry (t: Test, directory: string, rootdirectory: string, http: Record<string, unknown> = {}, { storage = {}, ...rest }: Parts = {}): Promise<DockerRegistry> {
  const host = `127.0.0.1:${await freePort()}`
  const configFile = join(directory, 'docker-registry.yml')
  // JSON is YAML.
  await writeFile(configFile, JSON.stringify({ version: 0.1, log: { level: 'info' }, storage: { ...storage, filesystem: { rootdirectory }, delete: { enabled: true } }, http: { ...http, addr: host }, ...rest }))
  const child = spawn('docker-registry', ['serve', configFile], { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  t.teardown(stop)
  let log = ''
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text })
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (log.includes('listening on')) resolve()
    })
    ended.then(() => { reject(new Error(`docker-registry did not start:\n${log}`)) }, reject)
  })
  return { url: `http://${host}`, host, configFile, get log () { return log }, get out () { return out }, stop }
}

/** A port nobody listens on. */
export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
