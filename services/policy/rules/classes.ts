import type { Denial } from '../hooks.js'
import type { PolicyRule } from '../rule.js'

const CLASSES: Readonly<Record<string, string>> = {
  'application/vnd.docker.container.image.v1+json': 'image',
  'application/vnd.oci.image.config.v1+json': 'image',
  'application/vnd.docker.plugin.v1+json': 'plugin'
}

/**
 * `policy.repository.classes` of docker's registry, with its messages: classes of artifacts that may be pushed, told by
 * the type of the config, and classes that the caller's token is for. An index has no class.
 */
export function repositoryClasses (name: string, classes: readonly string[]): PolicyRule {
  return {
    name,
    audit: false,
    concerns: () => true,
    hooks: {
      beforeManifest: ({ manifest: { config }, grant }): Denial | undefined => {
        if (config === undefined) return undefined
        const found = CLASSES[config.mediaType]
        if (found === undefined) return { deny: `unknown manifest class for ${config.mediaType.slice(0, 160)}` }
        if (!classes.includes(found)) return { deny: `registry does not allow ${found} manifest` }
        return grant.classes === undefined || grant.classes.includes(found) ? undefined : { deny: `repository not authorized for ${found} manifest` }
      }
    }
  }
}
