const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 }
const SIZE = /^(\d+(?:\.\d+)?) ?([kmgt]?i?b)?$/i
const NAMES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** Whether the text is a number of bytes such as `50MB`, `1.5 GiB` or `1000000`, and more than none. */
export function isBytes (text: string): boolean {
  return parseBytes(text) >= 1
}

/** `50MB` is fifty million bytes, `50MiB` a little more. NaN for what is no size. */
export function parseBytes (text: string): number {
  const [, number, unit = ''] = SIZE.exec(text) ?? []
  return number === undefined ? NaN : Number(number) * (UNITS[unit.toLowerCase()] ?? NaN)
}

/** `1.5 GB`, in powers of ten. */
export function formatBytes (bytes: number): string {
  const power = Math.min(NAMES.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)))
  const value = bytes / 1000 ** power
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${NAMES[power] ?? 'B'}`
}
