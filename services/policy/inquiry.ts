import type { RepositoryName } from '../reference/reference.js'
import type { UploadMeter } from '../uploads/session.js'
import type { About, LimitOf, PolicyCaller, PolicyEngine } from './engine.js'
import type { PolicyQuestion } from './hooks.js'
import type { AfterHook, BeforeHook, HookName, Questions } from './rule.js'

const NEVER = new AbortController().signal

/** All that is asked about one operation of one request on one repository. */
export class Inquiry {
  readonly #engine: PolicyEngine
  readonly #caller: PolicyCaller
  readonly #repository: RepositoryName
  readonly #limits: LimitOf[] = []
  #callbacks: Array<(done: boolean) => void | Promise<void>> = []

  constructor (engine: PolicyEngine, caller: PolicyCaller, repository: RepositoryName) {
    this.#engine = engine
    this.#caller = caller
    this.#repository = repository
  }

  /** @throws {OciError} what a rule has against it */
  async ask<K extends BeforeHook> (name: K, about: About<K>, repository: RepositoryName = this.#repository): Promise<void> {
    if (!this.#engine.has(name)) return
    this.#limits.push(...await this.#engine.ask(name, this.#question(about, repository), this.#caller))
  }

  tell<K extends AfterHook> (name: K, about: About<K>): void {
    if (this.#engine.has(name)) this.#engine.tell(name, this.#question(about, this.#repository), this.#caller)
  }

  /** Tells those who wanted to know of a pull when the client has what it asked for; not if it never gets it. */
  tellPulled (about: About<'afterPull'>): void {
    if (this.#engine.has('afterPull')) this.#caller.whenPulled?.(() => { this.tell('afterPull', about) })
  }

  /** What holds an upload to the limits that were set; it ends the inquiry when the upload's request does. */
  meter (upload: string): UploadMeter {
    const limits = this.#limits
    // One line in the log is enough for what goes on all the same.
    const objecting = new Set<LimitOf>()
    return {
      admit: async bytes => {
        for (const limit of limits) if (!objecting.has(limit) && await this.#engine.admit(limit, { bytes, upload }, this.#repository, this.#caller)) objecting.add(limit)
      },
      end: async kept => { await this.end(kept) }
    }
  }

  /** Runs the operation, and tells those who wanted to know what became of it. `isDone` judges its result. */
  async during<T> (operation: () => Promise<T>, isDone: (result: T) => boolean = () => true): Promise<T> {
    let done = false
    try {
      const result = await operation()
      done = isDone(result)
      return result
    } finally {
      await this.end(done)
    }
  }

  async end (done: boolean): Promise<void> {
    const callbacks = this.#callbacks
    this.#callbacks = []
    for (const callback of callbacks) {
      try {
        await callback(done)
      } catch (error) {
        this.#caller.log.error({ err: error }, 'a policy failed at the end of what it was asked about')
      }
    }
  }

  #question<K extends HookName> (about: About<K>, repository: RepositoryName): Questions[K] {
    const common: PolicyQuestion = {
      grant: this.#caller.grant,
      repository,
      rehearsal: false,
      signal: NEVER,
      onEnd: callback => { this.#callbacks.push(callback) }
    }
    return { ...common, ...about } as Questions[K]
  }
}
