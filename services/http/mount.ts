import { isDigest, isRepositoryName } from '../reference/reference.js'
import type { Digest, RepositoryName } from '../reference/reference.js'

export interface MountRequest { readonly digest: Digest, readonly from: RepositoryName }

/**
 * The mount an upload's query asks for. Undefined when it asks for none, or for one that cannot be: the request is
 * then a plain start of an upload. Access is checked and the mount is made on this one reading of the query.
 */
export function parseMount ({ mount = [], from = [] }: { readonly mount?: readonly string[], readonly from?: readonly string[] }, name: RepositoryName): MountRequest | undefined {
  const [digest] = mount
  const [source] = from
  if (digest === undefined || source === undefined || source === name) return undefined
  return isDigest(digest) && isRepositoryName(source) ? { digest, from: source } : undefined
}
