import type { Denial, TagQuestion } from '../hooks.js'
import { matcherOf } from '../patterns.js'
import type { PolicyRule } from '../rule.js'
import type { TagClaims } from '../tag-claims.js'
import { scopedRule } from './scope.js'
import type { Scope } from './scope.js'

export interface ImmutableTagsEntry extends Scope {
  readonly tags: readonly string[]
  readonly deletable: boolean
}

/**
 * Tags that keep pointing at what they were pushed with. Of two pushes to a new tag at the same time one gets it: a tag
 * is claimed before it is looked at, and until it is set.
 */
export function immutableTags (name: string, entry: ImmutableTagsEntry, claims: TagClaims): PolicyRule {
  const isImmutable = matcherOf(entry.tags)

  async function beforeTag (question: TagQuestion): Promise<Denial | undefined> {
    const { repository, tag, change, digest, current, rehearsal, onEnd } = question
    if (!isImmutable(tag)) return undefined
    if (change === 'delete') return entry.deletable || await current() === undefined ? undefined : refusal(question, 'it cannot be deleted')
    if (digest === undefined) {
      // Nobody has a digest yet: what is there already can only be pushed again.
      const there = await current()
      return there === undefined ? undefined : refusal(question, `only ${there} can be pushed to it`, { current: there })
    }
    if (!rehearsal) {
      const claim = await claims.claim(repository, tag, digest)
      if (claim === undefined) return refusal(question, 'another push is setting it', { pushed: digest })
      onEnd(async () => { await claims.release(claim) })
    }
    const there = await current()
    return there === undefined || there === digest ? undefined : refusal(question, `it is ${there}`, { current: there, pushed: digest })
  }

  function refusal ({ repository, tag }: TagQuestion, why: string, more: object = {}): Denial {
    return { deny: `tag ${tag} of ${repository} is immutable: ${why}`, detail: { policy: name, tag, ...more } }
  }

  return scopedRule(name, entry, { beforeTag })
}
