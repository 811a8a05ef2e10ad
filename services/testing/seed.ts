import { Readable } from 'node:stream'
import { algorithmOf, isTag, parseRepositoryName, parseTag } from '../reference/reference.js'
import type { Digest, RepositoryName, Tag } from '../reference/reference.js'
import type { Descriptor, Namespace, Repository } from '../registry/types.js'
import type { Fixture } from './fixtures.js'
import { openLayout } from './layout-directory.js'
import type { LayoutManifest } from './layout-directory.js'

/** A manifest that a registry was filled with. */
export interface Seeded extends Descriptor {
  readonly repository: RepositoryName
  readonly tag?: Tag
}

/** A manifest, and how to get at what it needs. */
interface Source {
  readonly manifest: Pick<Fixture, 'bytes' | 'mediaType' | 'digest' | 'size'>
  readonly blobs: ReadonlyArray<{ readonly digest: Digest, readonly open: () => Readable }>
  readonly children: () => Promise<readonly Source[]>
}

/**
 * Puts images into a registry: one that was built in code, or all that an OCI layout directory has. Not by HTTP: no
 * fault, no access rule and no policy sees it, and nothing is told of it. Content and references are verified all the same.
 *
 * @param target `team/app:1.0`, or `team/app` for tags as `org.opencontainers.image.ref.name` in the layout says
 * @throws {OciError} what a push would have been answered with
 */
export async function seed (namespace: Namespace, what: Fixture | string, target: string): Promise<Seeded[]> {
  const { name, tag } = parseTarget(target)
  const repository = namespace.repository(name)
  if (typeof what !== 'string') return [await put(repository, sourceOf(what), tag)]
  const manifests = await openLayout(what)
  if (tag !== undefined && manifests.length !== 1) throw new TypeError(`${target}: the layout has ${manifests.length} manifests, of which none can be ${tag}`)
  const seeded: Seeded[] = []
  for (const manifest of manifests) seeded.push(await put(repository, layoutSource(manifest), tag ?? tagOf(manifest)))
  return seeded
}

function parseTarget (target: string): { name: RepositoryName, tag?: Tag } {
  const colon = target.indexOf(':')
  if (colon === -1) return { name: parseRepositoryName(target) }
  return { name: parseRepositoryName(target.slice(0, colon)), tag: parseTag(target.slice(colon + 1)) }
}

function tagOf ({ refName }: LayoutManifest): Tag | undefined {
  return refName !== undefined && isTag(refName) ? refName : undefined
}

function sourceOf (manifest: Fixture): Source {
  const { blobs, manifests } = manifest
  return {
    manifest,
    blobs: blobs.map(({ digest, bytes }) => ({ digest, open: () => Readable.from([bytes], { objectMode: false }) })),
    children: async () => manifests.map(sourceOf)
  }
}

function layoutSource (manifest: LayoutManifest): Source {
  return { manifest, blobs: manifest.blobs, children: async () => (await manifest.children()).map(layoutSource) }
}

async function put (repository: Repository, { manifest: { bytes, mediaType, digest }, blobs, children }: Source, tag?: Tag): Promise<Seeded> {
  for (const { digest, open } of blobs) await putBlob(repository, digest, open())
  for (const child of await children()) await put(repository, child)
  const { descriptor } = await repository.manifests.put(bytes, { mediaType, reference: { digest }, ...(tag === undefined ? {} : { tags: [tag] }) })
  return { ...descriptor, repository: repository.name, ...(tag === undefined ? {} : { tag }) }
}

async function putBlob ({ blobs }: Repository, digest: Digest, source: Readable): Promise<void> {
  await using session = await blobs.startUpload({ digest, sha512: algorithmOf(digest) === 'sha512' })
  try {
    await session.append(source)
  } catch (error) {
    await session.discard()
    throw error
  }
  await blobs.commitUpload(session, digest)
}
