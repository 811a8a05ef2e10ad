import type { RepositoryName } from '../../reference/reference.js'
import type { PolicyQuestion } from '../hooks.js'
import { matcherOf } from '../patterns.js'
import type { HookName, PolicyRule, RuleHook } from '../rule.js'

/** What every entry of a shipped policy has. */
export interface Scope { readonly repositories: readonly string[], readonly audit: boolean }

/** A rule that is only about the repositories of its entry. */
export function scopedRule (name: string, { repositories, audit }: Scope, hooks: PolicyRule['hooks']): PolicyRule {
  const concerns = matcherOf(repositories)
  const entries = Object.entries(hooks).map(([hookName, hook]) => {
    const inScope = (question: PolicyQuestion) => concerns(question.repository) ? (hook as RuleHook<HookName>)(question as never) : undefined
    return [hookName, inScope] as const
  })
  return { name, audit, concerns: (repository: RepositoryName) => concerns(repository), hooks: Object.fromEntries(entries) }
}
