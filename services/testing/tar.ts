const BLOCK = 512

export interface TarEntry {
  /** At most 100 bytes; a directory ends in a slash. */
  readonly path: string
  readonly content?: Uint8Array
}

/** A ustar archive of files and directories that all belong to root and date from 1970. */
export function tar (entries: readonly TarEntry[]): Buffer {
  const parts = entries.flatMap(({ path, content = Buffer.alloc(0) }) => [header(path, content.length), content, padding(content.length)])
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)])
}

function header (path: string, size: number): Buffer {
  const isDirectory = path.endsWith('/')
  const block = Buffer.alloc(BLOCK)
  const octal = (value: number, offset: number, width: number): void => { block.write(value.toString(8).padStart(width - 1, '0'), offset) }
  block.write(path, 0)
  octal(isDirectory ? 0o755 : 0o644, 100, 8)
  octal(0, 108, 8) // owner
  octal(0, 116, 8) // group
  octal(size, 124, 12)
  octal(0, 136, 12) // modified
  block.fill(' ', 148, 156) // the checksum counts itself as spaces
  block.write(isDirectory ? '5' : '0', 156)
  block.write('ustar\u000000', 257)
  octal(block.reduce((sum, byte) => sum + byte, 0), 148, 7)
  return block
}

function padding (size: number): Buffer {
  return Buffer.alloc((BLOCK - size % BLOCK) % BLOCK)
}
