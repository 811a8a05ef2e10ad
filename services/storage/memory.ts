import { Readable } from 'node:stream'
import { DriverError } from '../errors/driver-error.js'
import type { DriverErrorKind } from '../errors/driver-error.js'
import type { ByteRange, FileInfo, FileWriter, StorageDriver } from './driver.js'

class MemoryFile {
  chunks: Buffer[] = []
  size = 0
  modified = new Date()
}
type MemoryDirectory = Map<string, MemoryNode>
type MemoryNode = MemoryFile | MemoryDirectory

/** Everything a driver held at some time. */
export interface MemorySnapshot { readonly root: ReadonlyMap<string, unknown> }

/** Keeps everything in this process and loses it at exit: for tests and `startRegistry()`. No parameters. */
export class MemoryDriver implements StorageDriver {
  readonly name = 'inmemory'
  readonly redirects = false
  #root: MemoryDirectory = new Map()

  async read (path: string, { maxBytes = Infinity }: { readonly maxBytes?: number } = {}): Promise<Buffer> {
    const file = this.#file(path)
    if (file.size > maxBytes) throw this.#error('too-large', path, `longer than ${maxBytes} bytes`)
    return Buffer.concat(file.chunks)
  }

  async write (path: string, content: Uint8Array): Promise<void> {
    const file = new MemoryFile()
    file.chunks = [Buffer.from(content)]
    file.size = content.byteLength
    this.#put(path, file)
  }

  async createReadStream (path: string, range?: ByteRange): Promise<Readable> {
    const { chunks } = this.#file(path)
    return Readable.from(range === undefined ? chunks : slices(chunks, range), { objectMode: false })
  }

  async openWriter (path: string, { append = false }: { readonly append?: boolean } = {}): Promise<FileWriter> {
    if (append) return new MemoryWriter(this.#file(path), () => this.delete(path))
    const file = new MemoryFile()
    this.#put(path, file)
    return new MemoryWriter(file, () => this.delete(path))
  }

  async stat (path: string): Promise<FileInfo> {
    const node = this.#node(path)
    if (node === undefined) throw this.#error('path-not-found', path)
    return node instanceof MemoryFile
      ? { path, size: node.size, isDirectory: false, modified: node.modified }
      : { path, size: 0, isDirectory: true, modified: new Date(0) }
  }

  async list (path: string): Promise<string[]> {
    const node = this.#node(path)
    if (!(node instanceof Map)) throw this.#error('path-not-found', path)
    return [...node.keys()].sort()
  }

  async move (from: string, to: string): Promise<void> {
    const node = this.#node(from)
    if (node === undefined) throw this.#error('path-not-found', from)
    if (to === from) return
    if (to.startsWith(`${from}/`)) throw this.#error('failed', from, 'cannot be moved below itself')
    this.#put(to, node)
    this.#remove(from)
  }

  async delete (path: string): Promise<void> {
    if (!this.#remove(path)) throw this.#error('path-not-found', path)
  }

  async prune (path: string): Promise<boolean> {
    const node = this.#node(path)
    return node instanceof Map && node.size === 0 && this.#remove(path)
  }

  async redirectUrl (): Promise<null> {
    return null
  }

  async close (): Promise<void> {}

  /** What it holds now. Content is not copied: nothing ever changes it. */
  snapshot (): MemorySnapshot {
    return { root: copyOf(this.#root) }
  }

  /** Holds again what it held then. The same snapshot can be gone back to as often as wanted. */
  restore ({ root }: MemorySnapshot): void {
    this.#root = copyOf(root as MemoryDirectory)
  }

  #node (path: string): MemoryNode | undefined {
    let node: MemoryNode | undefined = this.#root
    for (const name of segments(path)) {
      if (!(node instanceof Map)) return undefined
      node = node.get(name)
    }
    return node
  }

  #file (path: string): MemoryFile {
    const node = this.#node(path)
    if (node === undefined) throw this.#error('path-not-found', path)
    if (!(node instanceof MemoryFile)) throw this.#error('failed', path, 'is a directory')
    return node
  }

  #put (path: string, node: MemoryNode): void {
    const names = segments(path)
    const last = names.pop() as string // the guard lets no empty path through
    let directory = this.#root
    for (const name of names) {
      let child = directory.get(name)
      if (child === undefined) directory.set(name, child = new Map())
      if (child instanceof MemoryFile) throw this.#error('path-not-found', path, 'not a directory')
      directory = child
    }
    if (directory.get(last) instanceof Map) throw this.#error('failed', path, 'is a directory')
    directory.set(last, node)
  }

  #remove (path: string): boolean {
    const names = segments(path)
    const last = names.pop() as string
    const parent = this.#node(names.join('/'))
    return parent instanceof Map && parent.delete(last)
  }

  #error (kind: DriverErrorKind, path: string, detail?: string): DriverError {
    return new DriverError(kind, { driver: this.name, path, ...(detail === undefined ? {} : { detail }) })
  }
}

class MemoryWriter implements FileWriter {
  readonly #file: MemoryFile
  readonly #remove: () => Promise<void>

  constructor (file: MemoryFile, remove: () => Promise<void>) {
    this.#file = file
    this.#remove = remove
  }

  get size (): number {
    return this.#file.size
  }

  async write (chunks: readonly Uint8Array[]): Promise<void> {
    // Copied into one buffer: a network chunk is often a small window on a large one and would keep all of it alive.
    const copy = Buffer.concat(chunks)
    if (copy.length === 0) return
    this.#file.chunks = [...this.#file.chunks, copy]
    this.#file.size += copy.length
    this.#file.modified = new Date()
  }

  async truncate (size: number): Promise<void> {
    this.#file.chunks = size === 0 ? [] : slices(this.#file.chunks, { start: 0, end: size - 1 })
    this.#file.size = size
  }

  async close (): Promise<void> {}

  async cancel (): Promise<void> {
    await this.#remove()
  }
}

function copyOf (directory: MemoryDirectory): MemoryDirectory {
  return new Map([...directory].map(([name, node]) => [name, node instanceof MemoryFile ? Object.assign(new MemoryFile(), node) : copyOf(node)]))
}

function segments (path: string): string[] {
  return path.split('/').filter(name => name !== '')
}

function slices (chunks: readonly Buffer[], { start, end }: ByteRange): Buffer[] {
  const wanted: Buffer[] = []
  let position = 0
  for (const chunk of chunks) {
    if (position > end) break
    const slice = chunk.subarray(Math.max(0, start - position), Math.max(0, end + 1 - position))
    if (slice.length > 0) wanted.push(slice)
    position += chunk.length
  }
  return wanted
}
