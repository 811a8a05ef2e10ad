import { resourceParams } from './common.js'
import { answers, body, empty, errors } from './responses.js'

export const getBlob = {
  summary: 'Pull a blob (end-2)',
  tags: ['blobs'],
  params: resourceParams,
  response: answers({
    200: body('The blob.', ['application/octet-stream'], ['Docker-Content-Digest', 'ETag']),
    206: body('The parts that were asked for.', ['application/octet-stream', 'multipart/byteranges'], ['Docker-Content-Digest', 'ETag', 'Content-Range']),
    307: empty('The storage serves it.', ['Location']),
    304: empty('The client has it.', ['Docker-Content-Digest', 'ETag']),
    ...errors(400, 404, 416)
  })
} as const

export const deleteBlob = {
  summary: 'Delete a blob (end-10)',
  tags: ['blobs'],
  params: resourceParams,
  response: answers({ 202: empty('Deleted.'), ...errors(400, 404, 405) })
} as const
