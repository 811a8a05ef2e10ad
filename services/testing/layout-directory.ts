import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { EXTERNAL_LAYER, MANIFEST_MEDIA_TYPES, isManifestMediaType } from '../../schemas/media-types.js'
import { parseDigest } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'

interface LayoutDescriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly annotations?: Readonly<Record<string, string>>
}

interface Document {
  readonly config?: LayoutDescriptor
  readonly layers?: readonly LayoutDescriptor[]
  readonly manifests?: readonly LayoutDescriptor[]
}

/** A manifest in an OCI layout, and what it refers to. */
export interface LayoutManifest {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly bytes: Buffer
  /** What the layout's index calls it. */
  readonly refName?: string
  readonly blobs: ReadonlyArray<{ readonly digest: Digest, readonly open: () => Readable }>
  readonly children: () => Promise<readonly LayoutManifest[]>
}

/**
 * The manifests that the `index.json` of an OCI layout names (image-spec "Image Layout"), as skopeo, buildah, podman,
 * crane and oras write it.
 *
 * @throws {Error} when the directory is none
 */
export async function openLayout (directory: string): Promise<readonly LayoutManifest[]> {
  const { manifests } = await readJson(join(directory, 'index.json'))
  if (manifests === undefined) throw new Error(`${directory}: no OCI layout, its index.json lists no manifests`)
  return await Promise.all(manifests.map(async entry => await open(directory, entry)))
}

async function open (directory: string, { mediaType, digest: text, annotations }: LayoutDescriptor): Promise<LayoutManifest> {
  if (!isManifestMediaType(mediaType)) throw new Error(`${directory}: ${text} is no manifest but ${mediaType}`)
  const digest = parseDigest(text)
  const bytes = await readFile(pathOf(directory, digest))
  const { config, layers = [], manifests = [] } = JSON.parse(bytes.toString()) as Document
  const kept = MANIFEST_MEDIA_TYPES[mediaType] === 'index' ? [] : [config, ...layers.filter(({ mediaType }) => !EXTERNAL_LAYER.test(mediaType))]
  const refName = annotations?.['org.opencontainers.image.ref.name']
  return {
    mediaType,
    digest,
    size: bytes.length,
    bytes,
    ...(refName === undefined ? {} : { refName }),
    blobs: kept.filter(entry => entry !== undefined).map(entry => {
      const digest = parseDigest(entry.digest)
      return { digest, open: () => createReadStream(pathOf(directory, digest)) }
    }),
    children: async () => await Promise.all(manifests.map(async entry => await open(directory, entry)))
  }
}

async function readJson (path: string): Promise<Document> {
  return JSON.parse(await readFile(path, 'utf8')) as Document
}

function pathOf (directory: string, digest: Digest): string {
  return join(directory, 'blobs', digest.replace(':', '/'))
}
