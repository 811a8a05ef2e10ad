import { v7 as uuid } from 'uuid'
import type { Locations, RequestOrigin } from '../http/locations.js'
import type { Digest, RepositoryName, Tag } from '../reference/reference.js'
import type { Descriptor, StoredManifest } from '../registry/types.js'
import type { RepositoryListener } from './bridge.js'
import type { TraceContext } from '../tracing/trace-context.js'
import type { ActorRecord, EventAction, EventDescriptor, EventTarget, RegistryEvent, RequestRecord, SourceRecord } from './event.js'

/** What the events of one request have in common, and where they go. */
export interface EventContext {
  readonly repository: RepositoryName
  readonly request: RequestRecord
  readonly actor: ActorRecord
  readonly source: SourceRecord
  /** Undefined where requests are not traced. */
  readonly trace: TraceContext | undefined
  readonly locations: Locations
  readonly origin: RequestOrigin
  /** Lists what manifests refer to. */
  readonly includeReferences: boolean
  /** Whether finding something means that it is pulled. */
  readonly pulls: boolean
  /** Resolves when the event is kept, or when it is not worth waiting for that any longer. */
  readonly emit: (event: RegistryEvent) => Promise<void>
  /** Calls back when the client has its answer, with the status. */
  readonly whenServed: (callback: (status: number) => void) => void
}

/** Makes the events of one request, with the fields and at the moments that docker's registry does. */
export class RequestListener implements RepositoryListener {
  readonly #context: EventContext

  constructor (context: EventContext) {
    this.#context = context
  }

  async blobPushed (descriptor: Descriptor): Promise<void> {
    await this.#emit('push', this.#blob(descriptor))
  }

  /** A client that has the blob already and hears so (304) is counted too. */
  blobFound (descriptor: Descriptor): void {
    const { pulls, whenServed } = this.#context
    if (pulls) whenServed(status => { if (status < 400) void this.#emit('pull', this.#blob(descriptor)) })
  }

  async blobMounted (descriptor: Descriptor, from: RepositoryName): Promise<void> {
    await this.#emit('mount', this.#blob(descriptor, from))
  }

  async blobDeleted (digest: Digest): Promise<void> {
    await this.#emit('delete', this.#deleted(digest))
  }

  async manifestPushed (manifest: StoredManifest, tag: Tag | undefined): Promise<void> {
    await this.#emit('push', this.#manifest(manifest, tag))
  }

  /** A client that has the manifest already and hears so (304) is not counted. */
  manifestFound (manifest: StoredManifest, tag: Tag | undefined): void {
    const { pulls, whenServed } = this.#context
    if (pulls) whenServed(status => { if (status < 300) void this.#emit('pull', this.#manifest(manifest, tag)) })
  }

  async manifestDeleted (digest: Digest): Promise<void> {
    await this.#emit('delete', this.#deleted(digest))
  }

  async tagDeleted (tag: Tag): Promise<void> {
    await this.#emit('delete', { ...this.#deleted(''), tag })
  }

  async #emit (action: EventAction, target: EventTarget): Promise<void> {
    const { request, actor, source, trace, emit } = this.#context
    await emit({ id: uuid(), timestamp: new Date().toISOString(), action, target, request, actor, source, ...trace })
  }

  #blob ({ mediaType, digest, size }: Descriptor, fromRepository?: RepositoryName): EventTarget {
    const { repository, locations, origin } = this.#context
    const from = fromRepository === undefined ? {} : { fromRepository }
    return { mediaType, digest, size, ...length(size), repository, ...from, url: locations.blob(origin, repository, digest) }
  }

  #manifest ({ descriptor: { mediaType, digest, size }, bytes }: StoredManifest, tag: Tag | undefined): EventTarget {
    const { repository, locations, origin, includeReferences } = this.#context
    const references = includeReferences ? referencesOf(bytes) : []
    return {
      mediaType,
      digest,
      size,
      ...length(size),
      repository,
      url: locations.manifest(origin, repository, digest),
      ...(tag === undefined ? {} : { tag }),
      ...(references.length === 0 ? {} : { references })
    }
  }

  #deleted (digest: Digest | ''): EventTarget {
    return { mediaType: '', digest, size: 0, repository: this.#context.repository }
  }
}

/** The reference leaves it out when there is nothing. */
function length (size: number): { length?: number } {
  return size === 0 ? {} : { length: size }
}

/** Config and layers of an image, or the manifests of an index, in their order. */
function referencesOf (bytes: Buffer): readonly EventDescriptor[] {
  try {
    const { config, layers, manifests } = JSON.parse(bytes.toString('utf8')) as { config?: unknown, layers?: unknown, manifests?: unknown }
    return [config, layers, manifests].flat().filter(isDescriptor)
  } catch {
    // Stored by another registry: it has been served, and there is nothing to say about it.
    return []
  }
}

function isDescriptor (value: unknown): value is EventDescriptor {
  return typeof value === 'object' && value !== null && 'digest' in value
}
