import type { Message } from './workers.js'

/** How a call ended: its value, or what went wrong in words. */
export type Outcome = { readonly value: Message } | { readonly error: string }

/** How a process wants a key: when its owner is done with it, or as soon as the owner can be made to let go. */
export type Want = 'wait' | 'seize'

/** What a call is for: a broadcast, a question to the leader, or whether anybody still works on a key. */
export type CallKind = 'subscribe' | 'serve' | 'settled'

/** From a worker to the primary process. `call` is a number of the sender's. */
export type ToPrimary =
  | { readonly oci: 'hello' }
  | { readonly oci: 'listening', readonly url: string }
  /** It cannot start, for reasons the user can put right. */
  | { readonly oci: 'fatal', readonly lines: readonly string[] }
  | { readonly oci: 'broadcast' | 'ask', readonly call: number, readonly topic: string, readonly message: Message }
  | { readonly oci: 'result', readonly call: number, readonly outcome: Outcome }
  | { readonly oci: 'own', readonly call: number, readonly key: string, readonly how: Want }
  /** Ends what `own` with this number began, whether or not it was granted. */
  | { readonly oci: 'release', readonly call: number, readonly key: string }
  | { readonly oci: 'settled' | 'elsewhere', readonly call: number, readonly key: string }

/** From the primary process to a worker. */
export type ToWorker =
  | { readonly oci: 'welcome', readonly leads: boolean }
  | { readonly oci: 'lead' }
  | { readonly oci: 'stop' }
  | { readonly oci: 'handle', readonly call: number, readonly kind: CallKind, readonly topic: string, readonly message: Message }
  | { readonly oci: 'outcome', readonly call: number, readonly outcome: Outcome }
  | { readonly oci: 'owned', readonly call: number, readonly key: string }
  | { readonly oci: 'wanted', readonly key: string, readonly how: Want }

/** Other code may use the same channel between processes. */
export function isOurs<T extends ToPrimary | ToWorker> (message: unknown): message is T {
  return typeof message === 'object' && message !== null && 'oci' in message
}
