import type { ManifestContent } from '../../registry/manifest-content.js'
import type { Denial } from '../hooks.js'
import { matcherOf } from '../patterns.js'
import type { PolicyRule } from '../rule.js'
import { scopedRule } from './scope.js'
import type { Scope } from './scope.js'

export interface TypesEntry extends Scope { readonly allow: readonly string[], readonly deny: readonly string[] }

/** Media types of a manifest, its config and its layers. The children of an index are judged when they are pushed. */
export function mediaTypes (name: string, entry: TypesEntry): PolicyRule {
  const isAllowed = allowing(entry)
  return scopedRule(name, entry, {
    beforeManifest: ({ manifest }) => {
      const wrong = typesOf(manifest).find(([, type]) => !isAllowed(type))
      return wrong === undefined ? undefined : refusal(name, 'media type', wrong)
    }
  })
}

/** What kind of artifact a manifest is. An index without an artifactType is none. */
export function artifactTypes (name: string, entry: TypesEntry): PolicyRule {
  const isAllowed = allowing(entry)
  return scopedRule(name, entry, {
    beforeManifest: ({ manifest: { artifactType } }) =>
      artifactType === undefined || isAllowed(artifactType) ? undefined : refusal(name, 'artifact type', ['/artifactType', artifactType])
  })
}

function allowing ({ allow, deny }: TypesEntry): (type: string) => boolean {
  const [isAllowed, isDenied] = [matcherOf(allow), matcherOf(deny)]
  return type => (allow.length === 0 || isAllowed(type)) && !isDenied(type)
}

function typesOf ({ mediaType, config, layers }: ManifestContent): Array<readonly [at: string, type: string]> {
  return [
    ['/mediaType', mediaType],
    ...(config === undefined ? [] : [['/config/mediaType', config.mediaType] as const]),
    ...layers.map(({ mediaType }, i) => [`/layers/${i}/mediaType`, mediaType] as const)
  ]
}

function refusal (policy: string, what: string, [at, type]: readonly [string, string]): Denial {
  return { deny: `${what} ${type.slice(0, 160)} is not allowed here`, detail: { policy, at, type: type.slice(0, 160) } }
}
