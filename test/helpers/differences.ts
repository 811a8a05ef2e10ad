/** `what` names the parts of the answer that differ, `theirs` and `ours` have their values in the same order. */
export interface Difference { readonly request: string, readonly what: string, readonly theirs: string, readonly ours: string }

/** Where we differ from docker's registry 2.8.2 on purpose and in the same way whatever was asked. */
export const EVERYWHERE: ReadonlyArray<Omit<Difference, 'request'> & { readonly why: string }> = [
  { what: 'content-type', theirs: 'application/json; charset=utf-8', ours: 'application/json', why: 'As registry 3 has it.' },
  { what: 'content-type', theirs: 'text/plain; charset=utf-8', ours: 'application/json', why: 'Every error is in the envelope.' },
  { what: 'body', theirs: '404 page not found', ours: 'NAME_INVALID', why: 'Every error is in the envelope.' },
  { what: 'body', theirs: 'Method not allowed', ours: 'UNSUPPORTED', why: 'Every error is in the envelope.' },
  { what: 'body', theirs: 'BLOB_UPLOAD_INVALID', ours: 'BLOB_UPLOAD_UNKNOWN', why: 'There is no secret state that could be invalid, only sessions that are not there.' },
  { what: 'allow', theirs: 'GET', ours: 'GET, HEAD', why: 'HEAD is answered where GET is.' },
  { what: 'accept-ranges', theirs: '–', ours: 'bytes', why: 'Said of every blob, also with 304 and 416.' },
  { what: 'cache-control', theirs: 'max-age=31536000', ours: 'max-age=31536000, immutable', why: 'What a digest names never changes.' },
  { what: 'cache-control', theirs: '–', ours: 'max-age=31536000, immutable', why: 'Manifests by digest never change either.' },
  { what: 'cache-control', theirs: '–', ours: 'no-cache', why: 'A tag can move: caches ask again.' }
]

/** Where we answer the recorded requests in another way on purpose. */
export const DIFFERENCES: ReadonlyArray<{ readonly why: string, readonly differences: readonly Difference[] }> = [
  {
    why: 'Answered at once: health checks ask so, and a redirect only costs a round trip.',
    differences: [
      { request: 'base without slash', what: 'status | location | content-type | body', theirs: '301 | /v2/ | text/html; charset=utf-8 | <a href="/v2/">Moved Permanently</a>.', ours: '200 | – | application/json | {}' },
      { request: 'uploads without slash', what: 'status | location | docker-upload-uuid | range', theirs: '301 | /v2/more/one/blobs/uploads/ | – | –', ours: '202 | /v2/more/one/blobs/uploads/<session> | yes | 0-0' }
    ]
  },
  {
    why: 'Refused, as registry 3 does.',
    differences: [
      { request: 'catalog, n that is no number', what: 'status | body', theirs: '200 | {"repositories":[]}', ours: '400 | PAGINATION_NUMBER_INVALID' },
      { request: 'tags, negative page', what: 'status | body', theirs: '200 | {"name":"rec/one","tags":["latest","index"]}', ours: '400 | PAGINATION_NUMBER_INVALID' },
      { request: 'catalog, negative page', what: 'status | body', theirs: '200 | {"repositories":["rec/one","rec/two"]}', ours: '400 | PAGINATION_NUMBER_INVALID' }
    ]
  },
  {
    why: 'The error is an envelope as long as it says, and carries nothing that belongs to the blob.',
    differences: [
      { request: 'blob beyond its end', what: 'docker-content-digest | etag | cache-control | body', theirs: 'sha256:68a2faae | "sha256:68a2faae" | max-age=31536000 | cut off', ours: '– | – | – | RANGE_INVALID' },
      { request: 'empty blob, part', what: 'docker-content-digest | etag | cache-control | body', theirs: 'sha256:e3b0c442 | "sha256:e3b0c442" | max-age=31536000 | –', ours: '– | – | – | RANGE_INVALID' },
      { request: 'blob, a range that runs backwards', what: 'docker-content-digest | content-range | etag | cache-control | body', theirs: 'sha256:23c359f1 | – | "sha256:23c359f1" | max-age=31536000 | cut off', ours: '– | bytes */19 | – | – | RANGE_INVALID' }
    ]
  },
  {
    why: 'A chunk that does not follow the last one is refused, as the specification wants it; 2.8 appends it.',
    differences: [
      { request: 'upload: gap', what: 'status | range | content-type | body', theirs: '202 | 0-7 | – | –', ours: '416 | 0-3 | application/json | RANGE_INVALID' },
      { request: 'overlap: second chunk', what: 'status | range | content-type | body', theirs: '202 | 0-6 | – | –', ours: '416 | 0-3 | application/json | RANGE_INVALID' }
    ]
  },
  {
    why: 'Follows from the chunk that 2.8 appended.',
    differences: [
      { request: 'upload: status', what: 'range', theirs: '0-7', ours: '0-3' }
    ]
  },
  {
    why: 'sha512 is supported: content is served by the digest it was pushed with.',
    differences: [
      { request: 'manifest by a sha512 digest', what: 'status | location | docker-content-digest | content-type | body', theirs: '400 | – | – | application/json; charset=utf-8 | DIGEST_INVALID', ours: '201 | /v2/rec/one/manifests/sha512:d9a5306d | sha512:d9a5306d | – | –' },
      { request: 'sha512: close', what: 'location | docker-content-digest', theirs: '/v2/more/one/blobs/sha256:a3962446 | sha256:a3962446', ours: '/v2/more/one/blobs/sha512:1f9720f8 | sha512:1f9720f8' },
      { request: 'sha512: the blob', what: 'docker-content-digest | etag', theirs: 'sha256:a3962446 | "sha256:a3962446"', ours: 'sha512:1f9720f8 | "sha512:1f9720f8"' }
    ]
  },
  {
    why: 'Says what is wrong with the request.',
    differences: [
      { request: 'manifest by a bad tag', what: 'status | body', theirs: '404 | 404 page not found', ours: '400 | TAG_INVALID' },
      { request: 'name in upper case', what: 'status', theirs: '404', ours: '400' },
      { request: 'name with a leading underscore', what: 'status', theirs: '404', ours: '400' },
      { request: 'name with three underscores', what: 'status', theirs: '404', ours: '400' },
      { request: 'blob by a tag', what: 'status | body', theirs: '404 | 404 page not found', ours: '400 | DIGEST_INVALID' },
      { request: 'tag of 129 characters', what: 'status | body', theirs: '404 | 404 page not found', ours: '400 | TAG_INVALID' }
    ]
  },
  {
    why: 'The client\'s mistake, not the server\'s.',
    differences: [
      { request: 'manifest that is empty', what: 'status | body', theirs: '500 | UNKNOWN', ours: '400 | MANIFEST_INVALID' },
      { request: 'manifest by a malformed digest', what: 'status | body', theirs: '500 | UNKNOWN', ours: '400 | DIGEST_INVALID' },
      { request: 'name of 256 characters', what: 'status | body', theirs: '500 | UNKNOWN', ours: '400 | NAME_INVALID' },
      { request: 'name like a host with a port', what: 'status | body', theirs: '500 | UNKNOWN', ours: '400 | NAME_INVALID' },
      { request: 'manifest by a malformed digest PUT', what: 'status | body', theirs: '500 | UNKNOWN', ours: '400 | DIGEST_INVALID' }
    ]
  },
  {
    why: 'A manifest that exists is served as it was pushed, whatever Accept says: nothing is converted, and no image is picked out of a list.',
    differences: [
      { request: 'manifest without Accept', what: 'status | docker-content-digest | content-type | etag | body', theirs: '404 | – | application/json; charset=utf-8 | – | MANIFEST_UNKNOWN', ours: '200 | sha256:de4c051b | application/vnd.oci.image.manifest.v1+json | "sha256:de4c051b" | 394 bytes, sha256:de4c051b' },
      { request: 'docker manifest, any type', what: 'status | docker-content-digest | content-type | etag | body', theirs: '400 | – | application/json; charset=utf-8 | – | MANIFEST_INVALID', ours: '200 | sha256:0ebf8a1c | application/vnd.docker.distribution.manifest.v2+json | "sha256:0ebf8a1c" | 421 bytes, sha256:0ebf8a1c' },
      { request: 'docker manifest, another type', what: 'status | docker-content-digest | content-type | etag | body', theirs: '400 | – | application/json; charset=utf-8 | – | MANIFEST_INVALID', ours: '200 | sha256:0ebf8a1c | application/vnd.docker.distribution.manifest.v2+json | "sha256:0ebf8a1c" | 421 bytes, sha256:0ebf8a1c' },
      { request: 'docker list, any type', what: 'status | docker-content-digest | content-type | etag | body', theirs: '400 | – | application/json; charset=utf-8 | – | MANIFEST_INVALID', ours: '200 | sha256:162e7294 | application/vnd.docker.distribution.manifest.list.v2+json | "sha256:162e7294" | 317 bytes, sha256:162e7294' },
      { request: 'docker list, only manifests', what: 'docker-content-digest | content-type | etag | body', theirs: 'sha256:0ebf8a1c | application/vnd.docker.distribution.manifest.v2+json | "sha256:0ebf8a1c" | 421 bytes, sha256:0ebf8a1c', ours: 'sha256:162e7294 | application/vnd.docker.distribution.manifest.list.v2+json | "sha256:162e7294" | 317 bytes, sha256:162e7294' },
      { request: 'manifest, another type', what: 'status | docker-content-digest | content-type | etag | body', theirs: '404 | – | application/json; charset=utf-8 | – | MANIFEST_UNKNOWN', ours: '200 | sha256:602b2424 | application/vnd.oci.image.manifest.v1+json | "sha256:602b2424" | 394 bytes, sha256:602b2424' }
    ]
  },
  {
    why: 'A 304 says which version it is about.',
    differences: [
      { request: 'manifest that the client has', what: 'docker-content-digest | etag', theirs: '– | –', ours: 'sha256:de4c051b | "sha256:de4c051b"' },
      { request: 'manifest that the client has, unquoted', what: 'docker-content-digest | etag', theirs: '– | –', ours: 'sha256:602b2424 | "sha256:602b2424"' }
    ]
  },
  {
    why: 'In byte order, as the specification wants it.',
    differences: [
      { request: 'tags', what: 'body', theirs: '{"name":"rec/one","tags":["latest","index"]}', ours: '{"name":"rec/one","tags":["index","latest"]}' }
    ]
  },
  {
    why: 'Pages of tags, as registry 3 has them.',
    differences: [
      { request: 'tags, a page', what: 'link | body', theirs: '– | {"name":"rec/one","tags":["latest","index"]}', ours: '</v2/rec/one/tags/list?last=index&n=1>; rel="next" | {"name":"rec/one","tags":["index"]}' },
      { request: 'tags after one', what: 'body', theirs: '{"name":"rec/one","tags":["latest","index"]}', ours: '{"name":"rec/one","tags":["latest"]}' }
    ]
  },
  {
    why: 'A repository is listed once it has manifests, as registry 3 does it; 2.8 lists those that only have blobs too.',
    differences: [
      { request: 'catalog', what: 'body', theirs: '{"repositories":["rec/one","rec/two"]}', ours: '{"repositories":["rec/one"]}' },
      { request: 'catalog, a page', what: 'link', theirs: '</v2/_catalog?last=rec%2Fone&n=1>; rel="next"', ours: '–' },
      { request: 'catalog after one', what: 'body', theirs: '{"repositories":["rec/two"]}', ours: '{"repositories":[]}' }
    ]
  },
  {
    why: 'The referrers API of OCI 1.1.',
    differences: [
      { request: 'referrers', what: 'status | content-type | body', theirs: '404 | text/plain; charset=utf-8 | 404 page not found', ours: '200 | application/vnd.oci.image.index.v1+json | {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}' },
      { request: 'manifest with a subject', what: 'oci-subject', theirs: '–', ours: 'sha256:602b2424' }
    ]
  },
  {
    why: 'Tags can be deleted, as the specification and registry 3 have it.',
    differences: [
      { request: 'delete by tag', what: 'status | content-type | body', theirs: '400 | application/json; charset=utf-8 | DIGEST_INVALID', ours: '202 | – | –' },
      { request: 'delete of an unknown tag', what: 'status | body', theirs: '400 | DIGEST_INVALID', ours: '404 | MANIFEST_UNKNOWN' }
    ]
  },
  {
    why: 'Only GET and HEAD have a meaning there.',
    differences: [
      { request: 'base POST', what: 'status | allow | body', theirs: '200 | – | {}', ours: '405 | GET, HEAD | UNSUPPORTED' }
    ]
  },
  {
    why: 'Paths are taken literally: there is no redirect to a tidier one.',
    differences: [
      { request: 'double slash', what: 'status | location | content-type | body', theirs: '301 | /v2/more/one/tags/list | – | –', ours: '400 | – | application/json | NAME_INVALID' },
      { request: 'catalog with a slash', what: 'status | location | content-type | body', theirs: '301 | /v2/_catalog | text/html; charset=utf-8 | <a href="/v2/_catalog">Moved Permanently</a>.', ours: '404 | – | application/json | NAME_INVALID' },
      { request: 'tags with a slash', what: 'status | location | content-type | body', theirs: '301 | /v2/more/one/tags/list | text/html; charset=utf-8 | <a href="/v2/more/one/tags/list">Moved Permanently</a>.', ours: '404 | – | application/json | NAME_INVALID' }
    ]
  },
  {
    why: 'HEAD is answered where GET is.',
    differences: [
      { request: 'catalog HEAD', what: 'status | allow | content-length', theirs: '405 | GET | –', ours: '200 | – | 28' },
      { request: 'tags HEAD', what: 'status | allow | content-length', theirs: '405 | GET | –', ours: '200 | – | 181' }
    ]
  },
  {
    why: 'A Range is for GET, says HTTP.',
    differences: [
      { request: 'blob HEAD of a part', what: 'status | content-range | content-length', theirs: '206 | bytes 0-3/19 | 4', ours: '200 | – | 19' }
    ]
  },
  {
    why: 'A unit that is not known is passed over, as HTTP wants it.',
    differences: [
      { request: 'blob in another unit', what: 'status | content-type | body', theirs: '416 | text/plain; charset=utf-8 | cut off', ours: '200 | application/octet-stream | more recorded bytes' }
    ]
  },
  {
    why: 'If-None-Match is read as HTTP has it (lists, weak tags), and as docker has it (without quotes), for manifests and blobs alike.',
    differences: [
      { request: 'blob that the client has, unquoted', what: 'status | content-type | body', theirs: '200 | application/octet-stream | more recorded bytes', ours: '304 | – | –' },
      { request: 'manifest that the client has, weak', what: 'status | content-type | body', theirs: '200 | application/vnd.oci.image.manifest.v1+json | 394 bytes, sha256:602b2424', ours: '304 | – | –' },
      { request: 'manifest that the client has, of two', what: 'status | content-type | body', theirs: '200 | application/vnd.oci.image.manifest.v1+json | 394 bytes, sha256:602b2424', ours: '304 | – | –' }
    ]
  },
  {
    why: 'The method is what is wrong: no session was named.',
    differences: [
      { request: 'uploads GET', what: 'status | allow | body', theirs: '404 | – | BLOB_UPLOAD_UNKNOWN', ours: '405 | POST | UNSUPPORTED' },
      { request: 'uploads PUT', what: 'status | allow | body', theirs: '404 | – | BLOB_UPLOAD_UNKNOWN', ours: '405 | POST | UNSUPPORTED' },
      { request: 'uploads DELETE', what: 'status | allow | body', theirs: '404 | – | BLOB_UPLOAD_UNKNOWN', ours: '405 | POST | UNSUPPORTED' }
    ]
  },
  {
    why: 'A blob can be pushed in one request; 2.8 starts an upload and leaves the bytes.',
    differences: [
      { request: 'blob in one request', what: 'status | location | docker-content-digest | docker-upload-uuid | range', theirs: '202 | /v2/more/one/blobs/uploads/<session> | – | yes | 0-0', ours: '201 | /v2/more/one/blobs/sha256:2c1c3733 | sha256:2c1c3733 | – | –' },
      { request: 'blob in one request, wrong digest', what: 'status | location | docker-upload-uuid | range | content-type | body', theirs: '202 | /v2/more/one/blobs/uploads/<session> | yes | 0-0 | – | –', ours: '400 | – | – | – | application/json | DIGEST_INVALID' }
    ]
  },
  {
    why: 'A mount from the repository itself starts an upload.',
    differences: [
      { request: 'mount from itself', what: 'status | location | docker-content-digest | docker-upload-uuid | range', theirs: '201 | /v2/more/one/blobs/sha256:23c359f1 | sha256:23c359f1 | – | –', ours: '202 | /v2/more/one/blobs/uploads/<session> | – | yes | 0-0' }
    ]
  },
  {
    why: 'A blob is mounted from wherever the client may pull it.',
    differences: [
      { request: 'mount without a source', what: 'status | location | docker-content-digest | docker-upload-uuid | range', theirs: '202 | /v2/more/two/blobs/uploads/<session> | – | yes | 0-0', ours: '201 | /v2/more/two/blobs/sha256:23c359f1 | sha256:23c359f1 | – | –' }
    ]
  },
  {
    why: 'A stale Location says where the upload is, so that the client can go on.',
    differences: [
      { request: 'chunks: at a stale Location', what: 'status | location | docker-upload-uuid | range | body', theirs: '404 | – | – | – | BLOB_UPLOAD_INVALID', ours: '416 | /v2/more/one/blobs/uploads/<session> | yes | 0-3 | RANGE_INVALID' }
    ]
  },
  {
    why: 'The type of a chunk does not matter.',
    differences: [
      { request: 'odd chunks: of another type', what: 'status | location | docker-upload-uuid | range | content-type | body', theirs: '500 | – | – | – | application/json; charset=utf-8 | UNKNOWN', ours: '202 | /v2/more/one/blobs/uploads/<session> | yes | 0-2 | – | –' }
    ]
  },
  {
    why: 'A Content-Range that is no range, or not that of the body, is refused; 2.8 does not look at it.',
    differences: [
      { request: 'odd chunks: range that is none', what: 'status | location | docker-upload-uuid | range | content-type | body', theirs: '202 | /v2/more/one/blobs/uploads/<session> | yes | 0-2 | – | –', ours: '416 | – | – | – | application/json | RANGE_INVALID' },
      { request: 'odd chunks: range of another length', what: 'status | location | docker-upload-uuid | range | content-type | body', theirs: '202 | /v2/more/one/blobs/uploads/<session> | yes | 0-2 | – | –', ours: '400 | – | – | – | application/json | SIZE_INVALID' }
    ]
  },
  {
    why: 'An upload is started on the collection.',
    differences: [
      { request: 'POST on a session', what: 'status | location | docker-upload-uuid | range | content-type | allow | body', theirs: '202 | /v2/more/one/blobs/uploads/<session> | yes | 0-0 | – | – | –', ours: '405 | – | – | – | application/json | DELETE, GET, HEAD, PATCH, PUT | UNSUPPORTED' }
    ]
  },
  {
    why: 'The type in the manifest itself counts.',
    differences: [
      { request: 'manifest without Content-Type', what: 'status | location | docker-content-digest | content-type | body', theirs: '400 | – | – | application/json; charset=utf-8 | MANIFEST_INVALID', ours: '201 | /v2/more/one/manifests/sha256:602b2424 | sha256:602b2424 | – | –' }
    ]
  },
  {
    why: 'The status the specification has for it.',
    differences: [
      { request: 'manifest that is too large', what: 'status', theirs: '400', ours: '413' }
    ]
  },
  {
    why: 'There is no such manifest; the layer is not read as one.',
    differences: [
      { request: 'manifest by the digest of a layer', what: 'status | body', theirs: '500 | UNKNOWN', ours: '404 | MANIFEST_UNKNOWN' }
    ]
  }
]

/** Both lists as the tables of docs/drop-in.md. */
export function differencesTable (): string {
  const everywhere = EVERYWHERE.map(({ what, theirs, ours, why }) => row(what, `\`${theirs}\``, `\`${ours}\``, why))
  const single = DIFFERENCES.flatMap(({ why, differences }) => differences.map(difference => row(difference.request, ...shown(difference), why)))
  return [
    row('everywhere', 'docker\'s registry 2.8.2', 'here', 'why'), row('---', '---', '---', '---'), ...everywhere, '\n',
    row('request', 'docker\'s registry 2.8.2', 'here', 'why'), row('---', '---', '---', '---'), ...single
  ].join('')
}

function row (...cells: string[]): string {
  return `| ${cells.join(' | ')} |\n`
}

/** What both answer, without content: of bodies only error codes are told, unless nothing else differs. */
function shown ({ what, theirs, ours }: Difference): [string, string] {
  const names = what.split(' | ')
  const cell = (values: string[]): string => names.flatMap((name, i) => {
    const value = values[i] ?? ''
    if (value === '–' || (name === 'content-type' && names.length > 1)) return []
    if (name === 'body') return names.length === 1 || /^[A-Z_]+$/.test(value) ? [`\`${value}\``] : []
    return [name === 'status' ? value : `${name} \`${value}\``]
  }).join(', ')
  return [cell(theirs.split(' | ')) || '–', cell(ours.split(' | ')) || '–']
}
