/** The manifest media types the registry stores, and the two things each of them can be. */
export const MANIFEST_MEDIA_TYPES = {
  'application/vnd.oci.image.manifest.v1+json': 'image',
  'application/vnd.oci.image.index.v1+json': 'index',
  'application/vnd.docker.distribution.manifest.v2+json': 'image',
  'application/vnd.docker.distribution.manifest.list.v2+json': 'index'
} as const satisfies Record<string, 'image' | 'index'>

export type ManifestMediaType = keyof typeof MANIFEST_MEDIA_TYPES

export const OCI_MANIFEST: ManifestMediaType = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX: ManifestMediaType = 'application/vnd.oci.image.index.v1+json'

/** Layers that may be kept elsewhere: OCI's non-distributable and docker's foreign ones. */
export const EXTERNAL_LAYER = /nondistributable|\.rootfs\.foreign\./

export function isManifestMediaType (mediaType: string): mediaType is ManifestMediaType {
  return Object.hasOwn(MANIFEST_MEDIA_TYPES, mediaType)
}
