import type { ManifestQuestion } from '../hooks.js'
import type { PolicyRule } from '../rule.js'
import { scopedRule } from './scope.js'
import type { Scope } from './scope.js'

export interface AnnotationsEntry extends Scope {
  readonly required: readonly string[]
  readonly labels: boolean
  readonly untagged: boolean
}

/** Annotations that must be there, or labels of the image where they count as well. */
export function requiredAnnotations (name: string, entry: AnnotationsEntry): PolicyRule {
  return scopedRule(name, entry, {
    beforeManifest: async ({ manifest: { annotations = {} }, tags, config }) => {
      if (tags.length === 0 && !entry.untagged) return undefined
      const without = entry.required.filter(key => !isFilled(annotations, key))
      if (without.length === 0) return undefined
      const labels = entry.labels ? await labelsOf(config) : {}
      const missing = without.filter(key => !isFilled(labels, key))
      return missing.length === 0 ? undefined : { deny: `annotations are missing: ${missing.join(', ')}`, detail: { policy: name, missing } }
    }
  })
}

function isFilled (values: object, key: string): boolean {
  const value: unknown = Object.hasOwn(values, key) ? (values as Record<string, unknown>)[key] : undefined
  return typeof value === 'string' && value !== ''
}

/** An image's config is its pusher's: it may be anything. */
async function labelsOf (config: ManifestQuestion['config']): Promise<object> {
  const image = await config() as { config?: { Labels?: unknown } | null } | null | undefined
  const labels = image?.config?.Labels
  return typeof labels === 'object' && labels !== null ? labels : {}
}
