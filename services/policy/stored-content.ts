import { buffer } from 'node:stream/consumers'
import { OciError } from '../errors/oci-error.js'
import type { Digest, Reference } from '../reference/reference.js'
import { parseManifest } from '../registry/manifest-content.js'
import type { ManifestContent } from '../registry/manifest-content.js'
import { MAX_MANIFEST_BYTES } from '../registry/manifest-contents.js'
import type { Descriptor, Repository, StoredManifest } from '../registry/types.js'
import type { About } from './engine.js'

/** What is asked about a manifest that is to be served, and told when it was. It is parsed when a hook asks for it. */
export function manifestPull (repository: Repository, reference: Reference, { descriptor, bytes }: StoredManifest): About<'beforePull'> & About<'afterPull'> {
  const manifest = once(() => parsed(bytes, descriptor.mediaType))
  return { kind: 'manifest', reference, descriptor, bytes, manifest, config: once(async () => await configOf(repository, manifest())) }
}

/** The same of a blob, which is no manifest. */
export function blobPull (digest: Digest, descriptor: Descriptor): About<'beforePull'> & About<'afterPull'> {
  return { kind: 'blob', reference: { digest }, descriptor, manifest: () => undefined, config: noConfig }
}

/** What is asked about a manifest or a tag that is to be deleted. It is read when a hook asks for it. */
export function manifestDelete (repository: Repository, reference: Reference): About<'beforeDelete'> {
  const stored = once(async () => await orNothing(async () => await repository.manifests.get(reference)))
  const manifest = once(async () => {
    const { descriptor, bytes } = await stored() ?? {}
    return descriptor === undefined || bytes === undefined ? undefined : parsed(bytes, descriptor.mediaType)
  })
  return {
    kind: 'tag' in reference ? 'tag' : 'manifest',
    reference,
    descriptor: async () => (await stored())?.descriptor,
    manifest,
    config: once(async () => await configOf(repository, await manifest()))
  }
}

export function blobDelete (digest: Digest, stat: () => Promise<Descriptor>): About<'beforeDelete'> {
  return { kind: 'blob', reference: { digest }, descriptor: once(async () => await orNothing(stat)), manifest: async () => undefined, config: noConfig }
}

/** Of what has no config. */
export const noConfig = async (): Promise<undefined> => undefined

/** The config of an image, parsed; undefined when there is none, or it is not JSON. */
export async function configOf (repository: Repository, manifest: ManifestContent | undefined): Promise<unknown> {
  return manifest?.config === undefined ? undefined : await readJson(repository, manifest.config.digest)
}

/** Asks once, for all hooks. */
export function once<T> (read: () => T): () => T {
  let known: { readonly value: T } | undefined
  return () => {
    known ??= { value: read() }
    return known.value
  }
}

/** What another registry has stored may be no manifest as we know them. */
function parsed (bytes: Buffer, mediaType: string): ManifestContent | undefined {
  try {
    return parseManifest(bytes, mediaType)
  } catch {
    return undefined
  }
}

async function readJson ({ blobs }: Repository, digest: Digest): Promise<unknown> {
  const descriptor = await blobs.stat(digest)
  if (descriptor.size > MAX_MANIFEST_BYTES) return undefined
  const bytes = await buffer(await blobs.open(descriptor))
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

async function orNothing<T> (read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (!OciError.is(error) || error.status !== 404) throw error
    return undefined
  }
}
