import type { Readable } from 'node:stream'
import type { Settling } from './settling.js'

/** What storage knows of a path. `size` is in bytes and 0 for directories. */
export interface FileInfo {
  readonly path: string
  readonly size: number
  readonly isDirectory: boolean
  readonly modified: Date
  /** Names the content of a file: another one after every change. Left out by drivers that cannot tell. */
  readonly version?: string
}

/** Byte positions, both inclusive. */
export interface ByteRange { readonly start: number, readonly end: number }

export interface SettleOptions {
  /** Takes what a crash could still undo, of the place rather than the content; without it the call waits itself. */
  readonly settling?: Settling | undefined
}

export interface MoveOptions extends SettleOptions {
  /** What the directory of `from` is left with is not needed: where that is nothing, it may move with the file. */
  readonly last?: boolean
  /** What is moved is this version of the file, or nothing. Means nothing to drivers that give none. */
  readonly version?: string | undefined
}

export interface WriteOptions extends SettleOptions {
  /** A file that is not needed any more. It may be gone afterwards: a driver that can make the new one of it does. */
  readonly recycle?: string | undefined
  /** A file that is new may be written where it is to be: whoever finds a part of it takes it for nothing. */
  readonly inPlace?: boolean
  /**
   * False when the content may be lost in a crash of the machine, because it can be made again. It is still never
   * seen half-written. Default true.
   */
  readonly durable?: boolean
}

/** What `write` and `move` do. */
export type Change =
  | { readonly path: string, readonly content: Uint8Array, readonly options?: WriteOptions | undefined }
  | { readonly path: string, readonly to: string, readonly options?: MoveOptions | undefined }

/**
 * Where bytes live. Paths begin with `/`, are separated by `/`, and hold only `[A-Za-z0-9._-]`; directories exist as
 * soon as something lies in them. Every method throws {@link DriverError} and nothing else. The contract is spelled
 * out by `test/suites/driver.ts`, which every driver passes.
 */
export interface StorageDriver {
  readonly name: string
  /** The whole content. Throws `path-not-found`, or `too-large` when it is longer than `maxBytes`. */
  read (path: string, options?: { readonly maxBytes?: number }): Promise<Buffer>
  /**
   * The whole content of a small file, where having it at once costs less than waiting for it. Undefined whenever it is not
   * to be had like that, also when nothing lies there: then `read` is asked. Stops the process meanwhile, so not for loops.
   */
  readNow? (path: string, maxBytes: number): Buffer | undefined
  /** Creates or replaces the content at once: a reader sees the old or the new bytes, never a mix. */
  write (path: string, content: Uint8Array, options?: WriteOptions): Promise<void>
  /** A stream of the content, opened before the promise resolves, so that a missing path throws here. */
  createReadStream (path: string, range?: ByteRange): Promise<Readable>
  /**
   * Opens a growing file: new and empty, or with `append` at the end of what an earlier writer kept. Throws
   * `path-not-found` when there is nothing to append to.
   */
  openWriter (path: string, options?: { readonly append?: boolean }): Promise<FileWriter>
  /** Throws `path-not-found`. The root always exists. */
  stat (path: string): Promise<FileInfo>
  /**
   * The same at once, as `readNow` is for `read`; null when nothing lies there, undefined when it is not to be had like
   * that.
   */
  statNow? (path: string): FileInfo | null | undefined
  /** Names of the direct children in byte order. Throws `path-not-found`. A driver may give the same array again. */
  list (path: string): Promise<readonly string[]>
  /** Replaces `to`. Throws `path-not-found`, or `changed` where a version is given and the file has another one. */
  move (from: string, to: string, options?: MoveOptions): Promise<void>
  /**
   * Makes the changes one after the other: what follows one that fails is not made. Only for drivers that can do so for
   * less than by `write` and `move`; see `inOrder`.
   */
  apply? (changes: readonly Change[]): Promise<void>
  /** Removes the path and all below it. Throws `path-not-found`. */
  delete (path: string): Promise<void>
  /**
   * Removes a directory if nothing lies in it, and says whether it did; never throws `path-not-found`. Drivers whose
   * directories are only parts of names have no use for it.
   */
  prune? (path: string): Promise<boolean>
  /** False when `redirectUrl` never gives one, so that nobody asks; left out, it is asked for every blob. */
  readonly redirects?: boolean
  /** A URL that serves the content in our place, or null. */
  redirectUrl (path: string, method: 'GET' | 'HEAD'): Promise<string | null>
  close (): Promise<void>
}

/** A file that is still being written. One writer per path at a time; the caller sees to that. */
export interface FileWriter {
  /** Bytes the file holds now. After a failed `write` it counts what did reach the file. */
  readonly size: number
  /** Of the file as this writer found it, or left it by `close`. Left out by drivers that cannot tell. */
  readonly version?: string | undefined
  /** Appends all the chunks in order. The chunks must not be changed until the promise settles. */
  write (chunks: readonly Uint8Array[]): Promise<void>
  /** Cuts the file back to `size` bytes. */
  truncate (size: number): Promise<void>
  /**
   * Makes everything written so far survive a crash, and closes. The file can be opened again to append. With
   * `moving` its place need not survive, only its bytes: it is about to get another one.
   */
  close (options?: { readonly moving?: boolean }): Promise<void>
  /** Discards the file. */
  cancel (): Promise<void>
  /**
   * Lets go of a file that another writer may have by now, and leaves it alone. Drivers whose `close` changes nothing
   * that another writer could miss have no use for it.
   */
  abandon? (): Promise<void>
}
