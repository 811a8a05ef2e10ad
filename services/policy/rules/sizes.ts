import { parseBytes } from '../../config/bytes.js'
import { concurrently } from '../../registry/concurrently.js'
import type { Denial, ManifestQuestion } from '../hooks.js'
import type { PolicyRule } from '../rule.js'
import { scopedRule } from './scope.js'
import type { Scope } from './scope.js'

export interface SizesEntry extends Scope { readonly layer?: string, readonly image?: string }

/** The largest blob, and the largest image. */
export function sizes (name: string, { layer, image, ...scope }: SizesEntry): PolicyRule {
  return scopedRule(name, scope, {
    ...(layer === undefined ? {} : { beforePush: blobLimit(name, layer) }),
    ...(image === undefined ? {} : { beforeManifest: imageLimit(name, image) })
  })
}

function blobLimit (policy: string, max: string): NonNullable<PolicyRule['hooks']['beforePush']> {
  const maxBytes = parseBytes(max)
  const limit = (bytes: number): Denial | undefined =>
    bytes > maxBytes ? { deny: `a layer may have ${max}, this one has ${bytes} bytes or more`, detail: { policy, max: maxBytes, bytes } } : undefined
  // Where there is a descriptor all of it is known, and nothing has been stored.
  return ({ descriptor }) => descriptor === undefined ? { limit } : limit(descriptor.size)
}

function imageLimit (policy: string, max: string): (question: ManifestQuestion) => Promise<Denial | undefined> {
  const maxBytes = parseBytes(max)
  return async ({ manifest: { blobs }, sizeOf }) => {
    const unique = [...new Map(blobs.map(({ digest, size }) => [digest, size]))]
    // What storage says counts; a manifest may say anything.
    const found = await concurrently(unique, async ([digest, declared]) => await sizeOf(digest) ?? declared)
    const bytes = found.reduce((total, size) => total + size, 0)
    return bytes > maxBytes ? { deny: `an image may have ${max}, this one has ${bytes} bytes`, detail: { policy, max: maxBytes, bytes } } : undefined
  }
}
