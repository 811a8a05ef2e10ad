import { createHash } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ConfigError } from '../errors/config-error.js'

/** What the address of a Unix socket may have. */
const MAX_PATH = 100

/**
 * Makes sure that no other process of this machine uses the directory, as long as this one lives: a socket in it that
 * nobody else can listen on, and that answers nobody any more when its process was killed.
 *
 * @throws {ConfigError} when another one does
 */
export async function lockDirectory (directory: string): Promise<() => Promise<void>> {
  await mkdir(directory, { recursive: true }).catch((error: NodeJS.ErrnoException) => { throw unusable(error) })
  // Where there are no Unix sockets, it is left to the operator.
  if (process.platform === 'win32') return async () => {}
  const inside = resolve(directory, '.lock')
  const path = inside.length <= MAX_PATH ? inside : join(tmpdir(), `oci-registry-${createHash('sha256').update(inside).digest('hex').slice(0, 32)}.lock`)
  const server = await listen(path) ?? (await isAnswered(path) ? undefined : await listenAgain(path))
  if (server === undefined) throw new ConfigError(`notifications.directory: another process uses ${directory}`)
  return async () => { await new Promise<void>(resolve => { server.close(() => { resolve() }) }) }
}

function unusable (error: Error): ConfigError {
  return new ConfigError(`notifications.directory: cannot be used: ${error.message}`, { cause: error })
}

async function listenAgain (path: string): Promise<Server | undefined> {
  await rm(path, { force: true })
  return await listen(path)
}

/** Undefined when there is such a socket already. */
async function listen (path: string): Promise<Server | undefined> {
  return await new Promise((resolve, reject) => {
    const server = createServer(socket => { socket.destroy() })
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(unusable(error))
    })
    // It keeps no process alive; and of several processes of one server each has its own, not the first one's.
    server.listen({ path, exclusive: true }, () => { resolve(server.unref()) })
  })
}

async function isAnswered (path: string): Promise<boolean> {
  return await new Promise(resolve => {
    const socket = connect(path)
    const end = (answered: boolean): void => {
      socket.destroy()
      resolve(answered)
    }
    socket.once('connect', () => { end(true) })
    socket.once('error', () => { end(false) })
  })
}
