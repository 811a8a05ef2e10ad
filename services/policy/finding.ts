import type { AnyVerdict } from './rule.js'

/** What one rule says. `depends`: nobody can know before it happens. */
export interface Finding {
  /** The key of the configuration, or the hook: `policy.quotas[0]`, `auth.htpasswd.access[1]`, `hooks.beforePull[0]`. */
  readonly rule: string
  readonly decision: 'allow' | 'deny' | 'depends'
  readonly reason: string
}

export function finding (rule: string, verdict: AnyVerdict, isAudit: boolean): Finding {
  if (verdict === undefined) return { rule, decision: 'allow', reason: 'has nothing against it' }
  if ('deny' in verdict) return isAudit ? { rule, decision: 'allow', reason: `would refuse, and is in audit mode: ${verdict.deny}` } : { rule, decision: 'deny', reason: verdict.deny }
  if ('limit' in verdict) return { rule, decision: 'depends', reason: 'watches how much is pushed' }
  return { rule, decision: 'allow', reason: `remarks: ${[verdict.warn].flat().join('; ')}` }
}
