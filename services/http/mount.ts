import { isDigest, isRepositoryName } from '../reference/reference.js'
import type { Digest, RepositoryName } from '../reference/reference.js'

export interface MountRequest {
  readonly digest: Digest
  /** Undefined: from wherever the blob is, if the caller may pull there. */
  readonly from: RepositoryName | undefined
}

/**
 * The mount an upload's query asks for. Undefined when it asks for none, or for one that cannot be: the request is
 * then a plain start of an upload. Access is checked and the mount is made on this one reading of the query.
 */
export function parseMount ({ mount = [], from = [] }: { readonly mount?: readonly string[], readonly from?: readonly string[] }, name: RepositoryName): MountRequest | undefined {
  const [digest] = mount
  const [source] = from
  if (digest === undefined || !isDigest(digest)) return undefined
  if (source === undefined) return { digest, from: undefined }
  return source !== name && isRepositoryName(source) ? { digest, from: source } : undefined
}
