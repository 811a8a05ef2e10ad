import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { RedisConnection } from '../../services/redis/connection.js'
import type { RedisConnectionParts } from '../../services/redis/connection.js'
import { freePort } from './docker-registry.js'

/** A real redis-server on the loopback interface, that keeps nothing on disk. */
export class RedisServer {
  readonly port: number
  readonly #args: readonly string[]
  readonly #directory: string
  #child: ChildProcess | undefined

  constructor (port: number, directory: string, args: readonly string[]) {
    this.port = port
    this.#directory = directory
    this.#args = args
  }

  get addr (): string {
    return `127.0.0.1:${this.port}`
  }

  async start (): Promise<void> {
    const child = spawn('redis-server', [
      ...this.#args, '--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', this.#directory
    ], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child = child
    let log = ''
    await new Promise<void>((resolve, reject) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        log += text
        if (/Ready to accept connections|Sentinel ID is/.test(log)) resolve()
      })
      child.once('error', reject)
      child.once('exit', () => { reject(new Error(`redis-server did not start:\n${log}`)) })
    })
  }

  async stop (): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child?.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** A client of the test's own. */
  client (t: Test): Redis {
    const client = new Redis({ port: this.port, host: '127.0.0.1', protocol: 2 })
    client.on('error', () => {})
    t.teardown(() => { client.disconnect() })
    return client
  }
}

/** Starts a redis-server, killed with the test. `args` are options of its command line. */
export async function startRedis (t: Test, args: readonly string[] = []): Promise<RedisServer> {
  const server = new RedisServer(await freePort(), t.testdir({}), args)
  t.teardown(async () => { await server.stop() })
  await server.start()
  return server
}

/** A connection to the server as the registry has one, already made. */
export async function redisConnection (t: Test, server: RedisServer, parts: Partial<RedisConnectionParts> = {}): Promise<RedisConnection> {
  const client = new Redis({ port: server.port, host: '127.0.0.1', protocol: 2, enableOfflineQueue: false, maxRetriesPerRequest: 0, retryStrategy: () => 10 })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  await once(client, 'ready')
  return new RedisConnection({ client, timeoutMs: 2000, maxActive: 1000, ...parts })
}

export interface Proxy {
  readonly addr: string
  /** Milliseconds that everything takes longer on its way to the client. */
  delay: number
  /** What arrives goes nowhere, while connections stay. */
  isStuck: boolean
}

/** A TCP proxy in front of a port of this machine. */
export async function startProxy (t: Test, port: number): Promise<Proxy> {
  const sockets = new Set<Socket>()
  const proxy = { addr: '', delay: 0, isStuck: false }
  const server = createServer(client => {
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => { client.destroy(); upstream.destroy() })
    }
    client.on('data', chunk => { if (!proxy.isStuck) upstream.write(chunk) })
    upstream.on('data', chunk => {
      if (proxy.delay === 0) client.write(chunk)
      else setTimeout(() => { client.write(chunk) }, proxy.delay)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return Object.assign(proxy, { addr: `127.0.0.1:${(server.address() as AddressInfo).port}` })
}
