import { resourceParams } from './common.js'

export const getManifest = { summary: 'Pull a manifest (end-3)', tags: ['manifests'], params: resourceParams } as const
export const putManifest = { summary: 'Push a manifest (end-7)', tags: ['manifests'], params: resourceParams } as const
export const deleteManifest = { summary: 'Delete a manifest or a tag (end-9)', tags: ['manifests'], params: resourceParams } as const
