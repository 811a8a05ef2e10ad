import { randomBytes } from 'node:crypto'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { OCI_MANIFEST } from '../../schemas/media-types.js'
import type { Digest } from '../../services/reference/reference.js'
import { blob, index, sha256 } from './images.js'
import type { Blob } from './images.js'
import { tar } from '../../services/testing/tar.js'

const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
const CONFIG = 'application/vnd.oci.image.config.v1+json'

export interface OciLayout {
  readonly index: Blob
  /** The image manifests, in the order of the index. */
  readonly manifests: readonly Blob[]
  /** The shared one, then each image's own. */
  readonly layers: readonly Blob[]
}

/**
 * Writes an OCI layout with an index tagged `tag`: an image for each architecture, with one layer that all share and
 * one of its own, each of `layerBytes` random bytes, so that gzip does not make them smaller.
 */
export async function writeOciLayout (directory: string, { tag, architectures, layerBytes }: { tag: string, architectures: readonly string[], layerBytes: number }): Promise<OciLayout> {
  const shared = layer([{ path: 'srv/' }, { path: 'srv/shared', content: randomBytes(layerBytes) }])
  const images = architectures.map(architecture => {
    const own = layer([{ path: 'srv/' }, { path: `srv/${architecture}`, content: randomBytes(layerBytes) }])
    return { architecture, own, ...image(architecture, [shared, own]) }
  })
  const top = index(images.map(({ manifest }) => manifest), {
    manifests: images.map(({ architecture, manifest }) => ({ ...descriptor(manifest), platform: { os: 'linux', architecture } }))
  })
  const blobs = [top, ...images.flatMap(({ manifest, blobs }) => [manifest, ...blobs])]

  await mkdir(join(directory, 'blobs/sha256'), { recursive: true })
  for (const { digest, bytes } of blobs) await writeFile(join(directory, 'blobs', digest.replace(':', '/')), bytes)
  await writeFile(join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  await writeFile(join(directory, 'index.json'), JSON.stringify({
    schemaVersion: 2,
    manifests: [{ ...descriptor(top), annotations: { 'org.opencontainers.image.ref.name': tag } }]
  }))
  return { index: top, manifests: images.map(({ manifest }) => manifest), layers: [shared, ...images.map(({ own }) => own)] }
}

/** The digests of what lies in a layout: of the bytes themselves, whatever the file names say. */
export async function ociLayoutDigests (directory: string): Promise<Digest[]> {
  const names = await readdir(join(directory, 'blobs/sha256'))
  const digests = await Promise.all(names.map(async name => sha256(await readFile(join(directory, 'blobs/sha256', name)))))
  return digests.sort()
}

interface Layer extends Blob { readonly diffId: Digest }

function layer (entries: Parameters<typeof tar>[0]): Layer {
  const archive = tar(entries)
  return { ...blob(gzipSync(archive, { level: 1 }), LAYER), diffId: sha256(archive) }
}

function image (architecture: string, layers: readonly Layer[]): { manifest: Blob, blobs: readonly Blob[] } {
  const config = blob(JSON.stringify({
    architecture,
    os: 'linux',
    config: { Cmd: ['/srv/none'] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created: '2024-01-01T00:00:00Z', created_by: 'test' }))
  }), CONFIG)
  const content = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: descriptor(config), layers: layers.map(descriptor) }
  return { manifest: blob(JSON.stringify(content), OCI_MANIFEST), blobs: [config, ...layers] }
}

function descriptor ({ mediaType, digest, size }: Blob): object {
  return { mediaType, digest, size }
}
