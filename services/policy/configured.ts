import type { RegistryConfig } from '../../schemas/config/index.js'
import { parseDuration } from '../config/duration.js'
import type { StorageDriver } from '../storage/driver.js'
import type { Workers } from '../workers/workers.js'
import type { PolicyEngineOptions } from './engine.js'
import type { PolicyHooks } from './hooks.js'
import { QuotaLedger } from './ledger.js'
import { Quotas } from './quotas.js'
import { rulesOfHooks } from './rule.js'
import type { PolicyRule } from './rule.js'
import { requiredAnnotations } from './rules/annotations.js'
import { repositoryClasses } from './rules/classes.js'
import { immutableTags } from './rules/immutable-tags.js'
import { quota } from './rules/quota.js'
import { sizes } from './rules/sizes.js'
import { artifactTypes, mediaTypes } from './rules/types.js'
import { TagClaims } from './tag-claims.js'
import { countUsage } from './usage.js'

export interface ConfiguredParts {
  readonly workers: Workers
  readonly driver: StorageDriver
  /** Hooks in code, asked after what is configured. */
  readonly hooks?: PolicyHooks
}

/** What the policy of a configuration and of hooks is made of. */
export function configuredPolicy (policy: RegistryConfig['policy'], { hooks = {}, ...parts }: ConfiguredParts): PolicyEngineOptions {
  const { audit, hooks: { timeout, failedreads } } = policy
  return { rules: [...configuredRules(policy, parts), ...rulesOfHooks(hooks)], audit, timeout: parseDuration(timeout), failedReads: failedreads }
}

/** The shipped policies that are configured, in the order in which they are asked: what costs least comes first. */
function configuredRules ({ repository, immutabletags, mediatypes, artifacttypes, annotations, sizes: limits, quotas }: RegistryConfig['policy'], { workers, driver }: ConfiguredParts): PolicyRule[] {
  const numbered = <T>(key: string, entries: readonly T[], make: (name: string, entry: T) => PolicyRule): PolicyRule[] =>
    entries.map((entry, i) => make(`policy.${key}[${i}]`, entry))
  const claims = immutabletags.length === 0 ? undefined : new TagClaims(workers)
  const rooms = quotas.length === 0 ? undefined : new Quotas(workers, new QuotaLedger({ count: async name => await countUsage(driver, name) }))
  return [
    ...repository.classes.length === 0 ? [] : [repositoryClasses('policy.repository.classes', repository.classes)],
    ...numbered('mediatypes', mediatypes, mediaTypes),
    ...numbered('artifacttypes', artifacttypes, artifactTypes),
    ...claims === undefined ? [] : numbered('immutabletags', immutabletags, (name, entry) => immutableTags(name, entry, claims)),
    ...numbered('annotations', annotations, requiredAnnotations),
    ...numbered('sizes', limits, sizes),
    ...rooms === undefined ? [] : numbered('quotas', quotas, (name, entry) => quota(name, entry, rooms))
  ]
}
