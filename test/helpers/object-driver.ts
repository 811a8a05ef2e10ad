import { createHash } from 'node:crypto'
import { DriverError } from '../../services/errors/driver-error.js'
import type { FileInfo, FileWriter, MoveOptions } from '../../services/storage/driver.js'
import { ForwardingDriver } from '../../services/storage/forwarding-driver.js'

/** Files as an object store has them: put in their place whole, by whoever closes last, and each content is a version. */
export class ObjectDriver extends ForwardingDriver {
  override async openWriter (path: string, { append = false }: { readonly append?: boolean } = {}): Promise<FileWriter> {
    const { inner } = this
    let content = append ? await inner.read(path) : Buffer.alloc(0)
    if (!append) await inner.write(path, content)
    const state = { isDirty: false, version: versionOf(content) }
    return {
      get size () { return content.length },
      get version () { return state.version },
      async write (chunks) {
        content = Buffer.concat([content, ...chunks])
        state.isDirty = true
      },
      async truncate (size) {
        content = content.subarray(0, size)
        state.isDirty = true
      },
      async close () {
        if (state.isDirty) await inner.write(path, content)
        state.version = versionOf(content)
        state.isDirty = false
      },
      async cancel () { await inner.delete(path) },
      async abandon () {}
    }
  }

  override async stat (path: string): Promise<FileInfo> {
    const info = await this.inner.stat(path)
    return info.isDirectory ? info : { ...info, version: versionOf(await this.inner.read(path)) }
  }

  override async move (from: string, to: string, { version }: MoveOptions = {}): Promise<void> {
    if (version !== undefined && (await this.stat(from)).version !== version) throw new DriverError('changed', { driver: this.name, path: from })
    await this.inner.move(from, to)
  }
}

function versionOf (content: Uint8Array): string {
  return createHash('sha256').update(content).digest('base64')
}
