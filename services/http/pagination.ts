import { OciError } from '../errors/oci-error.js'
import type { PageRequest } from '../registry/types.js'

export interface PaginationQuery { readonly n?: string | undefined, readonly last?: string | undefined }

/**
 * Reads `n` and `last`; both count as absent when empty.
 *
 * @throws {OciError} PAGINATION_NUMBER_INVALID when `n` is not a plain number
 */
export function parsePagination ({ n, last }: PaginationQuery): PageRequest {
  return { ...limitOf(n), ...(last === undefined || last === '' ? {} : { last }) }
}

/** A path-only `Link` to the next page, parameters in the order docker's registry has them. */
export function nextLink (path: string, { last, limit }: { last: string, limit: number }): string {
  return `<${path}?last=${encodeURIComponent(last)}&n=${limit}>; rel="next"`
}

function limitOf (n: string | undefined): { limit?: number } {
  if (n === undefined || n === '') return {}
  if (!/^\d{1,15}$/.test(n)) {
    throw new OciError('PAGINATION_NUMBER_INVALID', { detail: { n: /^-?\d{1,15}$/.test(n) ? Number(n) : n.slice(0, 64) } })
  }
  return { limit: Number(n) }
}
