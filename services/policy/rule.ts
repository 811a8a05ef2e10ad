import type { RepositoryName } from '../reference/reference.js'
import type { Allowance, DeleteNotice, DeleteQuestion, ManifestQuestion, PolicyHooks, PullNotice, PullQuestion, PushNotice, PushQuestion, TagQuestion, Verdict } from './hooks.js'

/** What each hook is asked or told. */
export interface Questions {
  beforePush: PushQuestion
  beforeManifest: ManifestQuestion
  beforeTag: TagQuestion
  beforePull: PullQuestion
  beforeDelete: DeleteQuestion
  afterPush: PushNotice
  afterPull: PullNotice
  afterDelete: DeleteNotice
}
export type HookName = keyof Questions
export type BeforeHook = 'beforePush' | 'beforeManifest' | 'beforeTag' | 'beforePull' | 'beforeDelete'
export type AfterHook = Exclude<HookName, BeforeHook>

/** Whatever a hook answers; only `beforePush` may set a limit. */
export type AnyVerdict = Verdict | Allowance

export type RuleHook<K extends HookName> = (question: Questions[K]) => AnyVerdict | void | Promise<AnyVerdict | void>

/** A policy as the registry asks it: one of the configuration, or one hook in code. */
export interface PolicyRule {
  /** For the log, explanations and counters: `policy.immutabletags[0]`, `hooks.beforeTag[1] (noFridays)`. */
  readonly name: string
  /** Only says what it would refuse. */
  readonly audit: boolean
  /** Whether it has anything to say about a repository. */
  readonly concerns: (repository: RepositoryName) => boolean
  readonly hooks: { readonly [K in HookName]?: RuleHook<K> }
}

const NAMES: readonly HookName[] = ['beforePush', 'beforeManifest', 'beforeTag', 'beforePull', 'beforeDelete', 'afterPush', 'afterPull', 'afterDelete']

/** Every hook in code as a rule of its own, so that each has a name. */
export function rulesOfHooks (hooks: PolicyHooks): PolicyRule[] {
  return NAMES.flatMap(name => {
    const given = hooks[name]
    const list = (given === undefined ? [] : [given].flat()) as Array<RuleHook<typeof name>>
    return list.map((hook, i) => {
      const called = hook.name === '' || hook.name === name ? '' : ` (${hook.name})`
      return { name: `hooks.${name}[${i}]${called}`, audit: false, concerns: () => true, hooks: { [name]: hook } }
    })
  })
}
