const UNITS: Readonly<Record<string, number>> = {
  '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40
}

/** Whether the text is a number of bytes, with or without a unit: `1048576`, `500MB`, `1.5 GiB`. */
export function isBytes (text: string): boolean {
  return read(text) !== undefined
}

/** The number of bytes. The text was validated. */
export function parseBytes (text: string): number {
  return read(text) ?? NaN
}

function read (text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([kmgt]?i?b|)$/i.exec(text)
  const unit = UNITS[match?.[2]?.toLowerCase() ?? '']
  const bytes = Math.floor(Number(match?.[1]) * (unit ?? NaN))
  return match !== null && Number.isSafeInteger(bytes) ? bytes : undefined
}
