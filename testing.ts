import type { AddressInfo } from 'node:net'
import { addTesting } from './plugins/testing.js'
import type { RegistryHandle } from './registry.js'
import { buildServer } from './server.js'
import type { ServerOptions } from './server.js'
import type { Namespace } from './services/registry/types.js'
import { MemoryDriver } from './services/storage/memory.js'
import type { MemorySnapshot } from './services/storage/memory.js'
import { AwaitedEvents } from './services/testing/awaited-events.js'
import type { TestEvents } from './services/testing/awaited-events.js'
import { Faults } from './services/testing/fault.js'
import type { ActiveFault, Fault } from './services/testing/fault.js'
import type { Fixture } from './services/testing/fixtures.js'
import { forgetContent } from './services/testing/forget.js'
import type { RecordedRequest } from './services/testing/recorded-requests.js'
import { seed } from './services/testing/seed.js'
import type { Seeded } from './services/testing/seed.js'

export { artifact, blob, image, index } from './services/testing/fixtures.js'
export type { ArtifactFixture, Files, Fixture, FixtureBlob, ImageFixture, Platform } from './services/testing/fixtures.js'
export type { ActiveFault, Fault, FaultKind, FaultStatus } from './services/testing/fault.js'
export type { NextEvent, TestEvents } from './services/testing/awaited-events.js'
export type { RecordedRequest } from './services/testing/recorded-requests.js'
export type { Seeded } from './services/testing/seed.js'
export type { MemorySnapshot } from './services/storage/memory.js'

/** A registry that runs in this process and listens on a free port of the loopback interface. */
export interface TestRegistry extends AsyncDisposable {
  /** For HTTP clients: `http://127.0.0.1:12345`. */
  readonly url: string
  /** For image references: `127.0.0.1:12345`. */
  readonly host: string
  /** What happens in it, to be waited for: pushes, pulls, mounts, deletes. */
  readonly events: TestEvents
  /** Requests it got, oldest first; the last 10,000 of them. Yours to empty: `requests.length = 0`. */
  readonly requests: RecordedRequest[]
  /** What embedders get as well: garbage collection out of turn, `explain` and so on. */
  readonly handle: RegistryHandle
  /**
   * Has something go wrong, once unless `times` says otherwise.
   *
   * @throws {TypeError} when nothing, or something unknown, is to go wrong
   *
   * @example
   * registry.fail({ method: 'PATCH', after: 2_000_000, as: 'reset' })
   * registry.fail({ path: /\/manifests\//, as: 429, retryAfter: 1, times: 2 })
   */
  fail (fault: Fault): ActiveFault
  /** Ends all faults. */
  heal (): void
  /**
   * Fills it with an image that was built in code, or with all images of an OCI layout directory; past access rules,
   * policies, faults and events.
   *
   * @param target `team/app:1.0`; or `team/app`, where tags are those of the layout
   */
  seed (what: Fixture | string, target: string): Promise<Seeded[]>
  /** What it holds now. Costs no copy of the content. @throws {TypeError} when its storage is not the one in memory */
  snapshot (): MemorySnapshot
  /** Holds again what it held then. Not to be called while pushes are under way. */
  restore (snapshot: MemorySnapshot): Promise<void>
  /** Ends all connections and everything it holds. Also by `await using`. */
  close (): Promise<void>
}

/**
 * Starts a real registry for a test: in memory unless `storage` says otherwise, deletes allowed.
 *
 * @throws {ConfigError} when the options cannot be used
 *
 * @example
 * await using registry = await startRegistry()
 * const answer = await fetch(`${registry.url}/v2/`)
 */
export async function startRegistry (options: ServerOptions = {}): Promise<TestRegistry> {
  const faults = new Faults()
  const requests: RecordedRequest[] = []
  const { memory, parts, complete } = prepared(options)
  const app = buildServer(complete)
  const host = (): string => `127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const url = (): string => `${options.tls === undefined ? 'http' : 'https'}://${host()}`
  const { realm, service } = options.auth?.token ?? {}
  addTesting(app, { faults, requests, realm: () => realm ?? `${url()}/token`, service: () => service ?? host() })
  try {
    await app.listen({ host: '127.0.0.1', port: 0 })
  } catch (error) {
    await app.close()
    throw error
  }
  const { handle, namespace } = parts as Required<typeof parts>
  const events = new AwaitedEvents(handle.events)
  const close = async (): Promise<void> => {
    events.close()
    app.server.closeAllConnections()
    await app.close()
  }
  return {
    url: url(),
    host: host(),
    events,
    requests,
    handle,
    fail: fault => faults.add(fault),
    heal: () => { faults.clear() },
    seed: async (what, target) => await seed(namespace, what, target),
    snapshot: () => inMemory(memory).snapshot(),
    async restore (snapshot) {
      const driver = inMemory(memory)
      await forgetContent(driver, namespace)
      driver.restore(snapshot)
      await forgetContent(driver, namespace)
    },
    close,
    [Symbol.asyncDispose]: close
  }
}

interface Parts { handle?: RegistryHandle, namespace?: Namespace }

/** What the registry is given, and what it gives away when it is ready. */
function prepared (options: ServerOptions): { memory: MemoryDriver | undefined, parts: Parts, complete: ServerOptions } {
  const { storage = { inmemory: {}, delete: { enabled: true } }, instances = {}, onReady } = options
  const { driver, middleware } = instances
  const memory = driver === undefined && 'inmemory' in storage ? new MemoryDriver() : undefined
  const parts: Parts = {}
  const keep = (namespace: Namespace): Namespace => {
    parts.namespace = namespace
    return namespace
  }
  const complete: ServerOptions = {
    ...options,
    storage,
    instances: {
      ...instances,
      ...(memory === undefined ? {} : { driver: memory }),
      middleware: { ...middleware, registry: [keep, ...middleware?.registry ?? []] }
    },
    onReady (handle) {
      parts.handle = handle
      onReady?.(handle)
    }
  }
  return { memory, parts, complete }
}

function inMemory (memory: MemoryDriver | undefined): MemoryDriver {
  if (memory === undefined) throw new TypeError('only a registry on storage of its own in memory has snapshots')
  return memory
}
