import type { Digest, RepositoryName, Tag } from '../reference/reference.js'

export type EventAction = 'push' | 'pull' | 'mount' | 'delete'

/** An entry of a manifest, as the manifest has it. */
export interface EventDescriptor {
  readonly mediaType?: string
  readonly digest?: string
  readonly size?: number
}

/** What was pushed, pulled, mounted or deleted. Keys and their order are those of docker's registry. */
export interface EventTarget {
  /** Empty on delete. */
  readonly mediaType: string
  /** Empty when a tag was deleted. */
  readonly digest: Digest | ''
  /** In bytes; 0 on delete. */
  readonly size: number
  /** The same as `size`; not on delete. */
  readonly length?: number
  readonly repository: RepositoryName
  /** Where a blob was mounted from. */
  readonly fromRepository?: RepositoryName
  /** Where it is, by digest; not on delete. */
  readonly url?: string
  /** The tag that was pushed, pulled by, or deleted. */
  readonly tag?: Tag
  /** What a manifest refers to, with `notifications.events.includereferences`. */
  readonly references?: readonly EventDescriptor[]
}

/** The request that something happened in. */
export interface RequestRecord {
  readonly id: string
  readonly addr?: string
  readonly host?: string
  readonly method: string
  readonly useragent: string
}

/** Who did it; without a name when nobody said who they are. */
export interface ActorRecord { readonly name?: string }

/** Which process of which host it happened in. */
export interface SourceRecord { readonly addr: string, readonly instanceID: string }

/** Something that happened in a repository. The same bytes go to every endpoint, under the same id in every attempt. */
export interface RegistryEvent {
  readonly id: string
  /** RFC 3339, in UTC. */
  readonly timestamp: string
  readonly action: EventAction
  readonly target: EventTarget
  readonly request: RequestRecord
  readonly actor: ActorRecord
  readonly source: SourceRecord
  /** The trace it happened in, as W3C's headers name it; where requests are traced. No endpoint of docker's format gets them. */
  readonly traceparent?: string
  readonly tracestate?: string
}

/** Content that is there: on push, pull and mount. */
type ContentTarget = EventTarget & { readonly digest: Digest, readonly length?: number, readonly url: string }

/** What subscribers get, by action. */
export interface EventsByAction {
  readonly push: RegistryEvent & { readonly action: 'push', readonly target: ContentTarget }
  readonly pull: RegistryEvent & { readonly action: 'pull', readonly target: ContentTarget }
  readonly mount: RegistryEvent & { readonly action: 'mount', readonly target: ContentTarget & { readonly fromRepository: RepositoryName } }
  readonly delete: RegistryEvent & { readonly action: 'delete' }
}

/** Takes events and keeps them or passes them on. Throws when they were not taken. */
export interface EventSink {
  write (events: readonly RegistryEvent[], signal: AbortSignal): Promise<void>
}
