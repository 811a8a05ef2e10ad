import { createRequire } from 'node:module'
import type { RE2JS } from 're2js'
import { OciError } from '../errors/oci-error.js'
import type { ManifestLayer } from './manifest-content.js'

/** `validation.manifests.urls`: regular expressions of Go, each list as alternatives. */
export interface LayerUrlOptions { readonly allow: readonly string[], readonly deny: readonly string[] }

type Lists = { readonly [K in keyof LayerUrlOptions]: readonly RE2JS[] }

/** Where the layers of a manifest may say that they can be found. The rules of docker's registry, once there are any. */
export class LayerUrls {
  readonly #lists: Lists

  constructor ({ allow, deny }: LayerUrlOptions) {
    this.#lists = { allow: allow.map(compile), deny: deny.map(compile) }
  }

  /** @throws {OciError} MANIFEST_INVALID for the first URL that is not allowed */
  check (layers: readonly ManifestLayer[]): void {
    for (const [i, { urls }] of layers.entries()) {
      const wrong = urls.findIndex(url => !this.#isAllowed(url))
      if (wrong !== -1) throw new OciError('MANIFEST_INVALID', { detail: `/layers/${i}/urls/${wrong} is not a URL that layers may have here: ${urls[wrong]?.slice(0, 256) ?? ''}` })
    }
  }

  #isAllowed (url: string): boolean {
    const { allow, deny } = this.#lists
    if (!/^https?:\/\//i.test(url) || url.includes('#') || !URL.canParse(url)) return false
    return (allow.length === 0 || allow.some(pattern => pattern.test(url))) && !deny.some(pattern => pattern.test(url))
  }
}

/** Undefined where no rules are configured: URLs are then the client's affair. */
export function layerUrls (options: LayerUrlOptions): LayerUrls | undefined {
  return options.allow.length + options.deny.length === 0 ? undefined : new LayerUrls(options)
}

/** One line for each expression that is none. */
export function layerUrlProblems (options: LayerUrlOptions): string[] {
  return (['allow', 'deny'] as const).flatMap(list => options[list].flatMap((pattern, i) => {
    try {
      compile(pattern)
      return []
    } catch (error) {
      return [`validation.manifests.urls.${list}[${i}]: ${(error as Error).message}`]
    }
  }))
}

/** Loaded when it is needed: it takes as long to load as half of the registry, and few need it. */
function compile (pattern: string): RE2JS {
  const { RE2JS } = createRequire(import.meta.url)('re2js') as { RE2JS: { compile (pattern: string): RE2JS } }
  return RE2JS.compile(pattern)
}
