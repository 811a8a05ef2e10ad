import * as fs from 'node:fs'
import type { Stats } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Eventually } from '../registry/types.js'

/** The system calls of the driver on names and small files. What fails throws, or rejects, with the error of node:fs. */
export interface FileCalls {
  open (file: string, flags: string): Eventually<number>
  close (fd: number): Eventually<void>
  /** How many bytes were written. */
  write (fd: number, chunks: readonly Uint8Array[], position: number): Eventually<number>
  /** Of a file that is open. */
  status (fd: number): Eventually<Stats>
  stat (file: string): Eventually<Stats>
  unlink (file: string): Eventually<void>
  rmdir (directory: string): Eventually<void>
  readdir (directory: string): Eventually<string[]>
}

/** What makes names. In a row on one thread it is done without these: see `prompt-changes.ts`. */
export interface NamingCalls {
  /** With all directories above it; resolves to the first one that was made, if any. */
  mkdir (directory: string): Promise<string | undefined>
  rename (from: string, to: string): Promise<void>
}

/** How often a directory is emptied again because somebody else is faster. */
const MAX_ATTEMPTS = 10

const writev = promisify(fs.writev)
const readFile = promisify(fs.readFile)
const mkdir = promisify(fs.mkdir as (directory: string, options: { recursive: true }, callback: (error: Error | null, first?: string) => void) => void)

/** In the thread pool: nobody else waits for a disk or a network. */
export const POOLED: FileCalls & NamingCalls = {
  open: promisify(fs.open) as FileCalls['open'],
  close: promisify(fs.close),
  write: async (fd, chunks, position) => (await writev(fd, chunks, position)).bytesWritten,
  status: promisify(fs.fstat) as FileCalls['status'],
  stat: promisify(fs.stat) as FileCalls['stat'],
  mkdir: async directory => await mkdir(directory, { recursive: true }),
  rename: promisify(fs.rename),
  unlink: promisify(fs.unlink),
  rmdir: promisify(fs.rmdir) as FileCalls['rmdir'],
  readdir: promisify(fs.readdir) as FileCalls['readdir']
}

/**
 * At once, on this thread: a call that the page cache answers takes a few microseconds, and handing it to the thread
 * pool and back ten times as much.
 */
export const DIRECT: FileCalls = {
  // What is no file, a pipe for instance, must not be waited for.
  open: (file, flags) => fs.openSync(file, flags === 'r' ? fs.constants.O_RDONLY | fs.constants.O_NONBLOCK : flags),
  close: fs.closeSync,
  write: (fd, chunks, position) => fs.writevSync(fd, chunks, position),
  status: fd => fs.fstatSync(fd),
  stat: file => fs.statSync(file),
  unlink: fs.unlinkSync,
  rmdir: directory => { fs.rmdirSync(directory) },
  readdir: directory => fs.readdirSync(directory)
}

/** More bytes than this are not written or read at once, but in the thread pool. */
export const MAX_DIRECT_BYTES = 64 * 1024

/** Linux' names of file systems on disks of this machine, or in its memory: what is in a network may be waited for, long. */
const LOCAL: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0x2fc12fc1, // zfs
  0xf2f52010, // f2fs
  0xca451a4e, // bcachefs
  0x01021994, // tmpfs
  0x794c7630 // overlayfs
])

/** Whether the directory is on a file system of this machine, whose metadata is in memory or near. */
export function isLocal (directory: string): boolean {
  // The numbers are those of Linux.
  return process.platform === 'linux' && LOCAL.has(fs.statfsSync(directory).type)
}

/** Removes a file, or a directory with all that lies in it, also what others put there meanwhile. */
export async function removeAll (calls: FileCalls, path: string): Promise<void> {
  try {
    return await calls.unlink(path)
  } catch (error) {
    // EPERM is how other systems than Linux say it.
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EISDIR' && !(code === 'EPERM' && (await calls.stat(path)).isDirectory())) throw error
  }
  for (let attempt = 1; ; attempt++) {
    for (const name of await calls.readdir(path)) await ifThere(removeAll(calls, join(path, name)))
    try {
      return await calls.rmdir(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY' || attempt === MAX_ATTEMPTS) throw error
    }
  }
}

async function ifThere (removing: Promise<void>): Promise<void> {
  try {
    await removing
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/** The content of an open file, of which it is known how long it was. */
export async function readAll (fd: number, size: number, direct: boolean): Promise<Buffer> {
  if (!direct || size > MAX_DIRECT_BYTES) return await readFile(fd)
  const buffer = Buffer.allocUnsafeSlow(size)
  let bytes = 0
  for (let read = -1; read !== 0 && bytes < size; bytes += read) read = fs.readSync(fd, buffer, bytes, size - bytes, bytes)
  return buffer.subarray(0, bytes)
}
