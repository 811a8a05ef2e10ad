import { loadConfig } from '../config/load.js'
import type { LoadedConfig } from '../config/load.js'
import { ConfigError } from '../errors/config-error.js'
import { OciError } from '../errors/oci-error.js'
import type { Log } from '../log/log.js'
import { loadMiddleware } from '../middleware/load.js'
import { configuredPolicy } from '../policy/configured.js'
import { PolicyEngine } from '../policy/engine.js'
import { Explainer } from '../policy/explain.js'
import type { Explanation } from '../policy/explain.js'
import { parseReference, parseRepositoryName } from '../reference/reference.js'
import { StorageNamespace } from '../registry/namespace.js'
import type { Namespace } from '../registry/types.js'
import { createDriver } from '../storage/create.js'
import { guarded } from '../storage/guarded.js'
import { UploadSessions } from '../uploads/sessions.js'
import { alone } from '../workers/workers.js'
import type { Command, CommandOutput, OptionValues } from './command.js'

const ACTIONS = ['pull', 'push', 'delete'] as const
/** Of a denial: a script can tell it from a mistake, which is 1. */
const DENIED = 2

/** `explain`: says which rule decides about something, from the configuration and what is in storage. */
export const explain: Command = {
  usage: 'explain --repository NAME --action ACTION [options]',
  summary: 'say which rule or policy decides about a pull, a push or a delete, and why',
  options: { repository: { type: 'string' }, reference: { type: 'string' }, action: { type: 'string' }, user: { type: 'string' }, json: { type: 'boolean' } },
  optionHelp: [
    ['--repository NAME', 'explain: the repository'],
    ['--reference REF', 'explain: a tag or a digest in it'],
    ['--action ACTION', 'explain: pull, push or delete'],
    ['--user NAME', 'explain: who; somebody without credentials unless given'],
    ['--json', 'explain: print JSON']
  ],
  async run (sources, values, { out, err }) {
    const question = questionOf(values)
    const { explainer, close } = await openExplainer(await loadConfig(sources), err)
    try {
      const explanation = await explainer.explain(question)
      out.write(values['json'] === true ? `${JSON.stringify(explanation, null, 2)}\n` : asText(explanation))
      return explanation.decision === 'deny' ? DENIED : 0
    } finally {
      await close()
    }
  }
}

/** Only what has to be asked: nothing listens, nobody is told, nothing is purged. */
async function openExplainer ({ config, directory }: LoadedConfig, err: CommandOutput['err']): Promise<{ explainer: Explainer, close: () => Promise<void> }> {
  const { storage, registry } = await loadMiddleware({ base: directory, context: { log: quietLog(err), config } })
  let driver = guarded(await createDriver(config.storage))
  for (const decorate of storage) driver = guarded(await decorate(driver))
  let namespace: Namespace = new StorageNamespace({ driver, uploads: new UploadSessions({ driver }) })
  for (const decorate of registry) namespace = await decorate(namespace)
  const engine = new PolicyEngine(configuredPolicy(config.policy, { workers: alone(), driver }))
  return { explainer: new Explainer({ config, namespace, engine, hasHostedAccess: false }), close: async () => { await driver.close() } }
}

/** @throws {ConfigError} one line for each option that is missing or makes no sense */
function questionOf ({ repository, reference, action, user }: OptionValues): Parameters<Explainer['explain']>[0] {
  const problems: string[] = []
  const parsed = <T>(option: string, value: unknown, parse: (text: string) => T): T | undefined => {
    if (typeof value !== 'string') return undefined
    try {
      return parse(value)
    } catch (error) {
      problems.push(`--${option}: ${OciError.is(error) ? error.message : String(error)}: ${value}`)
      return undefined
    }
  }
  const name = parsed('repository', repository, parseRepositoryName)
  const what = parsed('reference', reference, parseReference)
  const wanted = ACTIONS.find(known => known === action)
  if (typeof repository !== 'string') problems.push('--repository: is missing')
  if (wanted === undefined) problems.push(`--action: one of ${ACTIONS.join(', ')} is needed`)
  if (name === undefined || wanted === undefined || problems.length > 0) throw new ConfigError(problems)
  return { repository: name, action: wanted, user: typeof user === 'string' && user !== '' ? user : undefined, ...(what === undefined ? {} : { reference: what }) }
}

const WORDS = { allow: 'allowed', deny: 'denied', depends: 'it depends' } as const

function asText ({ repository, reference, action, user, decision, decidedBy, findings }: Explanation): string {
  const what = `${repository}${reference === null ? '' : reference.includes(':') ? `@${reference}` : `:${reference}`}`
  const width = Math.max(...findings.map(({ rule }) => rule.length))
  return [
    `${action} ${what} by ${user ?? 'somebody without credentials'}: ${WORDS[decision]}`,
    `${decidedBy.rule}: ${decidedBy.reason}`,
    '',
    ...findings.map(finding => `${finding.decision.padEnd(7)}  ${finding.rule.padEnd(width)}  ${finding.reason}`),
    ''
  ].join('\n')
}

function quietLog (err: CommandOutput['err']): Log {
  const warn = (...values: unknown[]): void => { err.write(`oci-registry: warning: ${values.filter(value => typeof value === 'string').join(' ')}\n`) }
  return { debug: () => {}, info: () => {}, warn, error: warn }
}
