import { createHash } from 'node:crypto'

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const INDEX = 'application/vnd.oci.image.index.v1+json'
export const CONFIG = Buffer.from('{"architecture":"amd64","os":"linux"}')

export function sha256 (bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export function describe (bytes, mediaType = 'application/vnd.oci.image.layer.v1.tar') {
  return { mediaType, digest: sha256(bytes), size: bytes.length }
}

/** The manifest of an image with one layer. @param more subject, annotations and the like */
export function imageManifest (layer, more = {}) {
  return Buffer.from(JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: describe(CONFIG, 'application/vnd.oci.image.config.v1+json'),
    layers: [describe(layer)],
    ...more
  }))
}
