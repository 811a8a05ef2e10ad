import { image, index, sha256, sha512 } from './images.js'
import type { Manifest } from './images.js'

/** A request that is sent to two registries; `{location}` is what the answer before it said, without the query. */
export interface Recorded {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'
const OCTETS = { 'content-type': 'application/octet-stream' }
const BLOB = 'recorded blob'
const DIGEST = sha256(BLOB)
const ABSENT = sha256('absent')
const N = '/v2/rec/one'

const get = (name: string, path: string, headers: Record<string, string> = {}): Recorded => ({ name, method: 'GET', path, headers })
const put = (name: string, manifest: Manifest, reference: string): Recorded =>
  ({ name, method: 'PUT', path: `${N}/manifests/${reference}`, headers: { 'content-type': manifest.mediaType }, body: manifest.bytes })
const start = (name: string): Recorded => ({ name, method: 'POST', path: `${N}/blobs/uploads/` })

const oci = image('recorded')
const accept = { accept: `${oci.mediaType}, application/vnd.oci.image.index.v1+json, ${DOCKER}` }

/** A blob the way docker pushes it. */
function pushed (name: string, body: string | Buffer): Recorded[] {
  return [
    start(`${name}: start`),
    { name: `${name}: chunk`, method: 'PATCH', path: '{location}', headers: OCTETS, body },
    { name: `${name}: close`, method: 'PUT', path: `{location}&digest=${sha256(body)}` }
  ]
}

/** The list, in order: what one request stores the next ones find. */
export const RECORDED: readonly Recorded[] = [
  get('base', '/v2/'),
  { name: 'base without slash', method: 'GET', path: '/v2' },
  get('root', '/'),
  get('catalog, empty', '/v2/_catalog'),
  get('catalog, too large a page', '/v2/_catalog?n=1001'),
  get('catalog, n that is no number', '/v2/_catalog?n=abc'),
  get('tags of nothing', `${N}/tags/list`),
  get('manifest of nothing', `${N}/manifests/latest`, accept),
  get('blob of nothing', `${N}/blobs/${ABSENT}`),
  get('blob by a malformed digest', `${N}/blobs/sha256:zz`),
  get('blob by an unknown algorithm', `${N}/blobs/md5:d41d8cd98f00b204e9800998ecf8427e`),
  ...pushed('blob', BLOB),
  { name: 'blob HEAD', method: 'HEAD', path: `${N}/blobs/${DIGEST}` },
  get('blob GET', `${N}/blobs/${DIGEST}`),
  get('blob part', `${N}/blobs/${DIGEST}`, { range: 'bytes=2-5' }),
  get('blob, last bytes', `${N}/blobs/${DIGEST}`, { range: 'bytes=-4' }),
  get('blob beyond its end', `${N}/blobs/${DIGEST}`, { range: 'bytes=100-200' }),
  get('blob that the client has', `${N}/blobs/${DIGEST}`, { 'if-none-match': `"${DIGEST}"` }),
  get('blob through another repository', `/v2/rec/two/blobs/${DIGEST}`),
  { name: 'mount', method: 'POST', path: `/v2/rec/two/blobs/uploads/?mount=${DIGEST}&from=rec/one` },
  { name: 'mount of nothing', method: 'POST', path: `/v2/rec/two/blobs/uploads/?mount=${ABSENT}&from=rec/one` },
  start('upload: start'),
  { name: 'upload: status at the start', method: 'GET', path: '{location}' },
  { name: 'upload: first chunk', method: 'PATCH', path: '{location}', headers: { ...OCTETS, 'content-range': '0-3' }, body: 'abcd' },
  { name: 'upload: gap', method: 'PATCH', path: '{location}', headers: { ...OCTETS, 'content-range': '9-12' }, body: 'efgh' },
  { name: 'upload: status', method: 'GET', path: '{location}' },
  { name: 'upload: close without digest', method: 'PUT', path: '{location}' },
  { name: 'upload: close with a malformed digest', method: 'PUT', path: '{location}&digest=sha256:zz' },
  { name: 'upload: cancel', method: 'DELETE', path: '{location}' },
  { name: 'upload: status of the cancelled', method: 'GET', path: '{location}' },
  start('wrong digest: start'),
  { name: 'wrong digest: close', method: 'PUT', path: `{location}&digest=${ABSENT}`, headers: OCTETS, body: 'other bytes' },
  get('upload that never was', `${N}/blobs/uploads/00000000-0000-4000-8000-000000000000`),
  put('manifest without its blobs', oci, 'latest'),
  ...oci.blobs.flatMap((blob, i) => pushed(`blob ${i}`, blob.bytes)),
  put('manifest by tag', oci, 'latest'),
  put('manifest by digest', oci, oci.digest),
  put('manifest by a wrong digest', oci, ABSENT),
  put('manifest by a sha512 digest', oci, sha512(oci.bytes)),
  put('manifest by a bad tag', oci, '.bad'),
  { name: 'manifest that is no JSON', method: 'PUT', path: `${N}/manifests/x`, headers: { 'content-type': oci.mediaType }, body: '{' },
  { name: 'manifest that is empty', method: 'PUT', path: `${N}/manifests/x`, headers: { 'content-type': oci.mediaType }, body: '{}' },
  { name: 'manifest of an unknown type', method: 'PUT', path: `${N}/manifests/x`, headers: { 'content-type': 'text/plain' }, body: '{}' },
  put('index', index([oci]), 'index'),
  put('index of what is not there', index([image('nowhere')]), 'sparse'),
  { name: 'manifest HEAD', method: 'HEAD', path: `${N}/manifests/latest`, headers: accept },
  get('manifest GET by tag', `${N}/manifests/latest`, accept),
  get('manifest GET by digest', `${N}/manifests/${oci.digest}`, accept),
  get('manifest without Accept', `${N}/manifests/latest`),
  get('manifest that the client has', `${N}/manifests/latest`, { ...accept, 'if-none-match': `"${oci.digest}"` }),
  get('manifest by a malformed digest', `${N}/manifests/sha256:zz`, accept),
  get('manifest through blobs', `${N}/blobs/${oci.digest}`),
  get('tags', `${N}/tags/list`),
  get('tags, a page', `${N}/tags/list?n=1`),
  get('tags after one', `${N}/tags/list?last=index`),
  get('tags, negative page', `${N}/tags/list?n=-1`),
  get('catalog', '/v2/_catalog'),
  get('catalog, a page', '/v2/_catalog?n=1'),
  get('referrers', `${N}/referrers/${oci.digest}`),
  get('unknown path', '/v2/nothing/here'),
  get('name in upper case', '/v2/Rec/One/tags/list'),
  { name: 'wrong method on a manifest', method: 'POST', path: `${N}/manifests/latest` },
  { name: 'wrong method on a blob', method: 'PUT', path: `${N}/blobs/${DIGEST}` },
  { name: 'wrong method on tags', method: 'DELETE', path: `${N}/tags/list` },
  { name: 'delete of an unknown manifest', method: 'DELETE', path: `${N}/manifests/${ABSENT}` },
  { name: 'delete by tag', method: 'DELETE', path: `${N}/manifests/index` },
  { name: 'delete by digest', method: 'DELETE', path: `${N}/manifests/${oci.digest}` },
  { name: 'delete once more', method: 'DELETE', path: `${N}/manifests/${oci.digest}` },
  { name: 'delete of a blob', method: 'DELETE', path: `${N}/blobs/${DIGEST}` },
  { name: 'delete of a blob once more', method: 'DELETE', path: `${N}/blobs/${DIGEST}` },
  get('blob that was deleted', `${N}/blobs/${DIGEST}`),
  get('mounted blob of it', `/v2/rec/two/blobs/${DIGEST}`)
]
