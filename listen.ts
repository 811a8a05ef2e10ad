import { lookup } from 'node:dns/promises'
import { unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { formatAddress } from './services/config/address.js'
import type { ListenAddress } from './services/config/address.js'
import { ConfigError } from './services/errors/config-error.js'

/** What fails when an address cannot be had; a worker hears of `bind` from its primary process. */
const LISTENING: ReadonlySet<string> = new Set(['listen', 'bind', 'getaddrinfo'])

export interface ListenOptions {
  /** Where the address was configured. */
  readonly key?: string
  /** Not to be shared with the other processes of this server. */
  readonly exclusive?: boolean
}

/**
 * Listens, and says so in the log with what `describe` makes of the URL.
 *
 * @throws {ConfigError} in one line, when the port or socket is taken or the address is none of ours
 */
export async function listen (app: FastifyInstance, address: ListenAddress, describe: (url: string) => string, { key = 'http.addr', exclusive = false }: ListenOptions = {}): Promise<void> {
  try {
    if ('path' in address) await removeStaleSocket(address.path)
    const target = 'path' in address ? address : { host: await oneAddress(address.host), port: address.port }
    await app.listen({ ...target, exclusive, listenTextResolver: describe })
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    if (!LISTENING.has(syscall ?? '')) throw error
    const reason = code === 'EADDRINUSE' ? `the ${'path' in address ? 'socket' : 'port'} is in use` : code ?? (error as Error).message
    throw new ConfigError(`${key}: cannot listen on ${formatAddress(address)}: ${reason}`, { cause: error })
  }
}

/** A name is listened on at one address, of IPv4 if there is one, as docker's registry does it. */
async function oneAddress (host: string): Promise<string> {
  return (await lookup(host, { verbatim: false })).address
}

/** A socket file outlives the process that made it; one that nobody answers on is in the way of the next. */
async function removeStaleSocket (path: string): Promise<void> {
  const code = await new Promise<string | undefined>(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => { resolve(error.code) })
  })
  if (code === 'ECONNREFUSED') unlinkSync(path)
}
