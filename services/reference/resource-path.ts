/** The endpoints under `/v2/<name>/`. */
export type Resource = 'manifest' | 'blob' | 'upload' | 'upload-session' | 'tags' | 'referrers' | 'extensions'

/** A path split from its right end: the name may itself hold words such as `blobs` or `manifests`. */
export interface ResourcePath {
  resource: Resource
  name: string
  /** What follows the resource: a tag, a digest, an upload session. Empty for `upload`, `tags` and `extensions`. */
  reference: string
}

/**
 * Classifies a raw request URL by its tail, without decoding or allocating for requests that are not ours: the router
 * runs this for every request of the host. Grammar is not judged here, so that a bad name becomes NAME_INVALID later.
 */
export function resourceOfUrl (url: string): Resource | undefined {
  if (url.indexOf('/v2/') === -1) return undefined
  let end = url.length
  for (let i = 0; i < url.length; i++) {
    const character = url.charCodeAt(i)
    if (character === 63 /* ? */ || character === 35 /* # */) {
      end = i
      break
    }
  }
  return resourceOfTail(url, end)
}

/** Splits what follows `/v2/`, already decoded. Undefined when it names no resource or no repository. */
export function splitResourcePath (path: string): ResourcePath | undefined {
  // The tail is looked for with its leading slash: a path that is all tail has no name and is refused.
  const resource = resourceOfTail(path, path.length)
  if (resource === undefined) return undefined
  if (resource === 'tags') return withName(resource, path.slice(0, -TAGS.length), '')
  if (resource === 'extensions') return withName(resource, path.slice(0, -DISCOVER.length), '')
  if (resource === 'upload') {
    const tail = path.endsWith('/') ? '/blobs/uploads/' : '/blobs/uploads'
    return withName(resource, path.slice(0, -tail.length), '')
  }
  const last = path.lastIndexOf('/')
  const word = WORDS[resource]
  return withName(resource, path.slice(0, last - word.length), path.slice(last + 1))
}

const TAGS = '/tags/list'
const DISCOVER = '/_oci/ext/discover'
const WORDS = {
  'upload-session': '/blobs/uploads',
  blob: '/blobs',
  manifest: '/manifests',
  referrers: '/referrers'
} as const

function withName (resource: Resource, name: string, reference: string): ResourcePath | undefined {
  return name === '' ? undefined : { resource, name, reference }
}

function resourceOfTail (path: string, end: number): Resource | undefined {
  if (path.endsWith(TAGS, end)) return 'tags'
  if (path.endsWith(DISCOVER, end)) return 'extensions'
  // also without the final slash, because a redirect would turn the POST into a GET in many clients.
  if (path.endsWith('/blobs/uploads/', end) || path.endsWith('/blobs/uploads', end)) return 'upload'
  const last = path.lastIndexOf('/', end - 1)
  if (last === -1 || last === end - 1) return undefined
  if (path.endsWith(WORDS['upload-session'], last)) return 'upload-session'
  if (path.endsWith(WORDS.blob, last)) return 'blob'
  if (path.endsWith(WORDS.manifest, last)) return 'manifest'
  if (path.endsWith(WORDS.referrers, last)) return 'referrers'
  return undefined
}
