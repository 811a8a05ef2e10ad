import { formatBytes } from '../config/bytes.js'
import type { Amount, Statistics } from './statistics.js'

/** Two tables for people: what there is, and the largest repositories. Each line ends with a line break. */
export function formatStatistics (statistics: Statistics): string {
  const { repositories, tags, manifests, linked, stored, unique, shared, unlinked, uploads, largest } = statistics
  const overview = [
    ['repositories', String(repositories), ''],
    ['tags', String(tags), ''],
    ['manifests', String(manifests), ''],
    row('linked', linked, 'every repository by itself'),
    row('stored', stored, 'each content once'),
    row('  unique', unique, 'of one repository'),
    row('  shared', shared, 'of several repositories'),
    row('  unlinked', unlinked, 'of none'),
    row('uploads', uploads, 'not closed')
  ]
  const ranking = largest.map(({ name, tags, manifests, blobs, bytes, unique }) =>
    [name, String(tags), String(manifests), String(blobs), formatBytes(bytes), formatBytes(unique)])
  return table(overview, 'lrrl') +
    (ranking.length === 0 ? '' : `\n${table([['largest repositories', 'tags', 'manifests', 'blobs', 'size', 'unique'], ...ranking], 'lrrrrr')}`)
}

function row (what: string, { count, bytes }: Amount, meaning: string): string[] {
  return [what, String(count), formatBytes(bytes), meaning]
}

/** `sides` has an l or an r for each column: where its text stands. */
function table (rows: readonly string[][], sides: string): string {
  const widths = [...sides].map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const cell = (text: string, column: number): string => sides[column] === 'r' ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0)
  return rows.map(row => `${row.map(cell).join('  ').trimEnd()}\n`).join('')
}
