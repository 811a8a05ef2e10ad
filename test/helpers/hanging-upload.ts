import { once } from 'node:events'
import { watch } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Product } from './product.js'
import { RawConnection } from './raw-http.js'

const UPLOADS = 'docker/registry/v2/repositories/team/app/_uploads'

/** Starts an upload of `bytes` but sends only `count` of them; resolves when the server has written these. */
export async function hangingUpload (t: Test, product: Product, bytes: Buffer, count: number): Promise<{ path: string, connection: RawConnection }> {
  const started = await fetch(`${product.url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  t.equal(started.status, 202)
  const path = new URL(started.headers.get('location') ?? '').pathname
  const connection = await RawConnection.open(product.host)
  t.teardown(() => { connection.socket.destroy() })
  connection.send(`PATCH ${path} HTTP/1.1\r\nhost: ${product.host}\r\ncontent-type: application/octet-stream\r\ncontent-length: ${bytes.length}\r\n\r\n`)
  connection.send(bytes.subarray(0, count))
  const [id = ''] = await readdir(join(product.data, UPLOADS))
  await grown(t, join(product.data, UPLOADS, id, 'data'), count)
  return { path, connection }
}

/** Resolves when the file has that size. */
async function grown (t: Test, file: string, size: number): Promise<void> {
  const watcher = watch(file)
  t.teardown(() => { watcher.close() })
  for (;;) {
    const changed = once(watcher, 'change')
    if ((await stat(file)).size === size) return
    await changed
  }
}
