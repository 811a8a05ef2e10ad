import { MANIFEST_MEDIA_TYPES } from '../../schemas/media-types.js'
import { isDigest } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'

/** Everything a manifest refers to, read without judging whether it should have been let in. */
export interface References {
  /** Config, layers, blobs; also those that may be kept elsewhere. */
  readonly blobs: readonly Digest[]
  /** Entries of an index: manifests, or blobs of a build cache. */
  readonly children: readonly Digest[]
  readonly subject: Digest | undefined
  /** False when it may refer to more than was found: a kind that is not known here, or not what its kind looks like. */
  readonly isComplete: boolean
}

/** The only kind that may have no list at all. */
const ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'
// Kinds whose references are known, also those that are not accepted any more and lie in old storage.
const KNOWN: ReadonlySet<string> = new Set([
  ...Object.keys(MANIFEST_MEDIA_TYPES),
  ARTIFACT,
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws'
])
const utf8 = new TextDecoder('utf-8', { fatal: true })

type Fields = Readonly<Record<string, unknown>>

/**
 * Reads the references of known kinds of manifests from where they stand. Of anything else every digest in it counts,
 * wherever it is, and the result is not complete.
 */
export function referencesOf (bytes: Uint8Array): References {
  const json = parsed(bytes)
  if (!isFields(json)) return { blobs: [], children: [], subject: undefined, isComplete: false }
  const { mediaType = '', config, layers, manifests, blobs, fsLayers, subject } = json
  const lists = [layers, manifests, blobs, fsLayers]
  const isKnown = (mediaType === '' || KNOWN.has(String(mediaType))) && (mediaType === ARTIFACT || lists.some(list => list !== undefined))
  const found = {
    blobs: [...config === undefined || config === null ? [] : [digestIn(config)], ...digestsIn(layers), ...digestsIn(blobs), ...digestsIn(fsLayers, 'blobSum')],
    children: digestsIn(manifests),
    subject: subject === undefined || subject === null ? [] : [digestIn(subject)]
  }
  const all = [...found.blobs, ...found.children, ...found.subject]
  const isComplete = isKnown && all.every(digest => digest !== undefined)
  return {
    blobs: [...found.blobs.filter(isFound), ...isComplete ? [] : everyDigest(json)],
    children: found.children.filter(isFound),
    subject: found.subject.find(isFound),
    isComplete
  }
}

/** An undefined entry stands for one that cannot be understood. */
function digestsIn (list: unknown, key = 'digest'): Array<Digest | undefined> {
  // Go writes an empty list as null.
  if (list === undefined || list === null) return []
  return Array.isArray(list) ? list.map(entry => digestIn(entry, key)) : [undefined]
}

function digestIn (descriptor: unknown, key = 'digest'): Digest | undefined {
  const digest = isFields(descriptor) ? descriptor[key] : undefined
  return typeof digest === 'string' && isDigest(digest) ? digest : undefined
}

function everyDigest (json: unknown): Digest[] {
  const found = new Set<Digest>()
  const open = [json]
  while (open.length > 0) {
    const value = open.pop()
    if (typeof value === 'string') {
      if (isDigest(value)) found.add(value)
    } else if (typeof value === 'object' && value !== null) {
      for (const child of Object.values(value)) open.push(child)
    }
  }
  return [...found]
}

function parsed (bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch {
    return undefined
  }
}

function isFields (value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isFound (digest: Digest | undefined): digest is Digest {
  return digest !== undefined
}
