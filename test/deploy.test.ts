import { readFile } from 'node:fs/promises'
import t from 'tap'
import { parse } from 'yaml'
import { sources } from '../services/metrics/sources.js'
import { RegistryMetrics } from '../services/metrics/registry-metrics.js'

interface Dashboard { readonly panels: ReadonlyArray<{ readonly targets: ReadonlyArray<{ readonly expr: string }> }> }
interface Alerts { readonly groups: ReadonlyArray<{ readonly rules: ReadonlyArray<{ readonly expr: string }> }> }

/** Names of everything that is served, with the suffixes of histograms. */
async function served (): Promise<Set<string>> {
  const job = { runs: 0, failures: 0, last: null }
  const metrics = new RegistryMetrics()
  for (const source of sources({
    cache: () => ({ requests: 0, hits: 0, misses: 0, errors: 0 }),
    endpoints: () => [],
    uploads: () => ({ opened: 0, resumed: 0 }),
    purge: () => ({ ...job, deleted: 0, bytes: 0 }),
    collection: () => ({ ...job, manifests: 0, blobs: 0, bytes: 0, restored: 0, running: false }),
    verify: () => job,
    policy: () => ({}),
    failingChecks: () => ({})
  })) metrics.add(source)
  return new Set((await metrics.read()).flatMap(({ name }) => [name, `${name}_bucket`, `${name}_count`, `${name}_sum`]))
}

const NAMES = /\b(?:registry|process|nodejs)_\w+/g

t.test('the dashboard and the alert rules ask for metrics that there are', async t => {
  const known = await served()
  const dashboard = JSON.parse(await readFile('deploy/grafana-dashboard.json', 'utf8')) as Dashboard
  const alerts = parse(await readFile('deploy/alerts.yml', 'utf8')) as Alerts
  const asked = [...dashboard.panels.flatMap(({ targets }) => targets), ...alerts.groups.flatMap(({ rules }) => rules)].flatMap(({ expr }) => expr.match(NAMES) ?? [])
  t.ok(asked.length > 30)
  t.same([...new Set(asked)].filter(name => !known.has(name)), [])
})
