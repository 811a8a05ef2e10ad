import type { Page, PageRequest } from './types.js'

/** The page of a list that is sorted in byte order. */
export function pageOf<T extends string> (sorted: readonly T[], { limit = Infinity, last }: PageRequest): Page<T> {
  const from = last === undefined ? 0 : firstFrom(sorted, last)
  const start = from < sorted.length && sorted[from] === last ? from + 1 : from
  const end = Math.min(sorted.length, start + limit)
  // an empty page has nothing to go on from.
  return { items: sorted.slice(start, end), more: limit > 0 && end < sorted.length }
}

/** Where the first of the names is that does not come before `name`, in a list that is sorted in byte order. */
export function firstFrom (sorted: readonly string[], name: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as string) < name) low = middle + 1
    else high = middle
  }
  return low
}
