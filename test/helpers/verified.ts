import { Readable } from 'node:stream'
import { parseReference, parseRepositoryName } from '../../services/reference/reference.js'
import type { Digest, RepositoryName } from '../../services/reference/reference.js'
import { StorageNamespace } from '../../services/registry/namespace.js'
import { STRICT } from '../../services/registry/reference-check.js'
import type { Repository } from '../../services/registry/types.js'
import type { StorageDriver } from '../../services/storage/driver.js'
import { UploadSessions } from '../../services/uploads/sessions.js'
import type { Finding } from '../../services/verify/finding.js'
import { formatFinding } from '../../services/verify/report.js'
import { verify } from '../../services/verify/verify.js'
import type { VerifyOptions, VerifyResult } from '../../services/verify/verify.js'
import type { Manifest } from './images.js'
import { recordingLog } from './log.js'

export const NAME = parseRepositoryName('team/app')
export const OTHER = parseRepositoryName('team/other')
const HOUR = 3_600_000

/** An hour ahead, so that nothing the test wrote is young; waits for nothing. */
export const LATER = { now: (): number => Date.now() + HOUR, sleep: async (): Promise<void> => {} }

export function open (driver: StorageDriver, name: RepositoryName = NAME): Repository {
  return new StorageNamespace({ driver, uploads: new UploadSessions({ driver }) }).repository(name)
}

export async function pushBlob ({ blobs }: Repository, bytes: Uint8Array, digest: Digest): Promise<void> {
  await using session = await blobs.startUpload()
  await session.append(Readable.from([Buffer.from(bytes)], { objectMode: false }))
  await blobs.commitUpload(session, digest)
}

/** A manifest with its blobs, under a tag or a digest. */
export async function push (repository: Repository, manifest: Manifest, reference = 'latest'): Promise<void> {
  for (const { bytes, digest } of manifest.blobs) await pushBlob(repository, bytes, digest)
  await repository.manifests.put(manifest.bytes, { mediaType: manifest.mediaType, reference: parseReference(reference) })
}

/** Verifies, and returns the findings as people see them, digests cut. */
export async function verified (driver: StorageDriver, options: Partial<VerifyOptions> = {}): Promise<{ result: VerifyResult, findings: Finding[], lines: string[] }> {
  const findings: Finding[] = []
  const result = await verify({ driver, repair: false, validation: STRICT, onFinding: finding => findings.push(finding), log: recordingLog().log, clock: LATER, ...options })
  return { result, findings, lines: findings.map(finding => short(formatFinding(finding))) }
}

/** `sha256:0123456789abcdef…` is `sha256:01234567`. */
export function short (text: string): string {
  return text.replace(/(sha(?:256|512):[0-9a-f]{8})[0-9a-f]+/g, '$1')
}

/** Everything that is stored, by path. */
export async function stored (driver: StorageDriver, path = '/'): Promise<string[]> {
  const names = await driver.list(path)
  const below = await Promise.all(names.map(async name => {
    const child = path === '/' ? `/${name}` : `${path}/${name}`
    return (await driver.stat(child)).isDirectory ? await stored(driver, child) : [child]
  }))
  return below.flat()
}
