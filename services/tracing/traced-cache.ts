import type { DescriptorCache, Lease, Scope } from '../cache/types.js'
import type { Digest } from '../reference/reference.js'
import type { Descriptor, Eventually } from '../registry/types.js'
import type { Tracing } from './tracing.js'

/**
 * Shows in the trace of a request what the descriptor cache knew. The rest of what is done with it is shown where it
 * goes over the network; in memory it takes less time than the span that would tell of it.
 */
export class TracedCache implements DescriptorCache {
  readonly isShared: boolean
  readonly #inner: DescriptorCache
  readonly #tracing: Tracing

  constructor (inner: DescriptorCache, tracing: Tracing) {
    this.isShared = inner.isShared
    this.#inner = inner
    this.#tracing = tracing
  }

  get (digest: Digest, scope?: Scope): Eventually<Descriptor | undefined> {
    return this.#tracing.step(this.#named('get', digest, scope), note => {
      const known = (found: Descriptor | undefined): Descriptor | undefined => {
        note({ 'oci.cache.hit': found !== undefined })
        return found
      }
      const found = this.#inner.get(digest, scope)
      return found instanceof Promise ? found.then(known) : known(found)
    })
  }

  lease (digest: Digest, scope?: Scope): Eventually<Lease> {
    return this.#remote('lease', digest, scope, () => this.#inner.lease(digest, scope))
  }

  fill (digest: Digest, descriptor: Descriptor, lease: Lease, scope?: Scope): Eventually<void> {
    return this.#remote('fill', digest, scope, () => this.#inner.fill(digest, descriptor, lease, scope))
  }

  release (digest: Digest, scope?: Scope): Eventually<void> {
    return this.#remote('release', digest, scope, () => this.#inner.release(digest, scope))
  }

  clear (digest: Digest, scope?: Scope): Eventually<void> {
    return this.#remote('clear', digest, scope, () => this.#inner.clear(digest, scope))
  }

  #remote<T> (action: string, digest: Digest, scope: Scope | undefined, operation: () => T): T {
    return this.isShared ? this.#tracing.step(this.#named(action, digest, scope), operation) : operation()
  }

  #named (action: string, digest: Digest, scope: Scope | undefined): Parameters<Tracing['step']>[0] {
    const attributes = { 'oci.digest': digest, 'oci.cache.scope': scope === undefined ? 'content' : `${scope.name}/${scope.set}` }
    if (!this.isShared) return { name: `cache ${action}`, attributes }
    return { name: `cache ${action}`, kind: 'client', attributes: { ...attributes, 'db.system.name': 'redis' } }
  }
}
