import type { RegistryConfig } from '../../schemas/config/index.js'
import { layerUrls } from '../registry/layer-urls.js'
import type { ReferenceValidation } from '../registry/reference-check.js'

/** What of a manifest's references must be there, as `validation` of the configuration has it. */
export function referenceValidation ({ enabled, disabled, manifests }: RegistryConfig['validation']): ReferenceValidation {
  return { disabled: disabled && enabled !== true, ...manifests.indexes, urls: layerUrls(manifests.urls) }
}
