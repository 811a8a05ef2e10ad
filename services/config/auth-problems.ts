import type { RegistryConfig } from '../../schemas/config/index.js'

type Htpasswd = NonNullable<NonNullable<RegistryConfig['auth']>['htpasswd']>
type Rule = NonNullable<Htpasswd['access']>[number]

/** What the schema cannot say of access control. One line each. */
export function authProblems ({ auth = {} }: Pick<RegistryConfig, 'auth'>): string[] {
  const controllers = Object.keys(auth)
  return [
    ...(controllers.length > 1 ? [`auth: one controller is needed, got ${controllers.join(' and ')}`] : []),
    ...(auth.htpasswd === undefined ? [] : ruleProblems(auth.htpasswd, 'auth.htpasswd'))
  ]
}

/** What is wrong with the rules at `path`, and would make them mean something else than their author thinks. */
export function ruleProblems ({ groups = {}, access = [] }: Pick<Htpasswd, 'groups' | 'access'>, path: string): string[] {
  return access.flatMap((rule, i) => [
    ...nobody(rule) ? [`${path}.access[${i}]: is for nobody: users, groups, authenticated or anonymous is needed`] : [],
    ...(rule.groups ?? []).filter(group => !Object.hasOwn(groups, group)).map(group => `${path}.access[${i}].groups: there is no group ${JSON.stringify(group)} in ${path}.groups`),
    ...rule.repositories.filter(pattern => !isPattern(pattern)).map(pattern => `${path}.access[${i}].repositories: ${JSON.stringify(pattern)} matches no repository name`)
  ])
}

function nobody ({ users = [], groups = [], authenticated = false, anonymous = false }: Rule): boolean {
  return users.length + groups.length === 0 && !authenticated && !anonymous
}

/** Characters that names and globs have, in components, with brackets that are closed. */
export function isPattern (pattern: string): boolean {
  const isClosed = pattern.replaceAll(/\{[^{}[\]]*\}|\[[^{}[\]]+\]/g, 'x')
  return /^[a-z0-9._\-*?,]+(?:\/[a-z0-9._\-*?,]+)*$/.test(isClosed) && /^[a-z0-9._\-*?,/{}[\]]+$/.test(pattern)
}
