import type { Readable } from 'node:stream'

/** An object as a store has it. `etag` names exactly these bytes; at Google it is a generation. */
export interface StoredObject { readonly size: number, readonly etag: string, readonly modified: Date, readonly metadata: Readonly<Record<string, string>> }
/** `size` is that of the body. */
export interface StoredBody extends StoredObject { readonly body: Readable }
export interface StoredPage { readonly keys: string[], readonly directories: string[] }

/** Names the bytes of an object, as `FileInfo.version`. Stores differ in where they put quotes. */
export function versionOf ({ etag }: Pick<StoredObject, 'etag'>): string {
  return etag.replaceAll('"', '')
}

/** What a driver asks a store of objects for, in terms of keys. Errors are those of the store's client. */
export interface FlatStore {
  /** `/docker/registry` below a root directory `data` is `data/docker/registry`, as docker's registry has it; `/` is `data/`. */
  key (path: string): string
  /** Creates or replaces, and says with which etag. */
  put (key: string, body: Uint8Array): Promise<string>
  head (key: string): Promise<StoredObject | undefined>
  /** The range as HTTP has it: `bytes=0-9`. With an etag, only if the object still is that one. */
  get (key: string, options?: { readonly range?: string | undefined, readonly etag?: string | undefined, readonly signal?: AbortSignal | undefined }): Promise<StoredBody>
  /** Keys below `prefix`, page by page; with `direct` those of the same directory, and the names of its directories. */
  list (prefix: string, options?: { readonly direct?: boolean }): AsyncGenerator<StoredPage>
  /** Whether anything lies below `prefix`. */
  holds (prefix: string): Promise<boolean>
  /** Those that are missing are no error. */
  delete (keys: readonly string[]): Promise<void>
  /** A URL that is good for 20 minutes, as docker's registry gives it; null when there is nothing to sign with. */
  signedUrl (key: string, method: 'GET' | 'HEAD'): Promise<string | null>
  close (): void
}
