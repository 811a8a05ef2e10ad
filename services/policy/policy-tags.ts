import type { Digest, Tag } from '../reference/reference.js'
import { ForwardingTagStore } from '../registry/forwarding.js'
import type { Repository } from '../registry/types.js'
import type { Inquiry } from './inquiry.js'
import { askToDelete, askToSet } from './policy-manifests.js'

/** Asks the policy before a tag is changed by anything but a manifest. */
export class PolicyTags extends ForwardingTagStore {
  readonly #repository: Repository
  readonly #inquire: () => Inquiry

  constructor (repository: Repository, inquire: () => Inquiry) {
    super(repository.tags)
    this.#repository = repository
    this.#inquire = inquire
  }

  override async set (tag: Tag, digest: Digest): Promise<void> {
    const inquiry = this.#inquire()
    await inquiry.during(async () => {
      await askToSet(inquiry, this.#repository, tag, digest)
      await super.set(tag, digest)
    })
  }

  override async delete (tag: Tag): Promise<boolean> {
    const inquiry = this.#inquire()
    return await inquiry.during(async () => {
      await inquiry.ask('beforeDelete', { kind: 'tag', reference: { tag } })
      await askToDelete(inquiry, this.#repository, tag)
      return await super.delete(tag)
    }, isDeleted => isDeleted)
  }
}
