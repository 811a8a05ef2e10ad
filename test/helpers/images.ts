import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { OCI_INDEX, OCI_MANIFEST } from '../../schemas/media-types.js'
import type { Digest } from '../../services/reference/reference.js'

export function sha256 (content: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(content).digest('hex')}` as Digest
}

export function sha512 (content: string | Uint8Array): Digest {
  return `sha512:${createHash('sha512').update(content).digest('hex')}` as Digest
}

export interface Blob { readonly bytes: Buffer, readonly digest: Digest, readonly mediaType: string, readonly size: number }

export function blob (content: string | Uint8Array, mediaType = 'application/vnd.oci.image.layer.v1.tar'): Blob {
  const bytes = Buffer.from(content)
  return { bytes, digest: sha256(bytes), mediaType, size: bytes.length }
}

export interface Manifest extends Blob { readonly blobs: readonly Blob[] }

function descriptor ({ mediaType, digest, size }: Blob): object {
  return { mediaType, digest, size }
}

/** A small valid image manifest with one config and one layer; `extra` fields go into the manifest. */
export function image (seed = 'layer', extra: object = {}): Manifest {
  const config = blob(JSON.stringify({ architecture: 'amd64', os: 'linux', seed }), 'application/vnd.oci.image.config.v1+json')
  const layer = blob(`content of ${seed}`)
  const content = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: descriptor(config), layers: [descriptor(layer)], ...extra }
  return { ...blob(JSON.stringify(content), OCI_MANIFEST), blobs: [config, layer] }
}

/** An index over manifests (or, where a test wants that, blobs). */
export function index (children: readonly Blob[], extra: object = {}): Manifest {
  const content = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: children.map(descriptor), ...extra }
  return { ...blob(JSON.stringify(content), OCI_INDEX), blobs: [] }
}

/** Pushes a blob in one request through `inject`. */
export async function pushBlob (t: Test, app: FastifyInstance, name: string, { bytes, digest }: Pick<Blob, 'bytes' | 'digest'>, prefix = ''): Promise<void> {
  const response = await app.inject({
    method: 'POST',
    url: `${prefix}/v2/${name}/blobs/uploads/?digest=${digest}`,
    headers: { 'content-type': 'application/octet-stream' },
    payload: bytes
  })
  t.equal(response.statusCode, 201, response.body)
}

/** Pushes a manifest's blobs and then the manifest, by tag or by its digest, through `inject`. */
export async function pushManifest (t: Test, app: FastifyInstance, name: string, manifest: Manifest, reference: string = manifest.digest, prefix = ''): Promise<void> {
  for (const content of manifest.blobs) await pushBlob(t, app, name, content, prefix)
  const response = await app.inject({
    method: 'PUT',
    url: `${prefix}/v2/${name}/manifests/${reference}`,
    headers: { 'content-type': manifest.mediaType },
    payload: manifest.bytes
  })
  t.equal(response.statusCode, 201, response.body)
}
