import { crc32 } from 'node:zlib'
import type { RegistryEvent } from './event.js'

/** One line of a journal: which event it is, and the event. */
export interface JournalRecord { readonly index: number, readonly event: RegistryEvent }

/** `<crc32 of the rest> <index> <json>`, and the end of the line, by which a record that was cut off is known. */
export function formatRecord (index: number, json: string): string {
  const rest = `${index} ${json}`
  return `${checksum(rest)} ${rest}\n`
}

/** Undefined for a line that is not as it was written. */
export function parseRecord (line: string): JournalRecord | undefined {
  const rest = line.slice(9)
  if (line[8] !== ' ' || line.slice(0, 8) !== checksum(rest)) return undefined
  const space = rest.indexOf(' ')
  return { index: Number(rest.slice(0, space)), event: JSON.parse(rest.slice(space + 1)) as RegistryEvent }
}

/** Records of a piece of a journal, and how many bytes of it they and what is broken between them take. */
export interface ParsedRecords { readonly records: readonly JournalRecord[], readonly length: number }

/** All that are whole. */
export function parseRecords (bytes: Buffer): ParsedRecords {
  const length = bytes.lastIndexOf(0x0a) + 1
  const lines = bytes.toString('utf8', 0, length).split('\n')
  return { length, records: lines.map(parseRecord).filter(record => record !== undefined) }
}

/** `<crc32> <index>`, of fixed length: it is written over its predecessor. */
export function formatAcknowledged (index: number): string {
  const text = String(index).padStart(16, '0')
  return `${checksum(text)} ${text}\n`
}

/** Undefined for one that is not as it was written. */
export function parseAcknowledged (line: string): number | undefined {
  const text = line.slice(9, 25)
  return line.length === 26 && line.slice(0, 8) === checksum(text) ? Number(text) : undefined
}

function checksum (text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}
