import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { OCI_INDEX, OCI_MANIFEST } from '../../schemas/media-types.js'
import { writeOciLayout } from './oci-layout.js'
import type { OciLayout } from './oci-layout.js'
import { startProduct } from './product.js'
import type { Product } from './product.js'

const run = promisify(execFile)
const LAYER_BYTES = 3.5 * 1024 * 1024

/** Skips aloud where a client is not installed; in CI the test runs, and fails, without it. */
export function needs (...clients: string[]): { skip?: string } {
  const missing = clients.find(client => !isOnPath(client))
  return missing === undefined || process.env['CI'] === 'true' ? {} : { skip: `${missing} is not on PATH` }
}

function isOnPath (command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some(directory => {
    try {
      accessSync(join(directory, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Runs a client; when it fails, the error says what it printed. */
export async function client (command: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(command, args, { maxBuffer: 16 * 1024 * 1024 })
  return stdout
}

export async function skopeo (command: string, ...args: string[]): Promise<string> {
  return await client('skopeo', '--insecure-policy', command, ...args)
}

/** podman or buildah with a storage of its own, removed with the test. */
export async function containersClient (t: Test, command: 'podman' | 'buildah'): Promise<(...args: string[]) => Promise<string>> {
  const home = await shortDirectory(t, command)
  const global = ['--root', join(home, 'root'), '--runroot', join(home, 'run'), '--storage-driver', 'vfs']
  t.teardown(async () => { await client(command, ...global, 'rmi', '--all', '--force').catch(() => {}) })
  return async (...args) => await client(command, ...global, ...args)
}

export interface Pushed { readonly product: Product, readonly layout: OciLayout, readonly source: string, readonly directory: string }

/** A registry into which skopeo pushed an image for two platforms as team/app:1.0. */
export async function pushedBySkopeo (t: Test): Promise<Pushed> {
  const pushed = await withLayout(t)
  await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${pushed.source}:1.0`, `docker://${pushed.product.host}/team/app:1.0`)
  return pushed
}

/** An empty registry, and an image for two platforms in an OCI layout. */
export async function withLayout (t: Test): Promise<Pushed> {
  const directory = t.testdir({ source: {} })
  const source = join(directory, 'source')
  const layout = await writeOciLayout(source, { tag: '1.0', architectures: ['amd64', 'arm64'], layerBytes: LAYER_BYTES })
  const product = await startProduct(t, directory)
  return { product, layout, source, directory }
}

/** A directory with a short path, which daemons and their sockets want, removed with the test. */
export async function shortDirectory (t: Test, name: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `${name}-`))
  t.teardown(async () => { await rm(directory, { recursive: true, force: true }) })
  return directory
}

/** Digest and media type of a manifest as the registry tells them; undefined when it has none. */
export async function stored ({ url }: Product, name: string, reference: string): Promise<{ digest: string | null, mediaType: string | null } | undefined> {
  const { status, headers } = await fetch(`${url}/v2/${name}/manifests/${reference}`, {
    method: 'HEAD', headers: { accept: `${OCI_INDEX}, ${OCI_MANIFEST}` }
  })
  return status === 404 ? undefined : { digest: headers.get('docker-content-digest'), mediaType: headers.get('content-type') }
}

/** Stops the registry and says how often it answered such a request, by its own log. */
export async function answered (product: Product, method: string, url: RegExp, status: number): Promise<number> {
  await product.stop()
  const { stderr: log } = await product.ended
  return log.split('\n').filter(line => line.includes(` http.request.method=${method} `) && line.includes(` http.response.status=${status} `) && url.test(line)).length
}
