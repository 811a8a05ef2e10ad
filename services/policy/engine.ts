import { setImmediate } from 'node:timers/promises'
import type { Grant } from '../auth/access.js'
import { OciError } from '../errors/oci-error.js'
import type { Log } from '../log/log.js'
import type { RepositoryName } from '../reference/reference.js'
import { finding } from './finding.js'
import type { Finding } from './finding.js'
import type { Denial, PolicyQuestion, UploadLimit } from './hooks.js'
import { Inquiry } from './inquiry.js'
import type { AfterHook, AnyVerdict, BeforeHook, HookName, PolicyRule, Questions, RuleHook } from './rule.js'
import { PolicyTimeout, within } from './within.js'

export interface PolicyEngineOptions {
  readonly rules: readonly PolicyRule[]
  /** Nothing is refused, whatever the rules say. */
  readonly audit: boolean
  /** Milliseconds a hook has for its answer. */
  readonly timeout: number
  /** What becomes of a pull whose hook fails. */
  readonly failedReads: 'deny' | 'allow'
}

/** The request that is judged. */
export interface PolicyCaller {
  readonly grant: Grant
  readonly log: Log
  /** Takes what is to be said in a `Warning` header. */
  readonly warn: (text: string) => void
  /** Calls back when the client has the content that it asked for; of requests that ask for some. */
  readonly whenPulled?: (callback: () => void) => void
}

/** What a question has besides what every question has. */
export type About<K extends HookName> = Omit<Questions[K], keyof PolicyQuestion>

interface Asking<K extends HookName> { readonly rule: PolicyRule, readonly hook: RuleHook<K> }
interface Counts { denied: number, audited: number, failed: number }
export interface LimitOf { readonly rule: PolicyRule, readonly limit: UploadLimit }

/** Asks the rules, in order, and makes of their answers what happens. */
export class PolicyEngine {
  readonly #options: PolicyEngineOptions
  readonly #counts = new Map<string, Counts>()
  readonly #pending = new Set<Promise<void>>()
  readonly #asked = new Map<HookName, Array<Asking<HookName>>>()

  constructor (options: PolicyEngineOptions) {
    this.#options = options
    for (const rule of options.rules) {
      for (const [name, hook] of Object.entries(rule.hooks)) {
        const list = this.#asked.get(name as HookName) ?? []
        this.#asked.set(name as HookName, [...list, { rule, hook: hook as RuleHook<HookName> }])
      }
    }
  }

  /** How often each rule refused, would have refused, or failed. */
  get counts (): Record<string, Counts> {
    return Object.fromEntries([...this.#counts].map(([name, counts]) => [name, { ...counts }]))
  }

  /** Whether anybody is to be asked or told. */
  has (...names: HookName[]): boolean {
    return names.some(name => this.#asked.has(name))
  }

  /** The rules that have such a hook and something to say about the repository, in the order in which they are asked. */
  rulesFor (name: HookName, repository: RepositoryName): PolicyRule[] {
    return (this.#asked.get(name) ?? []).map(({ rule }) => rule).filter(rule => rule.concerns(repository))
  }

  /** What each of them would say; nothing is refused, counted or logged. */
  async rehearse<K extends BeforeHook> (name: K, about: About<K>, { grant, repository }: { readonly grant: Grant, readonly repository: RepositoryName }): Promise<Finding[]> {
    const common = { ...about, grant, repository, rehearsal: true, onEnd: () => {} }
    const asking = this.#list(name).filter(({ rule }) => rule.concerns(repository))
    return await Promise.all(asking.map(async ({ rule, hook }) => {
      const isAudit = this.#options.audit || rule.audit
      try {
        const verdict = checkedVerdict(await within(this.#options.timeout, signal => hook({ ...common, signal } as unknown as Questions[K])))
        return finding(rule.name, verdict, isAudit)
      } catch (error) {
        if (OciError.is(error) && error.status < 500) return finding(rule.name, { deny: error.message }, isAudit)
        const passes = isAudit || (name === 'beforePull' && this.#options.failedReads === 'allow')
        return { rule: rule.name, decision: passes ? 'allow' : 'deny', reason: `it could not be asked: ${error instanceof Error ? error.message : String(error)}` }
      }
    }))
  }

  inquiry (caller: PolicyCaller, repository: RepositoryName): Inquiry {
    return new Inquiry(this, caller, repository)
  }

  /**
   * Asks all hooks of a name until one refuses. Returns the limits they set.
   *
   * @throws {OciError} what the refusing rule says; DENIED when a rule fails
   */
  async ask<K extends BeforeHook> (name: K, question: Questions[K], caller: PolicyCaller): Promise<LimitOf[]> {
    const limits: LimitOf[] = []
    for (const { rule, hook } of this.#list(name)) {
      const verdict = await this.#answer({ rule, name, repository: question.repository, caller }, signal => hook({ ...question, signal }))
      if (verdict === undefined) continue
      if ('warn' in verdict && verdict.warn !== undefined) for (const text of [verdict.warn].flat()) caller.warn(String(text))
      if ('limit' in verdict) limits.push({ rule, limit: verdict.limit })
    }
    return limits
  }

  /** True when the rule has something against so many bytes, and is only to say so. @throws {OciError} as `ask` does */
  async admit ({ rule, limit }: LimitOf, { bytes, upload }: { readonly bytes: number, readonly upload: string }, repository: RepositoryName, caller: PolicyCaller): Promise<boolean> {
    let objects = true
    await this.#answer({ rule, name: 'beforePush', repository, caller }, async () => {
      const denial = await limit(bytes, upload)
      objects = denial !== undefined
      return denial
    })
    return objects
  }

  /** Tells all hooks of a name, one after the other; nobody waits, not even for what a hook does at once. */
  tell<K extends AfterHook> (name: K, question: Questions[K], { log }: PolicyCaller): void {
    const telling = (async () => {
      await setImmediate()
      for (const { rule, hook } of this.#list(name)) {
        try {
          await within(this.#options.timeout, signal => hook({ ...question, signal }))
        } catch (error) {
          this.#count(rule, 'failed')
          log.error({ err: error, rule: rule.name }, 'a policy hook failed')
        }
      }
    })()
    this.#pending.add(telling)
    telling.finally(() => { this.#pending.delete(telling) }).catch(() => {})
  }

  /** Waits for the hooks that are still being told. */
  async close (): Promise<void> {
    await Promise.all(this.#pending)
  }

  #list<K extends HookName> (name: K): ReadonlyArray<Asking<K>> {
    return (this.#asked.get(name) ?? []) as unknown as ReadonlyArray<Asking<K>>
  }

  /** The verdict, if it lets the request pass. */
  async #answer (about: Judging, call: (signal: AbortSignal) => AnyVerdict | void | Promise<AnyVerdict | void>): Promise<Exclude<AnyVerdict, Denial> | undefined> {
    const { rule, name, caller: { log } } = about
    let verdict: AnyVerdict
    try {
      verdict = checkedVerdict(await within(this.#options.timeout, call))
    } catch (error) {
      if (OciError.is(error) && error.status < 500) return this.#refuse(about, error)
      this.#count(rule, 'failed')
      log.error({ err: error, rule: rule.name }, 'a policy could not be asked')
      if (name === 'beforePull' && this.#options.failedReads === 'allow') return undefined
      const cause = error instanceof PolicyTimeout ? 'timeout' : 'error'
      return this.#refuse(about, new OciError('DENIED', { message: 'refused, because a policy could not be asked', detail: { policy: rule.name, cause }, cause: error }))
    }
    return verdict !== undefined && 'deny' in verdict ? this.#refuse(about, denied(verdict)) : verdict
  }

  #refuse ({ rule, name, repository, caller: { grant, log } }: Judging, error: OciError): undefined {
    const isAudit = this.#options.audit || rule.audit
    this.#count(rule, isAudit ? 'audited' : 'denied')
    const details = { rule: rule.name, hook: name, repository, user: grant.user, code: error.code, reason: error.message, detail: error.detail }
    log.info(details, isAudit ? 'a policy would refuse this' : 'refused by a policy')
    if (!isAudit) throw error
    return undefined
  }

  #count ({ name }: PolicyRule, what: keyof Counts): void {
    const counts = this.#counts.get(name) ?? { denied: 0, audited: 0, failed: 0 }
    counts[what]++
    this.#counts.set(name, counts)
  }
}

interface Judging { readonly rule: PolicyRule, readonly name: BeforeHook, readonly repository: RepositoryName, readonly caller: PolicyCaller }

/** JavaScript lets a hook return anything, and mean no by false: what is no verdict lets nothing pass. */
function checkedVerdict (answer: unknown): AnyVerdict {
  if (answer === undefined || answer === null) return undefined
  const isVerdict = typeof answer === 'object' && (
    'deny' in answer
      ? typeof answer.deny === 'string'
      : 'limit' in answer ? typeof answer.limit === 'function' : 'warn' in answer
  )
  if (!isVerdict) throw new TypeError('a hook answers nothing, { deny }, { warn } or { limit }, with texts for the first two')
  return answer as AnyVerdict
}

function denied ({ deny, code = 'DENIED', detail }: Denial): OciError {
  return new OciError(code, { message: deny, ...(detail === undefined ? {} : { detail }) })
}
