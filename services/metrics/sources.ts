import type { CacheStats } from '../cache/descriptors.js'
import type { GarbageCollectionStatus } from '../garbage/garbage-collection.js'
import type { UploadPurgeStatus } from '../maintenance/upload-purge.js'
import type { EndpointStats } from '../notifications/endpoint.js'
import type { Source } from './registry-metrics.js'

type Sample = ReturnType<Source['read']>[number]

/** What the parts of the registry count by themselves. */
export interface Counted {
  /** Undefined without a cache. */
  readonly cache: (() => CacheStats) | undefined
  readonly endpoints: () => readonly EndpointStats[]
  readonly uploads: () => { readonly opened: number, readonly resumed: number }
  readonly purge: () => UploadPurgeStatus
  readonly collection: () => GarbageCollectionStatus
  readonly verify: () => { readonly runs: number, readonly failures: number, readonly last: { readonly corrupt: number, readonly missing: number } | null }
  /** By rule. */
  readonly policy: () => Readonly<Record<string, { readonly denied: number, readonly audited: number, readonly failed: number }>>
  readonly failingChecks: () => Readonly<Record<string, string>>
}

/** Metrics made of them when somebody asks. */
export function sources ({ cache, endpoints, uploads, purge, collection, verify, policy, failingChecks }: Counted): Source[] {
  return [
    ...cache === undefined ? [] : cacheSources(cache),
    ...notificationSources(endpoints),
    counter('uploads_opened_total', 'Upload sessions that began', () => uploads().opened),
    counter('uploads_resumed_total', 'Requests that went on with an upload session that held bytes already', () => uploads().resumed),
    counter('uploads_purged_total', 'Upload sessions that nobody finished and the purge removed', () => purge().deleted),
    counter('uploads_purged_bytes_total', 'Bytes of those', () => purge().bytes),
    counter('garbage_collection_runs_total', 'Garbage collections that came to their end', () => collection().runs),
    counter('garbage_collection_failures_total', 'Garbage collections that failed', () => collection().failures),
    counter('garbage_collection_deleted_blobs_total', 'Blobs that garbage collection deleted', () => collection().blobs),
    counter('garbage_collection_deleted_manifests_total', 'Manifests that garbage collection deleted', () => collection().manifests),
    counter('garbage_collection_deleted_bytes_total', 'Bytes that garbage collection deleted', () => collection().bytes),
    gauge('garbage_collection_running', '1 while garbage is collected', () => collection().running ? 1 : 0),
    counter('verify_runs_total', 'Verifications that came to their end', () => verify().runs),
    counter('verify_failures_total', 'Verifications that failed', () => verify().failures),
    gauge('verify_corrupt', 'What the last verification found corrupt', () => verify().last?.corrupt ?? 0),
    gauge('verify_missing', 'What the last verification found missing', () => verify().last?.missing ?? 0),
    {
      name: 'registry_policy_decisions_total',
      help: 'What rules and hooks refused, would have refused in audit mode, or could not be asked about',
      type: 'counter',
      labels: ['rule', 'decision'],
      read: () => Object.entries(policy()).flatMap(([rule, counts]) => Object.entries(counts).map(([decision, value]) => ({ labels: { rule, decision }, value })))
    },
    {
      name: 'registry_health_check_failing',
      help: '1 for every health check that fails, in any process',
      type: 'gauge',
      labels: ['check'],
      read: () => Object.keys(failingChecks()).map(check => ({ labels: { check }, value: 1 }))
    }
  ]
}

function cacheSources (stats: () => CacheStats): Source[] {
  return [
    counter('storage_cache_requests_total', 'What was asked of the descriptor cache', () => stats().requests),
    counter('storage_cache_hits_total', 'What it knew', () => stats().hits),
    counter('storage_cache_misses_total', 'What it did not know', () => stats().misses),
    counter('storage_cache_errors_total', 'Operations of the descriptor cache that failed', () => stats().errors)
  ]
}

/** The first three are those of docker's registry. */
function notificationSources (endpoints: Counted['endpoints']): Source[] {
  const each = (read: (stats: EndpointStats) => Sample[]): Source['read'] => () =>
    endpoints().flatMap(stats => read(stats).map(({ labels, value }) => ({ labels: { ...labels, endpoint: stats.endpoint }, value })))
  const events = each(({ events, successes, failures, errors }) =>
    Object.entries({ Events: events, Successes: successes, Failures: failures, Errors: errors }).map(([type, value]) => ({ labels: { type }, value })))
  return [
    { name: 'registry_notifications_events_total', help: 'Events, by what became of them', type: 'counter', labels: ['type', 'endpoint'], read: events },
    { name: 'registry_notifications_pending_total', help: 'Events that wait', type: 'gauge', labels: ['endpoint'], read: each(({ pending }) => [{ value: pending }]) },
    {
      name: 'registry_notifications_status_total',
      help: 'Answers of endpoints',
      type: 'counter',
      labels: ['code', 'endpoint'],
      read: each(({ statuses }) => Object.entries(statuses).map(([code, value]) => ({ labels: { code }, value })))
    },
    { name: 'registry_notifications_dropped_total', help: 'Events that had to make room, or could not be kept', type: 'counter', labels: ['endpoint'], read: each(({ dropped }) => [{ value: dropped }]) },
    { name: 'registry_notifications_oldest_seconds', help: 'Age of the event that waits longest', type: 'gauge', labels: ['endpoint'], read: each(({ oldestSeconds }) => [{ value: oldestSeconds }]) }
  ]
}

function counter (name: string, help: string, read: () => number): Source {
  return { name: `registry_${name}`, help, type: 'counter', read: () => [{ value: read() }] }
}

function gauge (name: string, help: string, read: () => number): Source {
  return { ...counter(name, help, read), type: 'gauge' }
}
