import type { RegistryConfig } from '../../schemas/config/index.js'
import { isPattern } from './auth-problems.js'

const LISTS = ['immutabletags', 'mediatypes', 'artifacttypes', 'annotations', 'sizes', 'quotas'] as const

/** Patterns of repositories that no name can match: a policy that silently is about nothing. One line each. */
export function policyProblems ({ policy }: Pick<RegistryConfig, 'policy'>): string[] {
  return LISTS.flatMap(list => policy[list].flatMap(({ repositories }, i) =>
    repositories.filter(pattern => !isPattern(pattern)).map(pattern => `policy.${list}[${i}].repositories: ${JSON.stringify(pattern)} matches no repository name`)))
}
