import { buildServer } from './server.js'
import type { ServerOptions } from './server.js'

/** A registry that runs in this process and listens on a free port of the loopback interface. */
export interface TestRegistry extends AsyncDisposable {
  /** For HTTP clients: `http://127.0.0.1:12345`. */
  readonly url: string
  /** For image references: `127.0.0.1:12345`. */
  readonly host: string
  close (): Promise<void>
}

/**
 * Starts a real registry for a test: in memory unless `storage` says otherwise, deletes allowed.
 *
 * @example
 * await using registry = await startRegistry()
 * const answer = await fetch(`${registry.url}/v2/`)
 */
export async function startRegistry (options: ServerOptions = {}): Promise<TestRegistry> {
  const app = buildServer({ ...options, storage: options.storage ?? { inmemory: {}, delete: { enabled: true } } })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening on a port')
  const host = `127.0.0.1:${address.port}`
  const close = async (): Promise<void> => {
    app.server.closeAllConnections()
    await app.close()
  }
  return { url: `http://${host}`, host, close, [Symbol.asyncDispose]: close }
}
