export interface Difference { readonly request: string, readonly what: string, readonly theirs: string, readonly ours: string }

/** Where we answer the recorded requests in another way than docker's registry 2.8.2 on purpose. */
export const DIFFERENCES: ReadonlyArray<{ readonly why: string, readonly differences: readonly Difference[] }> = [
  {
    why: 'Answered at once: health checks ask so, and a redirect only costs a round trip.',
    differences: [
      { request: 'base without slash', what: 'body', theirs: '<a href="/v2/">Moved Permanently</a>.', ours: '{}' },
      { request: 'base without slash', what: 'content-type', theirs: 'text/html', ours: 'application/json' },
      { request: 'base without slash', what: 'location', theirs: '/v2/', ours: '' },
      { request: 'base without slash', what: 'status', theirs: '301', ours: '200' }
    ]
  },
  {
    why: 'Refused, as registry 3 does.',
    differences: [
      { request: 'catalog, n that is no number', what: 'body', theirs: '{"repositories":[]}', ours: 'PAGINATION_NUMBER_INVALID' },
      { request: 'catalog, n that is no number', what: 'status', theirs: '200', ours: '400' }
    ]
  },
  {
    why: 'The error is an envelope, as long as it says it is, and without the headers of the blob.',
    differences: [
      { request: 'blob beyond its end', what: 'body', theirs: 'cut off', ours: 'RANGE_INVALID' },
      { request: 'blob beyond its end', what: 'content-type', theirs: 'text/plain', ours: 'application/json' },
      { request: 'blob beyond its end', what: 'docker-content-digest', theirs: 'sha256:68a2faae1371b46a9c54c8b61706cb1b4109f81b7a0e54c63fdecc80ef78239e', ours: '' },
      { request: 'blob beyond its end', what: 'etag', theirs: '"sha256:68a2faae1371b46a9c54c8b61706cb1b4109f81b7a0e54c63fdecc80ef78239e"', ours: '' }
    ]
  },
  {
    why: 'A chunk that does not follow the last one is refused, as the specification wants it; 2.8 takes it.',
    differences: [
      { request: 'upload: gap', what: 'body', theirs: '', ours: 'RANGE_INVALID' },
      { request: 'upload: gap', what: 'content-type', theirs: '', ours: 'application/json' },
      { request: 'upload: gap', what: 'range', theirs: '0-7', ours: '0-3' },
      { request: 'upload: gap', what: 'status', theirs: '202', ours: '416' }
    ]
  },
  {
    why: 'Follows from the chunk that 2.8 took.',
    differences: [
      { request: 'upload: status', what: 'range', theirs: '0-7', ours: '0-3' }
    ]
  },
  {
    why: 'The session is unknown; there is no secret state that could be invalid.',
    differences: [
      { request: 'upload that never was', what: 'body', theirs: 'BLOB_UPLOAD_INVALID', ours: 'BLOB_UPLOAD_UNKNOWN' }
    ]
  },
  {
    why: 'sha512 is supported.',
    differences: [
      { request: 'manifest by a sha512 digest', what: 'body', theirs: 'DIGEST_INVALID', ours: '' },
      { request: 'manifest by a sha512 digest', what: 'content-type', theirs: 'application/json', ours: '' },
      { request: 'manifest by a sha512 digest', what: 'docker-content-digest', theirs: '', ours: 'sha512:d9a5306d4e2eb0f52c71f5cafc3602a8ea345f21b6e096df1c2682182b597fea1287a75f3450db86c3ca40c3c123ccd2485233acacb3b9e80f58546b7b8e71c5' },
      { request: 'manifest by a sha512 digest', what: 'location', theirs: '', ours: '/v2/rec/one/manifests/sha512:d9a5306d4e2eb0f52c71f5cafc3602a8ea345f21b6e096df1c2682182b597fea1287a75f3450db86c3ca40c3c123ccd2485233acacb3b9e80f58546b7b8e71c5' },
      { request: 'manifest by a sha512 digest', what: 'status', theirs: '400', ours: '201' }
    ]
  },
  {
    why: 'Says what is wrong, in the envelope.',
    differences: [
      { request: 'manifest by a bad tag', what: 'body', theirs: '404 page not found', ours: 'TAG_INVALID' },
      { request: 'manifest by a bad tag', what: 'content-type', theirs: 'text/plain', ours: 'application/json' },
      { request: 'manifest by a bad tag', what: 'status', theirs: '404', ours: '400' }
    ]
  },
  {
    why: 'A bad manifest is the client\'s mistake, not the server\'s.',
    differences: [
      { request: 'manifest that is empty', what: 'body', theirs: 'UNKNOWN', ours: 'MANIFEST_INVALID' },
      { request: 'manifest that is empty', what: 'status', theirs: '500', ours: '400' }
    ]
  },
  {
    why: 'A manifest that exists is served, whatever Accept says.',
    differences: [
      { request: 'manifest without Accept', what: 'body', theirs: 'MANIFEST_UNKNOWN', ours: '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:82405702c0d5dc33474c63ba3f6ffc4d6caee25434049b1eb6375b9d37306981","size":55},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:d5a93903bb3466f3f4308505c600dd400dab7100a81f4904a0b96ad982272db7","size":19}]}' },
      { request: 'manifest without Accept', what: 'content-type', theirs: 'application/json', ours: 'application/vnd.oci.image.manifest.v1+json' },
      { request: 'manifest without Accept', what: 'docker-content-digest', theirs: '', ours: 'sha256:de4c051b03f029dd922ce4fd31e2f78310400b22833af5546443be00793d9382' },
      { request: 'manifest without Accept', what: 'etag', theirs: '', ours: '"sha256:de4c051b03f029dd922ce4fd31e2f78310400b22833af5546443be00793d9382"' },
      { request: 'manifest without Accept', what: 'status', theirs: '404', ours: '200' }
    ]
  },
  {
    why: 'A 304 says which version it is about.',
    differences: [
      { request: 'manifest that the client has', what: 'docker-content-digest', theirs: '', ours: 'sha256:de4c051b03f029dd922ce4fd31e2f78310400b22833af5546443be00793d9382' },
      { request: 'manifest that the client has', what: 'etag', theirs: '', ours: '"sha256:de4c051b03f029dd922ce4fd31e2f78310400b22833af5546443be00793d9382"' }
    ]
  },
  {
    why: 'A bad digest is the client\'s mistake, not the server\'s.',
    differences: [
      { request: 'manifest by a malformed digest', what: 'body', theirs: 'UNKNOWN', ours: 'DIGEST_INVALID' },
      { request: 'manifest by a malformed digest', what: 'status', theirs: '500', ours: '400' }
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
      { request: 'tags, a page', what: 'body', theirs: '{"name":"rec/one","tags":["latest","index"]}', ours: '{"name":"rec/one","tags":["index"]}' },
      { request: 'tags, a page', what: 'link', theirs: '', ours: '</v2/rec/one/tags/list?last=index&n=1>; rel="next"' }
    ]
  },
  {
    why: 'Pages of tags, as registry 3 has them.',
    differences: [
      { request: 'tags after one', what: 'body', theirs: '{"name":"rec/one","tags":["latest","index"]}', ours: '{"name":"rec/one","tags":["latest"]}' }
    ]
  },
  {
    why: 'Refused, as registry 3 does.',
    differences: [
      { request: 'tags, negative page', what: 'body', theirs: '{"name":"rec/one","tags":["latest","index"]}', ours: 'PAGINATION_NUMBER_INVALID' },
      { request: 'tags, negative page', what: 'status', theirs: '200', ours: '400' }
    ]
  },
  {
    why: 'A repository is listed when it has manifests, as registry 3 does it; 2.8 lists one that only has blobs.',
    differences: [
      { request: 'catalog', what: 'body', theirs: '{"repositories":["rec/one","rec/two"]}', ours: '{"repositories":["rec/one"]}' }
    ]
  },
  {
    why: 'Follows from the repository that is not listed.',
    differences: [
      { request: 'catalog, a page', what: 'link', theirs: '</v2/_catalog?last=rec%2Fone&n=1>; rel="next"', ours: '' }
    ]
  },
  {
    why: 'The referrers API of OCI 1.1.',
    differences: [
      { request: 'referrers', what: 'body', theirs: '404 page not found', ours: '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}' },
      { request: 'referrers', what: 'content-type', theirs: 'text/plain', ours: 'application/vnd.oci.image.index.v1+json' },
      { request: 'referrers', what: 'status', theirs: '404', ours: '200' }
    ]
  },
  {
    why: 'Errors are in the envelope.',
    differences: [
      { request: 'unknown path', what: 'body', theirs: '404 page not found', ours: 'NAME_INVALID' },
      { request: 'unknown path', what: 'content-type', theirs: 'text/plain', ours: 'application/json' }
    ]
  },
  {
    why: 'The name is what is wrong, and the envelope says so.',
    differences: [
      { request: 'name in upper case', what: 'body', theirs: '404 page not found', ours: 'NAME_INVALID' },
      { request: 'name in upper case', what: 'content-type', theirs: 'text/plain', ours: 'application/json' },
      { request: 'name in upper case', what: 'status', theirs: '404', ours: '400' }
    ]
  },
  {
    why: 'Errors are in the envelope.',
    differences: [
      { request: 'wrong method on a manifest', what: 'body', theirs: 'Method not allowed', ours: 'UNSUPPORTED' },
      { request: 'wrong method on a manifest', what: 'content-type', theirs: 'text/plain', ours: 'application/json' }
    ]
  },
  {
    why: 'Errors are in the envelope.',
    differences: [
      { request: 'wrong method on a blob', what: 'body', theirs: 'Method not allowed', ours: 'UNSUPPORTED' },
      { request: 'wrong method on a blob', what: 'content-type', theirs: 'text/plain', ours: 'application/json' }
    ]
  },
  {
    why: 'Errors are in the envelope; HEAD is answered too.',
    differences: [
      { request: 'wrong method on tags', what: 'allow', theirs: 'GET', ours: 'GET, HEAD' },
      { request: 'wrong method on tags', what: 'body', theirs: 'Method not allowed', ours: 'UNSUPPORTED' },
      { request: 'wrong method on tags', what: 'content-type', theirs: 'text/plain', ours: 'application/json' }
    ]
  },
  {
    why: 'Deletes the tag, as the specification and registry 3 have it.',
    differences: [
      { request: 'delete by tag', what: 'body', theirs: 'DIGEST_INVALID', ours: '' },
      { request: 'delete by tag', what: 'content-type', theirs: 'application/json', ours: '' },
      { request: 'delete by tag', what: 'status', theirs: '400', ours: '202' }
    ]
  }
]

/** As a table for docs/drop-in.md: bodies and digests are left out. */
export function differencesTable (): string {
  const rows = DIFFERENCES.map(({ why, differences }) => {
    const [first] = differences
    const status = differences.find(({ what }) => what === 'status')
    const codes = differences.find(({ what, ours }) => what === 'body' && /^[A-Z_ ]*$/.test(ours))
    const shown = [
      ...(status === undefined ? [] : [`${status.theirs} → ${status.ours}`]),
      ...(codes === undefined || codes.ours === '' ? [] : [codes.ours]),
      ...(status === undefined && codes === undefined ? [differences.map(({ what }) => what).join(', ')] : [])
    ]
    return `| ${first?.request ?? ''} | ${shown.join(', ')} | ${why} |\n`
  })
  return `| request | difference | why |\n| --- | --- | --- |\n${rows.join('')}`
}
