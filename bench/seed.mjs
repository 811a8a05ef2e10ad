import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CONFIG, imageManifest, sha256 } from './image.mjs'

const ROOT = 'docker/registry/v2'

/**
 * A storage of many repositories and one with many tags, as docker's registry would have written it: pushing as much
 * would take hours. All of them are the same small image; the history of tags is left out.
 */
export function seedStorage (data, { repositories, tags }) {
  const layer = Buffer.from('the only layer')
  const manifest = imageManifest(layer)
  for (const bytes of [layer, CONFIG, manifest]) write(data, blobPath(sha256(bytes)), bytes)
  const seed = (name, tagNames) => {
    const base = `${ROOT}/repositories/${name}`
    for (const bytes of [layer, CONFIG]) write(data, `${base}/_layers/${linkOf(sha256(bytes))}`, sha256(bytes))
    write(data, `${base}/_manifests/revisions/${linkOf(sha256(manifest))}`, sha256(manifest))
    for (const tag of tagNames) write(data, `${base}/_manifests/tags/${tag}/current/link`, sha256(manifest))
  }
  seed('tags', names('v', tags))
  for (const name of names('r', repositories - 1)) seed(name, ['latest'])
}

function names (prefix, count) {
  return Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(6, '0')}`)
}

function blobPath (digest) {
  const hex = digest.slice('sha256:'.length)
  return `${ROOT}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`
}

function linkOf (digest) {
  return `${digest.replace(':', '/')}/link`
}

function write (data, path, content) {
  const file = join(data, path)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, content)
}
