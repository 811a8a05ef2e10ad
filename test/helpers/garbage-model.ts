import { OCI_MANIFEST } from '../../schemas/media-types.js'
import { OciError } from '../../services/errors/oci-error.js'
import { parseReference, parseRepositoryName, parseTag } from '../../services/reference/reference.js'
import type { Digest, RepositoryName } from '../../services/reference/reference.js'
import type { StorageNamespace } from '../../services/registry/namespace.js'
import type { Repository } from '../../services/registry/types.js'
import type { StorageDriver } from '../../services/storage/driver.js'
import { missingOf, pushBlob, pushManifest } from './garbage-world.js'
import { blob, index } from './images.js'
import type { Blob, Manifest } from './images.js'
import type { Random } from './interleaving.js'

export interface Item extends Manifest { readonly children: readonly Item[], readonly subject?: Item }

const NAMES = [parseRepositoryName('one'), parseRepositoryName('two')] as const
const TAGS = ['x', 'y'] as const

const [layerX, layerY, layerZ] = ['x', 'y', 'z'].map(text => blob(`layer ${text}`)) as [Blob, Blob, Blob]
const A = imageOf('a', [layerX])
const B = imageOf('b', [layerX, layerY])
const C = imageOf('c', [layerY])
const D = imageOf('d', [layerZ])
const SIGNATURE = imageOf('s', [layerZ], A)
const I = indexOf([A, B])
const J = indexOf([B, C])
const NESTED = indexOf([I, D])
const ITEMS = [A, B, D, SIGNATURE, I, J, NESTED] as const
/** What clients delete. Nothing that an index lists: with it a client would take something away from under the index. */
const DELETED = [J, NESTED, SIGNATURE] as const
const BY_DIGEST = new Map([...ITEMS, C].map(item => [item.digest, item]))

function imageOf (seed: string, layers: readonly Blob[], subject?: Item): Item {
  const config = blob(`{"seed":"${seed}"}`, 'application/vnd.oci.image.config.v1+json')
  const parts = [config, ...layers]
  const [first, ...rest] = [...parts, ...subject === undefined ? [] : [subject]].map(({ mediaType, digest, size }) => ({ mediaType, digest, size }))
  const content = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: first, layers: rest.slice(0, layers.length), ...subject === undefined ? {} : { subject: rest.at(-1) } }
  return { ...blob(JSON.stringify(content), OCI_MANIFEST), blobs: parts, children: [], ...subject === undefined ? {} : { subject } }
}

function indexOf (children: readonly Item[]): Item {
  return { ...index(children), children }
}

/** What several clients did to a thing at the same time is not known afterwards. */
class Writers {
  #active = 0
  #isMixed = false
  /** Of the last write that was alone, what it left; undefined when that is nothing, or not known. */
  value: Item | undefined
  writes = 0

  begin (): void {
    this.#isMixed = this.#active > 0
    this.#active++
    this.value = undefined
    this.writes++
  }

  end (value: Item | undefined): void {
    this.#active--
    if (this.#active === 0 && !this.#isMixed) this.value = value
  }
}

/** Clients of a registry, and what they may expect of it. */
export class GarbageModel {
  readonly #namespaces: readonly StorageNamespace[]
  readonly #random: Random
  readonly #deleteUntagged: boolean
  readonly #tags = new Map<string, Writers>()
  readonly #manifests = new Map<string, Writers>()
  /** Manifests that were refused, last of all, and may be linked all the same: nobody was promised anything of them. */
  readonly #refused = new Set<string>()
  /** Pushes that were acknowledged, and that were not. */
  readonly counts = { acknowledged: 0, refused: 0, read: 0 }

  constructor (namespaces: readonly StorageNamespace[], random: Random, { deleteUntagged }: { readonly deleteUntagged: boolean }) {
    this.#namespaces = namespaces
    this.#random = random
    this.#deleteUntagged = deleteUntagged
  }

  /** A client does something. */
  async act (): Promise<void> {
    const name = this.#random.of(NAMES)
    const repository = this.#repository(name)
    const dice = this.#random.next()
    if (dice < 0.6) await this.push(name, this.#random.of(ITEMS), this.#random.chance(0.7) ? this.#random.of(TAGS) : undefined)
    else if (dice < 0.75) await this.#retag(repository, this.#random.of(TAGS), this.#random.of(TAGS))
    else if (dice < 0.9) await this.#untag(repository, this.#random.of(TAGS))
    else await this.#delete(repository, this.#random.of(DELETED))
  }

  /** A push that its client gives up before the manifest. */
  async abandon (): Promise<void> {
    const name = this.#random.of(NAMES)
    for (const part of this.#random.of([A, B, C, D]).blobs) await pushBlob(this.#repository(name).blobs, part)
  }

  /** With all that it consists of, as clients do: what the registry says it has is not sent. */
  async push (name: RepositoryName, item: Item, tag?: string): Promise<boolean> {
    const repository = this.#repository(name)
    for (const child of item.children) if (!await this.push(name, child)) return false
    for (const part of item.blobs) await this.#provide(name, part)
    return await this.#put(repository, item, tag)
  }

  /** Fails when something that must be there cannot be read. */
  async look (): Promise<void> {
    const [key, writers] = this.#random.of(this.#expected()) ?? []
    if (key === undefined || writers?.value === undefined) return
    const { value, writes } = writers
    const problem = await this.#missing(this.#repository(key.split(' ')[0] as RepositoryName), value, key.split(' ')[1])
    if (problem !== undefined && writers.writes === writes) throw new Error(`${key}: ${problem}`)
    this.counts.read++
  }

  /** Fails when anything that must be there cannot be read. */
  async check (): Promise<void> {
    for (const [key, { value }] of this.#expected()) {
      const [name, reference] = key.split(' ')
      const problem = value === undefined ? undefined : await this.#missing(this.#repository(name as RepositoryName), value, reference)
      if (problem !== undefined) throw new Error(`${key}: ${problem}`)
    }
  }

  /**
   * Everything that has to be in storage, found without the code under test: manifests by repository, and content. And
   * content that may be: what only refused manifests need, and, unless they count, untagged ones.
   */
  async reachable (driver: StorageDriver, { untaggedCount }: { readonly untaggedCount: boolean }): Promise<{ manifests: string[], content: Digest[], optional: Set<Digest> }> {
    const manifests: string[] = []
    const content = new Set<Digest>()
    const optional = new Set<Digest>()
    for (const name of NAMES) {
      const root = `/docker/registry/v2/repositories/${name}/_manifests`
      const linked = await linkedIn(driver, name)
      const tags = await driver.list(`${root}/tags`).catch(() => undefined)
      // A tag that is set and deleted at the same time may keep its history, and point to nothing.
      const targets = await Promise.all((tags ?? []).map(async tag => await driver.read(`${root}/tags/${tag}/current/link`).catch(() => '')))
      const tagged = targets.map(target => String(target) as Digest).filter(digest => linked.includes(digest))
      const roots = this.#deleteUntagged && tags !== undefined ? tagged : linked
      const live = new Set<Digest>()
      const add = (digest: Digest): void => {
        if (live.has(digest)) return
        live.add(digest)
        for (const { digest: child } of BY_DIGEST.get(digest)?.children ?? []) add(child)
        for (const other of linked) if (BY_DIGEST.get(other)?.subject?.digest === digest) add(other)
      }
      for (const digest of roots) add(digest)
      for (const digest of live) {
        if (linked.includes(digest)) manifests.push(`${name} ${digest}`)
        const isPromised = (untaggedCount || tags !== undefined) && !this.#refused.has(`${name} ${digest}`)
        const needed = isPromised ? content : optional
        needed.add(digest)
        for (const part of BY_DIGEST.get(digest)?.blobs ?? []) needed.add(part.digest)
      }
    }
    return { manifests: manifests.sort(), content: [...content].sort(), optional: new Set([...optional].filter(digest => !content.has(digest))) }
  }

  async linked (driver: StorageDriver): Promise<string[]> {
    const lists = await Promise.all(NAMES.map(async name => (await linkedIn(driver, name)).map(digest => `${name} ${digest}`)))
    return lists.flat().sort()
  }

  #repository (name: RepositoryName): Repository {
    return this.#random.of(this.#namespaces).repository(name)
  }

  #expected (): Array<[string, Writers]> {
    const manifests = this.#deleteUntagged ? [] : this.#manifests
    return [...this.#tags, ...manifests].filter(([, { value }]) => value !== undefined)
  }

  async #missing (repository: Repository, item: Item, reference?: string): Promise<string | undefined> {
    for (const child of item.children) {
      const problem = await this.#missing(repository, child)
      if (problem !== undefined) return problem
    }
    return await missingOf(repository, item, reference)
  }

  async #provide (name: RepositoryName, part: Blob): Promise<void> {
    const { blobs } = this.#repository(name)
    const isHere = await Promise.resolve(blobs.stat(part.digest)).then(() => true, orRefused)
    if (isHere || (this.#random.chance(0.5) && await blobs.mount(part.digest, this.#random.of(NAMES)) !== null)) return
    await pushBlob(blobs, part)
  }

  async #put (repository: Repository, item: Item, tag?: string): Promise<boolean> {
    const written = [this.#writers(this.#manifests, repository.name, item.digest), ...tag === undefined ? [] : [this.#writers(this.#tags, repository.name, tag)]]
    for (const writers of written) writers.begin()
    const isStored = await pushManifest(repository, item, tag).then(() => true, orRefused)
    for (const writers of written) writers.end(isStored ? item : undefined)
    if (isStored) this.#refused.delete(`${repository.name} ${item.digest}`)
    else this.#noteRefused(repository.name, item)
    this.counts[isStored ? 'acknowledged' : 'refused']++
    return isStored
  }

  /** What an index lists was linked again for its sake, if it had been withdrawn. */
  #noteRefused (name: RepositoryName, { digest, children }: Item): void {
    this.#refused.add(`${name} ${digest}`)
    for (const child of children) this.#noteRefused(name, child)
  }

  async #retag ({ name, manifests }: Repository, from: string, to: string): Promise<void> {
    const found = await manifests.get(parseReference(from)).catch(error => { if (orRefused(error)) throw error; return undefined })
    const item = found === undefined ? undefined : BY_DIGEST.get(found.descriptor.digest)
    if (item !== undefined) await this.#put(this.#repository(name), item, to)
  }

  async #untag ({ name, manifests }: Repository, tag: string): Promise<void> {
    const writers = this.#writers(this.#tags, name, tag)
    writers.begin()
    await manifests.delete({ tag: parseTag(tag) }).catch(orRefused)
    writers.end(undefined)
  }

  /** Takes every tag on it away too. */
  async #delete ({ name, manifests }: Repository, { digest }: Item): Promise<void> {
    const written = [this.#writers(this.#manifests, name, digest), ...TAGS.map(tag => this.#writers(this.#tags, name, tag))]
    const before = written.slice(1).map(({ value }) => value)
    for (const writers of written) writers.begin()
    await manifests.delete({ digest }).catch(orRefused)
    for (const [i, writers] of written.entries()) {
      const kept = i === 0 ? undefined : before[i - 1]
      writers.end(kept?.digest === digest ? undefined : kept)
    }
  }

  #writers (of: Map<string, Writers>, name: string, reference: string): Writers {
    const key = `${name} ${reference}`
    const writers = of.get(key) ?? new Writers()
    of.set(key, writers)
    return writers
  }
}

async function linkedIn (driver: StorageDriver, name: RepositoryName): Promise<Digest[]> {
  const path = `/docker/registry/v2/repositories/${name}/_manifests/revisions/sha256`
  const found = await driver.list(path).catch(() => [])
  const links = await Promise.all(found.map(async hex => await driver.stat(`${path}/${hex}/link`).then(() => [`sha256:${hex}` as Digest], () => [])))
  return links.flat()
}

/** False for an answer a client may get; anything else is a fault. */
function orRefused (error: unknown): false {
  if (OciError.is(error) && error.status < 500) return false
  throw error
}
