import { readFile } from 'node:fs/promises'
import t from 'tap'
import { needs } from '../helpers/clients.js'
import { DIFFERENCES, differencesTable } from '../helpers/differences.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { startProduct } from '../helpers/product.js'
import { RECORDED } from '../helpers/recorded.js'

type Answer = Record<string, string>

/** Sends the list and returns what of each answer clients look at, free of what differs from run to run. */
async function replay (url: string): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>()
  let location = ''
  for (const { name, method, path, headers = {}, body } of RECORDED) {
    // A Location may have a query of its own or not; clients append with what fits.
    const target = path.replace('{location}&', location.includes('?') ? `${location}&` : `${location}?`).replace('{location}', location)
    const response = await fetch(new URL(target, url), { method, headers, redirect: 'manual', ...(body === undefined ? {} : { body }) })
    // The oracle announces more than it sends with a 416.
    const text = await response.text().catch(() => 'cut off')
    answers.set(name, shape(response, text, method))
    location = response.headers.get('location') ?? location
  }
  return answers
}

function shape ({ status, headers }: Response, text: string, method: string): Answer {
  const kept = ['docker-content-digest', 'etag', 'range', 'content-range', 'link', 'allow', 'oci-subject', 'docker-distribution-api-version']
  const entries = kept.flatMap(name => headers.has(name) ? [[name, headers.get(name) ?? '']] : [])
  const type = headers.get('content-type')
  const isError = status >= 400
  return {
    status: String(status),
    ...Object.fromEntries(entries),
    ...(type === null ? {} : { 'content-type': type.replace('; charset=utf-8', '') }),
    ...(headers.has('location') ? { location: (headers.get('location') ?? '').replace(/^http:\/\/[^/]+/, '').replace(/[0-9a-f]{8}-[0-9a-f-]{27}(?:\.\d+)?(?:\?.*)?$/, '<session>') } : {}),
    ...(headers.has('docker-upload-uuid') ? { 'docker-upload-uuid': 'yes' } : {}),
    ...(method === 'HEAD' ? { 'content-length': headers.get('content-length') ?? '' } : {}),
    body: isError ? codes(text) : text.trim()
  }
}

function codes (text: string): string {
  try {
    return (JSON.parse(text) as { errors: Array<{ code: string }> }).errors.map(({ code }) => code).join(' ')
  } catch {
    return text.trim()
  }
}

t.test('a list of requests is answered as docker\'s registry answers it, but for what is written down', needs('docker-registry'), async t => {
  const directory = t.testdir({ theirs: {} })
  const oracle = await startDockerRegistry(t, directory, `${directory}/theirs`)
  const product = await startProduct(t, directory)
  const [theirs, ours] = await Promise.all([replay(oracle.url), replay(product.url)])
  const found = [...theirs].flatMap(([name, answer]) => {
    const other = ours.get(name) ?? {}
    const keys = [...new Set([...Object.keys(answer), ...Object.keys(other)])].sort()
    return keys.filter(key => answer[key] !== other[key]).map(key => ({ request: name, what: key, theirs: answer[key] ?? '', ours: other[key] ?? '' }))
  })
  t.same(found, DIFFERENCES.flatMap(({ differences }) => differences).sort((a, b) => order(a.request) - order(b.request) || (a.what < b.what ? -1 : 1)))
})

function order (request: string): number {
  return RECORDED.findIndex(({ name }) => name === request)
}

t.test('docs/drop-in.md has the differences that were found', async t => {
  const document = await readFile(new URL('../../../docs/drop-in.md', import.meta.url), 'utf8')
  t.ok(document.includes(differencesTable()))
})
