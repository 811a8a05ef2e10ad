/** What a terminal or an editor would act on instead of showing it: C1 controls, line separators, marks of direction. */
const UNPRINTABLE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g
/** Needs no escape in JSON, and nowhere else: printable ASCII, and the µ of durations. */
const SIMPLE = /^[ !#-[\]-~\u00b5]*$/

/** A text in double quotes, escaped as in JSON, with nothing in it that could end its line or pretend to be another. */
export function quoted (text: string): string {
  return SIMPLE.test(text) ? `"${text}"` : escaped(JSON.stringify(text))
}

/** Any value as JSON on one line, escaped in the same way; undefined is null. */
export function jsonValue (value: unknown): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return escaped(JSON.stringify(value) ?? 'null')
}

function escaped (json: string): string {
  return json.replace(UNPRINTABLE, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** No more of a text than is useful in a log. */
export function clipped (text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text
}
