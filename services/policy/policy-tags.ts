import type { Digest, Tag } from '../reference/reference.js'
import { ForwardingTagStore } from '../registry/forwarding.js'
import type { Repository } from '../registry/types.js'
import type { Inquiry } from './inquiry.js'
import { askToDelete, askToSet } from './policy-manifests.js'
import { manifestDelete, noConfig } from './stored-content.js'

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
      await askToSet(inquiry, this.#repository, tag, { digest, config: noConfig })
      await super.set(tag, digest)
    })
  }

  override async delete (tag: Tag): Promise<boolean> {
    const inquiry = this.#inquire()
    const isDeleted = await inquiry.during(async () => {
      await inquiry.ask('beforeDelete', manifestDelete(this.#repository, { tag }))
      await askToDelete(inquiry, this.#repository, tag)
      return await super.delete(tag)
    }, isDeleted => isDeleted)
    if (isDeleted) inquiry.tell('afterDelete', { kind: 'tag', reference: { tag }, tags: [tag] })
    return isDeleted
  }
}
