import type { RegistryConfig } from '../../schemas/config/index.js'
import type { Grant } from '../auth/access.js'
import { OciError } from '../errors/oci-error.js'
import type { Reference, RepositoryName, Tag } from '../reference/reference.js'
import { parseManifest } from '../registry/manifest-content.js'
import type { Namespace, Repository, StoredManifest } from '../registry/types.js'
import { explainAccess } from './explain-access.js'
import type { AccessQuestion } from './explain-access.js'
import type { Finding } from './finding.js'
import { deletedTags, manifestQuestion } from './policy-manifests.js'
import type { PolicyEngine } from './engine.js'
import type { BeforeHook } from './rule.js'
import { manifestDelete, manifestPull, noConfig } from './stored-content.js'

export interface ExplainQuestion extends AccessQuestion {
  readonly reference?: Reference
}

export interface Explanation {
  readonly repository: string
  readonly reference: string | null
  readonly action: 'pull' | 'push' | 'delete'
  /** Null for somebody without credentials. */
  readonly user: string | null
  readonly decision: Finding['decision']
  /** The first that refuses; or the first on which it depends; or what lets it happen. */
  readonly decidedBy: Finding
  /** All that is asked, in order. */
  readonly findings: readonly Finding[]
}

export interface ExplainerParts {
  readonly config: RegistryConfig
  readonly namespace: Namespace
  readonly engine: PolicyEngine
  /** The rules of access are a host's. */
  readonly hasHostedAccess: boolean
}

interface Asked { readonly grant: Grant, readonly name: RepositoryName, readonly repository: Repository, readonly reference: Reference | undefined }

/** Says which rule or hook decides about something, and why, without doing it. */
export class Explainer {
  readonly #parts: ExplainerParts

  constructor (parts: ExplainerParts) {
    this.#parts = parts
  }

  async explain (question: ExplainQuestion): Promise<Explanation> {
    const { config, namespace, hasHostedAccess } = this.#parts
    const { repository: name, reference, action, user } = question
    const asked = { grant: user === undefined ? {} : { user }, name, repository: namespace.repository(name), reference }
    const findings = [
      ...explainAccess(config.auth, question, { isHosted: hasHostedAccess }),
      ...switchedOff(config.storage, action),
      ...await this.#policy(action, asked)
    ]
    const decidedBy = findings.find(({ decision }) => decision === 'deny') ?? findings.find(({ decision }) => decision === 'depends') ?? findings[0]
    if (decidedBy === undefined) throw new Error('nothing decides')
    const shown = reference === undefined ? null : 'tag' in reference ? reference.tag : reference.digest
    return { repository: name, reference: shown, action, user: user ?? null, decision: decidedBy.decision, decidedBy, findings }
  }

  async #policy (action: ExplainQuestion['action'], asked: Asked): Promise<Finding[]> {
    if (action === 'push') return await this.#push(asked)
    return action === 'pull' ? await this.#pull(asked) : await this.#delete(asked)
  }

  async #pull ({ grant, name, repository, reference }: Asked): Promise<Finding[]> {
    if (reference === undefined) return this.#unknown('beforePull', name, 'is asked about what is pulled')
    const stored = await find(repository, reference)
    if (stored === undefined) return [NOT_THERE]
    return await this.#parts.engine.rehearse('beforePull', manifestPull(repository, reference, stored), { grant, repository: name })
  }

  async #delete ({ grant, name, repository, reference }: Asked): Promise<Finding[]> {
    const { engine } = this.#parts
    const who = { grant, repository: name }
    if (reference === undefined) return ['beforeDelete', 'beforeTag'].flatMap(hook => this.#unknown(hook as BeforeHook, name, 'is asked about what is deleted'))
    if (await find(repository, reference) === undefined) return [NOT_THERE]
    const findings = await engine.rehearse('beforeDelete', manifestDelete(repository, reference), who)
    if (!engine.has('beforeTag')) return findings
    for (const tag of await deletedTags(repository, reference)) {
      findings.push(...await engine.rehearse('beforeTag', { tag, change: 'delete', config: noConfig, current: async () => await repository.tags.get(tag) }, who))
    }
    return findings
  }

  /** What a manifest would be nobody knows, unless it is one that is here and pushed again. */
  async #push ({ grant, name, repository, reference }: Asked): Promise<Finding[]> {
    const { engine } = this.#parts
    const who = { grant, repository: name }
    const findings = await engine.rehearse('beforePush', { stage: 'start' }, who)
    const known = reference !== undefined && 'digest' in reference ? await find(repository, reference) : undefined
    if (known === undefined || reference === undefined) findings.push(...this.#unknown('beforeManifest', name, 'is asked about the manifest'))
    else findings.push(...await engine.rehearse('beforeManifest', repushed(repository, reference, known), who))
    if (reference !== undefined && 'tag' in reference) findings.push(...await this.#tag(repository, reference.tag, who))
    return findings
  }

  async #tag ({ tags }: Repository, tag: Tag, who: { readonly grant: Grant, readonly repository: RepositoryName }): Promise<Finding[]> {
    return await this.#parts.engine.rehearse('beforeTag', { tag, change: 'set', config: noConfig, current: async () => await tags.get(tag) }, who)
  }

  #unknown (hook: BeforeHook, name: RepositoryName, reason: string): Finding[] {
    return this.#parts.engine.rulesFor(hook, name).map(({ name }) => ({ rule: name, decision: 'depends', reason }))
  }
}

const NOT_THERE: Finding = { rule: 'storage', decision: 'deny', reason: 'there is no such manifest or tag' }

function switchedOff ({ maintenance, delete: deletes }: RegistryConfig['storage'], action: ExplainQuestion['action']): Finding[] {
  if (action === 'pull') return []
  if (maintenance.readonly.enabled) return [{ rule: 'storage.maintenance.readonly', decision: 'deny', reason: 'the registry is read-only' }]
  return action === 'push' || deletes.enabled ? [] : [{ rule: 'storage.delete.enabled', decision: 'deny', reason: 'deleting is switched off' }]
}

async function find ({ manifests }: Repository, reference: Reference): Promise<StoredManifest | undefined> {
  try {
    return await manifests.get(reference)
  } catch (error) {
    if (OciError.is(error) && error.status === 404) return undefined
    throw error
  }
}

function repushed (repository: Repository, reference: Reference, { descriptor, bytes }: StoredManifest) {
  return manifestQuestion(repository, { descriptor, bytes, canonical: descriptor.digest, content: parseManifest(bytes, descriptor.mediaType) }, { reference, tags: [] })
}
