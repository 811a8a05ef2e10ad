import type { Repository } from '../registry/types.js'
import { PolicyEngine } from './engine.js'
import type { PolicyCaller, PolicyEngineOptions } from './engine.js'
import { PolicyBlobs } from './policy-blobs.js'
import { PolicyManifests } from './policy-manifests.js'
import { PolicyTags } from './policy-tags.js'

/** All that hooks and configuration have to say about what is pushed, pulled and deleted. */
export class Policy {
  readonly engine: PolicyEngine
  /** Nobody is to be asked: requests pass as if there were no policy. */
  readonly isEmpty: boolean

  constructor (options: PolicyEngineOptions) {
    this.engine = new PolicyEngine(options)
    this.isEmpty = options.rules.length === 0
  }

  /**
   * The repository as one request may use it. Whoever works on it asks the policy by doing so; parts that no rule is about
   * are passed through as they are.
   */
  protect (repository: Repository, caller: PolicyCaller): Repository {
    const { engine } = this
    const { name, blobs, manifests, tags, referrers } = repository
    const inquire = () => engine.inquiry(caller, name)
    const judgesTags = engine.has('beforeTag')
    const reads = engine.has('beforePull', 'afterPull')
    const deletes = engine.has('beforeDelete', 'afterDelete')
    return {
      name,
      blobs: reads || deletes || engine.has('beforePush', 'afterPush') ? new PolicyBlobs(blobs, inquire) : blobs,
      manifests: reads || deletes || judgesTags || engine.has('beforeManifest', 'afterPush') ? new PolicyManifests(repository, inquire, { judgesTags }) : manifests,
      tags: judgesTags || deletes ? new PolicyTags(repository, inquire) : tags,
      referrers
    }
  }
}
