import type { Grant } from '../auth/access.js'
import type { OciCode } from '../errors/oci-error.js'
import type { Digest, Reference, RepositoryName, Tag } from '../reference/reference.js'
import type { ManifestContent } from '../registry/manifest-content.js'
import type { Descriptor } from '../registry/types.js'

/** What every hook is told. */
export interface PolicyQuestion {
  /** Who asks, as the access controller let them in. */
  readonly grant: Grant
  readonly repository: RepositoryName
  /** True when somebody only wants to know what would be said: nothing is going to happen. */
  readonly rehearsal: boolean
  /** Aborted when the hook's time is up. */
  readonly signal: AbortSignal
  /** Calls back once, when what was asked about is over: with true if it was done. For an upload, when its request ends. */
  readonly onEnd: (callback: (done: boolean) => void | Promise<void>) => void
}

/**
 * A blob is to be pushed. Asked before any byte of it is read, in each request that brings some (`start`, `resume`), and
 * once more when its bytes have been verified and nothing is linked yet (`finish`), or when it is to be mounted.
 */
export interface PushQuestion extends PolicyQuestion {
  readonly stage: 'start' | 'resume' | 'finish' | 'mount'
  /** The digest the client named; at a start it may not have named any. */
  readonly digest?: Digest
  /** Canonical digest and size; of `finish` and `mount`. */
  readonly descriptor?: Descriptor
  /** Id of the upload session, once there is one. */
  readonly upload?: string
  /** Where a blob is mounted from. */
  readonly from?: RepositoryName
}

/** A manifest is to be pushed; it and what it refers to have been verified, and nothing of it is stored yet. */
export interface ManifestQuestion extends PolicyQuestion {
  readonly reference: Reference
  /** All tags that the push sets. */
  readonly tags: readonly Tag[]
  readonly descriptor: Descriptor
  /** The digest under which its bytes lie in storage. */
  readonly canonical: Digest
  readonly manifest: ManifestContent
  /** The config of an image manifest, read and parsed when asked for; undefined when there is none, or it is not JSON. */
  readonly config: () => Promise<unknown>
  /** Size of a blob or manifest of the repository, as storage has it; undefined when it is not here. */
  readonly sizeOf: (digest: Digest) => Promise<number | undefined>
}

/** A tag is to be set, by a push to it or with the `tag` parameters of a push by digest, or to be deleted, alone or with its manifest. */
export interface TagQuestion extends PolicyQuestion {
  readonly tag: Tag
  readonly change: 'set' | 'delete'
  /** What it is to point at; undefined when it is deleted, and in a rehearsal, where nobody has pushed anything. */
  readonly digest?: Digest
  /** The manifest with that digest, where a push sets the tag. */
  readonly descriptor?: Descriptor
  readonly manifest?: ManifestContent
  /** Its config, as in {@link ManifestQuestion}. */
  readonly config: () => Promise<unknown>
  /** What it points at now. */
  readonly current: () => Promise<Digest | undefined>
}

/** Content that is here is to be served: GET and HEAD of a manifest or a blob, or a mount of a blob of this repository elsewhere. */
export interface PullQuestion extends PolicyQuestion {
  readonly kind: 'manifest' | 'blob'
  readonly reference: Reference
  readonly descriptor: Descriptor
  /** The bytes of a manifest. */
  readonly bytes?: Buffer
  /** The same, parsed when asked for; undefined for a blob, and for what another registry has stored and is no manifest here. */
  readonly manifest: () => ManifestContent | undefined
  /** The config of an image manifest, read and parsed when asked for; undefined when there is none, or it is not JSON. */
  readonly config: () => Promise<unknown>
}

/** Something is to be deleted. What it is, is read when asked for; undefined when it is not there, or has no such thing. */
export interface DeleteQuestion extends PolicyQuestion {
  readonly kind: 'manifest' | 'tag' | 'blob'
  readonly reference: Reference
  readonly descriptor: () => Promise<Descriptor | undefined>
  /** Of a tag, the manifest that it points at. */
  readonly manifest: () => Promise<ManifestContent | undefined>
  readonly config: () => Promise<unknown>
}

/** What was done. A manifest that is pushed by tag, or with tags, has them in `tags`. */
export interface PushNotice extends PolicyQuestion {
  readonly kind: 'manifest' | 'blob' | 'mount'
  readonly descriptor: Descriptor
  readonly tags: readonly Tag[]
  /** What a manifest was pushed by. */
  readonly reference?: Reference
  /** Of a manifest. */
  readonly manifest?: ManifestContent
  /** Its config, as in {@link ManifestQuestion}. */
  readonly config: () => Promise<unknown>
  /** Where a blob was mounted from. */
  readonly from?: RepositoryName
}

/**
 * The client has what it pulled: its answer has been handed to the network in full, or says where storage serves it. Not
 * of HEAD, nor where it had the content already (304).
 */
export type PullNotice = Omit<PullQuestion, 'bytes'>

export interface DeleteNotice extends PolicyQuestion {
  readonly kind: 'manifest' | 'tag' | 'blob'
  readonly reference: Reference
  /** Those that are gone: the tag itself, or all that pointed at the manifest. */
  readonly tags: readonly Tag[]
}

/** No, and why. */
export interface Denial {
  /** What the client is told; docker shows it to its user. */
  readonly deny: string
  /** Default `DENIED`, a 403, which docker does not try again. */
  readonly code?: OciCode
  /** Whatever helps, as JSON. */
  readonly detail?: unknown
}

/** Yes, with a remark: a `Warning` header. */
export interface Remark { readonly warn: string | readonly string[] }

/** Judges what an upload, by its session's id, is about to hold in all, in bytes, before it is written. */
export type UploadLimit = (bytes: number, upload: string) => Denial | undefined | Promise<Denial | undefined>

/** Yes, as long as the upload keeps to a limit; of `start` and `resume`. */
export interface Allowance extends Partial<Remark> { readonly limit: UploadLimit }

/** Nothing is a yes. */
export type Verdict = Denial | Remark | undefined

type Answer<T> = T | void | Promise<T | void>
type OneOrMore<T> = T | readonly T[]
/** The hooks of one name, asked in order until one says no. */
export type Hook<Q, V> = OneOrMore<(question: Q) => Answer<V>>

/**
 * Policy in code: each hook may refuse, remark, or say nothing. A hook that throws, or takes longer than
 * `policy.hooks.timeout`, refuses a push or a delete; for a pull `policy.hooks.failedreads` decides. An `OciError` with a
 * status below 500 that it throws is a refusal like any other.
 */
export interface PolicyHooks {
  readonly beforePush?: Hook<PushQuestion, Verdict | Allowance>
  readonly beforeManifest?: Hook<ManifestQuestion, Verdict>
  readonly beforeTag?: Hook<TagQuestion, Verdict>
  readonly beforePull?: Hook<PullQuestion, Verdict>
  readonly beforeDelete?: Hook<DeleteQuestion, Verdict>
  /** Told when it is done, and the answer is on its way. Nobody waits for it, except the server when it stops. */
  readonly afterPush?: Hook<PushNotice, undefined>
  readonly afterPull?: Hook<PullNotice, undefined>
  readonly afterDelete?: Hook<DeleteNotice, undefined>
}
