import { parseBytes } from '../../config/bytes.js'
import type { Digest, RepositoryName } from '../../reference/reference.js'
import type { DeleteQuestion, Denial, ManifestQuestion, PolicyQuestion, PushQuestion } from '../hooks.js'
import type { Quotas } from '../quotas.js'
import type { AnyVerdict, PolicyRule } from '../rule.js'
import { scopedRule } from './scope.js'
import type { Scope } from './scope.js'

export interface QuotaEntry extends Scope { readonly bytes: string }

const REHEARSAL = 'rehearsal'

/** What is pushed under one id is one thing, however many quotas it has to fit into. */
interface Wanted { readonly id: string, readonly bytes: number, readonly digest?: Digest }

/**
 * What a repository may hold. An upload is promised room as it arrives, for no more than it has; before anything becomes
 * part of the repository its room is promised once more, so that pushes at the same time cannot exceed it together.
 */
export function quota (name: string, { bytes: max, ...scope }: QuotaEntry, quotas: Quotas): PolicyRule {
  const limit = parseBytes(max)

  async function reserve (repository: RepositoryName, wanted: Wanted): Promise<Denial | undefined> {
    const { fits, used, promised } = await quotas.reserve({ name: repository, limit, ...wanted })
    if (fits) return undefined
    const underWay = promised === 0 ? '' : `, ${promised} are being pushed`
    return { deny: `repository ${repository} may hold ${max}: it holds ${used} bytes${underWay}, and this needs ${wanted.bytes}`, detail: { policy: name, limit, used, promised, needed: wanted.bytes } }
  }

  /** Content that is known, and about to become part of the repository. */
  async function take ({ repository, rehearsal, onEnd }: PolicyQuestion, id: string, digest: Digest, size: number): Promise<Denial | undefined> {
    if (rehearsal) return undefined
    // Also when it is refused: in audit mode it becomes part of it all the same.
    onEnd(async done => { await (done ? quotas.settle(repository, id, digest, size) : quotas.release(repository, id)) })
    return await reserve(repository, { id, bytes: size, digest })
  }

  /** Whether there is any room at all. */
  async function rehearse (repository: RepositoryName): Promise<AnyVerdict> {
    const full = await reserve(repository, { id: REHEARSAL, bytes: 1 })
    await quotas.release(repository, REHEARSAL)
    return full ?? { limit: () => undefined }
  }

  async function beforePush (question: PushQuestion): Promise<AnyVerdict> {
    const { descriptor, upload, repository, rehearsal, onEnd } = question
    if (descriptor !== undefined) return await take(question, upload ?? descriptor.digest, descriptor.digest, descriptor.size)
    if (rehearsal) return await rehearse(repository)
    let id: string | undefined
    // What the session keeps stays promised for a while: its client is about to go on.
    onEnd(async kept => { if (!kept && id !== undefined) await quotas.release(repository, id) })
    return {
      limit: async (bytes, upload) => {
        id = upload
        return await reserve(repository, { id, bytes })
      }
    }
  }

  return scopedRule(name, scope, {
    beforePush,
    beforeManifest: async (question: ManifestQuestion) => await take(question, question.canonical, question.canonical, question.descriptor.size),
    beforeDelete: ({ kind, reference, repository, onEnd }: DeleteQuestion) => {
      if (kind === 'tag' || !('digest' in reference)) return
      onEnd(async done => { if (done) await quotas.remove(repository, reference.digest) })
    }
  })
}
