import { createHash } from 'node:crypto'
import { OCI_INDEX, OCI_MANIFEST } from '../../schemas/media-types.js'
import { digestOf } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'
import { tar } from './tar.js'

/** Content as a registry stores it: `digest` is the sha256 of `bytes`, `size` their number. */
export interface FixtureBlob {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly bytes: Buffer
}

/** A manifest and everything it needs to be pushed. */
export interface Fixture extends FixtureBlob {
  /** What it refers to that is no manifest: config and layers. */
  readonly blobs: readonly FixtureBlob[]
  /** What it refers to that is one: the entries of an index. */
  readonly manifests: readonly Fixture[]
  /** How an index describes it, if not by media type, digest and size alone. */
  readonly platform?: Platform
}

export interface Platform { readonly architecture: string, readonly os: string, readonly variant?: string }

/** Contents of files by their path; a path that ends in a slash is a directory. */
export type Files = Readonly<Record<string, string | Uint8Array>>

interface Described {
  readonly annotations?: Readonly<Record<string, string>>
  /** What it is about: it becomes a referrer of that. */
  readonly subject?: FixtureBlob
  readonly artifactType?: string
}

export interface ImageFixture extends Described {
  readonly architecture?: string
  readonly os?: string
  readonly variant?: string
  /**
   * Each layer is the files in it, by path, of which an archive is made; or bytes, which are taken as they are and need
   * not be one. One layer with one file unless given.
   */
  readonly layers?: ReadonlyArray<string | Uint8Array | Files>
  /** What the config says of how to run it: `{ Cmd: ['/bin/sh'], Labels: {} }`. */
  readonly config?: object
}

export interface ArtifactFixture extends Described {
  /** Contents of its layers. Default one, `{}`. */
  readonly layers?: ReadonlyArray<string | Uint8Array>
  /** Media type of the layers. Default `application/octet-stream`. */
  readonly layerType?: string
}

const LAYER = 'application/vnd.oci.image.layer.v1.tar'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const EMPTY = 'application/vnd.oci.empty.v1+json'

/** Any content, with its descriptor. */
export function blob (content: string | Uint8Array, mediaType = 'application/octet-stream'): FixtureBlob {
  const bytes = Buffer.from(content)
  return { mediaType, digest: digestOf('sha256', sha256(bytes)), size: bytes.length, bytes }
}

/**
 * A valid OCI image manifest, with its config and layers. The same options give the same digests, in any process.
 *
 * @example
 * await registry.seed(image({ layers: [{ 'etc/motd': 'hello' }], config: { Cmd: ['/app'] } }), 'team/app:1.0')
 */
export function image ({ architecture = 'amd64', os = 'linux', variant, layers = [{ 'etc/motd': 'hello' }], config: run, ...described }: ImageFixture = {}): Fixture {
  const contents = layers.map(layer => blob(typeof layer === 'string' || layer instanceof Uint8Array ? layer : archive(layer), LAYER))
  const platform = { architecture, os, ...(variant === undefined ? {} : { variant }) }
  const config = blob(JSON.stringify({
    ...platform,
    config: run ?? {},
    rootfs: { type: 'layers', diff_ids: contents.map(({ digest }) => digest) },
    history: contents.map(() => ({ created: '1970-01-01T00:00:00Z' }))
  }), CONFIG)
  return manifest(config, contents, described, platform)
}

/**
 * A valid OCI index over manifests. Each is described with its platform, where it is an image.
 *
 * @example
 * index([image({ architecture: 'amd64' }), image({ architecture: 'arm64' })])
 */
export function index (manifests: readonly Fixture[], described: Described = {}): Fixture {
  const content = {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    ...own(described),
    manifests: manifests.map(({ platform, ...child }) => ({ ...descriptor(child), ...(platform === undefined ? {} : { platform }) }))
  }
  return { ...blob(JSON.stringify(content), OCI_INDEX), blobs: [], manifests }
}

/**
 * A valid artifact: an OCI manifest with the empty config (image-spec "Guidelines for Artifact Usage").
 *
 * @example
 * artifact({ artifactType: 'application/vnd.example.sbom', subject: app, layers: ['{}'] })
 */
export function artifact ({ artifactType = 'application/vnd.example', layers = ['{}'], layerType = 'application/octet-stream', ...described }: ArtifactFixture = {}): Fixture {
  return manifest(blob('{}', EMPTY), layers.map(layer => blob(layer, layerType)), { artifactType, ...described })
}

function manifest (config: FixtureBlob, layers: readonly FixtureBlob[], described: Described, platform?: Platform): Fixture {
  const content = { schemaVersion: 2, mediaType: OCI_MANIFEST, ...own(described), config: descriptor(config), layers: layers.map(descriptor) }
  return { ...blob(JSON.stringify(content), OCI_MANIFEST), blobs: [config, ...layers], manifests: [], ...(platform === undefined ? {} : { platform }) }
}

function archive (files: Files): Buffer {
  return tar(Object.entries(files).map(([path, content]) => ({ path, content: Buffer.from(content) })))
}

function own ({ artifactType, subject, annotations }: Described): object {
  return {
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject: descriptor(subject) }),
    ...(annotations === undefined ? {} : { annotations })
  }
}

function descriptor ({ mediaType, digest, size }: FixtureBlob): object {
  return { mediaType, digest, size }
}

function sha256 (bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
