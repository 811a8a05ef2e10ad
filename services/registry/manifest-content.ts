import { Ajv } from 'ajv'
import type { ErrorObject, ValidateFunction } from 'ajv'
import { imageManifestSchema, indexSchema } from '../../schemas/manifest-content.js'
import type { ContentDescriptor, ImageManifest, Index } from '../../schemas/manifest-content.js'
import { EXTERNAL_LAYER, MANIFEST_MEDIA_TYPES, OCI_INDEX, OCI_MANIFEST, isManifestMediaType } from '../../schemas/media-types.js'
import type { ManifestMediaType } from '../../schemas/media-types.js'
import { OciError } from '../errors/oci-error.js'
import { isDigest } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'

export interface ManifestReference { readonly mediaType: string, readonly digest: Digest, readonly size: number }

export interface ManifestLayer extends ManifestReference {
  /** Where it may be found besides, or instead of, here. */
  readonly urls: readonly string[]
  /** By its type kept elsewhere, and it says where: it need not be here. */
  readonly isExternal: boolean
}

export interface ManifestChild extends ManifestReference {
  readonly platform: { readonly architecture?: string, readonly os?: string } | undefined
}

/** A manifest as the registry understands it. Its bytes are kept and served as they came; this is only read from. */
export interface ManifestContent {
  readonly mediaType: ManifestMediaType
  /** False when only the Content-Type of the push told what it is. */
  readonly declaresMediaType: boolean
  /** Config and layers that must be in the repository. */
  readonly blobs: readonly ManifestReference[]
  /** Entries of an index: each a manifest, or a blob, of the repository. */
  readonly children: readonly ManifestChild[]
  readonly config: ManifestReference | undefined
  readonly layers: readonly ManifestLayer[]
  readonly subject: Digest | undefined
  /** The manifest's own artifactType, or the config's media type. */
  readonly artifactType: string | undefined
  readonly annotations: Readonly<Record<string, string>> | undefined
}

const ajv = new Ajv({ meta: false, validateSchema: false, strict: false, messages: true })
const validateImage = compiledLater<ImageManifest>(imageManifestSchema)
const validateIndex = compiledLater<Index>(indexSchema)
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads and checks a manifest. `declared` is the Content-Type of the push without parameters; when it says nothing
 * about manifests, the body's own `mediaType` decides.
 *
 * @throws {OciError} MANIFEST_INVALID, its detail saying what is wrong and where
 */
export function parseManifest (bytes: Uint8Array, declared: string | undefined): ManifestContent {
  const json = parseJson(bytes)
  const mediaType = decideMediaType(json, declared)
  return MANIFEST_MEDIA_TYPES[mediaType] === 'image'
    ? imageContent(checked(validateImage(), json), mediaType)
    : indexContent(checked(validateIndex(), json), mediaType)
}

/**
 * The media type the stored bytes tell of themselves: their `mediaType`, else an index if they list manifests, else an
 * image manifest; the same rule as docker's registry, so that what it stored is served alike.
 */
export function inferMediaType (bytes: Uint8Array): { readonly mediaType: string, readonly certain: boolean } {
  const json = jsonOrUndefined(bytes)
  if (typeof json !== 'object' || json === null) return { mediaType: OCI_MANIFEST, certain: false }
  if ('mediaType' in json && typeof json.mediaType === 'string' && json.mediaType !== '') {
    return { mediaType: json.mediaType, certain: true }
  }
  const isIndex = 'manifests' in json && json.manifests !== null
  return { mediaType: isIndex ? OCI_INDEX : OCI_MANIFEST, certain: false }
}

function imageContent (manifest: ImageManifest, mediaType: ManifestMediaType): ManifestContent {
  const { config, layers } = manifest
  const artifactType = manifest.artifactType === undefined || manifest.artifactType === '' ? config.mediaType : manifest.artifactType
  const configReference = referenceAt(config, '/config')
  const references = layers.map((layer, i): ManifestLayer => {
    const { mediaType, digest, size } = referenceAt(layer, `/layers/${i}`)
    return { mediaType, digest, size, urls: layer.urls ?? [], isExternal: isExternal(layer) }
  })
  // Named one by one: an object that is spread into another one costs more than the rest of this.
  const { declaresMediaType, subject, annotations } = commonContent(manifest)
  return {
    mediaType,
    declaresMediaType,
    subject,
    annotations,
    artifactType,
    config: configReference,
    layers: references,
    blobs: [configReference, ...references.filter(({ isExternal }) => !isExternal)],
    children: []
  }
}

function indexContent (index: Index, mediaType: ManifestMediaType): ManifestContent {
  const artifactType = index.artifactType === '' ? undefined : index.artifactType
  const children = index.manifests.map((child, i): ManifestChild => {
    const { mediaType, digest, size } = referenceAt(child, `/manifests/${i}`)
    return { mediaType, digest, size, platform: child.platform }
  })
  return { ...commonContent(index), mediaType, artifactType, config: undefined, layers: [], blobs: [], children }
}

function commonContent ({ mediaType, subject, annotations }: ImageManifest | Index): Pick<ManifestContent, 'declaresMediaType' | 'subject' | 'annotations'> {
  return {
    declaresMediaType: mediaType !== undefined,
    subject: subject === undefined ? undefined : referenceAt(subject, '/subject').digest,
    annotations: textEntries(annotations)
  }
}

/** Annotations are the client's own affair; only what the spec allows, text, is shown in a referrers list. */
function textEntries (annotations: unknown): Record<string, string> | undefined {
  if (typeof annotations !== 'object' || annotations === null || Array.isArray(annotations)) return undefined
  const entries = Object.entries(annotations).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

/** a layer that is by its type kept elsewhere, and says where, need not be here. */
function isExternal ({ mediaType, urls = [] }: ContentDescriptor): boolean {
  return urls.length > 0 && EXTERNAL_LAYER.test(mediaType)
}

function referenceAt ({ mediaType, digest, size }: ContentDescriptor, at: string): ManifestReference {
  if (!isDigest(digest)) throw invalid(`${at}/digest is not a sha256 or sha512 digest: ${digest.slice(0, 160)}`)
  return { mediaType, digest, size }
}

function decideMediaType (json: unknown, declared: string | undefined): ManifestMediaType {
  const inside = typeof json === 'object' && json !== null && 'mediaType' in json ? json.mediaType : undefined
  if (inside !== undefined && typeof inside !== 'string') throw invalid('/mediaType must be string')
  const wanted = declared !== undefined && isManifestMediaType(declared) ? declared : undefined
  if (wanted === undefined && declared !== undefined && !isGeneric(declared)) {
    throw invalid(`unsupported manifest media type: ${declared.slice(0, 160)}`)
  }
  const mediaType = wanted ?? inside
  if (mediaType === undefined) throw invalid('neither Content-Type nor mediaType tells what kind of manifest this is')
  if (!isManifestMediaType(mediaType)) throw invalid(`unsupported manifest media type: ${mediaType.slice(0, 160)}`)
  if (inside !== undefined && inside !== mediaType) {
    throw invalid(`mediaType in the manifest (${inside.slice(0, 160)}) is not the Content-Type (${mediaType})`)
  }
  return mediaType
}

function isGeneric (mediaType: string): boolean {
  return mediaType === 'application/json' || mediaType === 'application/octet-stream'
}

/** Whatever another registry stored is served as it is. */
function jsonOrUndefined (bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch {
    return undefined
  }
}

function parseJson (bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch (error) {
    throw new OciError('MANIFEST_INVALID', { detail: 'the manifest is not JSON in UTF-8', cause: error })
  }
}

function checked<T> (validate: ValidateFunction<T>, json: unknown): T {
  if (validate(json)) return json
  throw invalid(explain(validate.errors?.[0]))
}

function explain (error: ErrorObject | undefined): string {
  if (error === undefined) return 'does not match its media type'
  if (error.keyword === 'false schema') return `${error.instancePath} does not belong into a manifest of this media type`
  if (error.keyword === 'const') return `${error.instancePath} must be ${String(error.params['allowedValue'])}`
  return `${error.instancePath === '' ? 'the manifest' : error.instancePath} ${error.message ?? 'is invalid'}`
}

function invalid (detail: string): OciError {
  return new OciError('MANIFEST_INVALID', { detail })
}

/** Compiled when the first manifest comes, not at every start. */
function compiledLater<T> (schema: object): () => ValidateFunction<T> {
  let validate: ValidateFunction<T> | undefined
  return () => {
    validate ??= ajv.compile<T>(schema)
    return validate
  }
}
