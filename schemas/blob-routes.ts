import { resourceParams } from './common.js'

export const getBlob = { summary: 'Pull a blob (end-2)', tags: ['blobs'], params: resourceParams } as const
export const deleteBlob = { summary: 'Delete a blob (end-10)', tags: ['blobs'], params: resourceParams } as const
