import { readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { needs } from '../helpers/clients.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { runCli, startProduct } from '../helpers/product.js'

const UPLOADS = 'docker/registry/v2/repositories/team/app/_uploads'
const LONG_AGO = new Date('2020-01-01T00:00:00Z')

async function startUpload (t: Test, url: string): Promise<URL> {
  const { status, headers } = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  t.equal(status, 202)
  const location = new URL(headers.get('location') ?? '', url)
  const chunk = await fetch(location, { method: 'PATCH', headers: { 'content-type': 'application/octet-stream' }, body: 'hello' })
  t.equal(chunk.status, 202)
  return new URL(chunk.headers.get('location') ?? '', url)
}

/** Makes everything in a session look as old as that. */
async function age (directory: string): Promise<void> {
  await writeFile(join(directory, 'startedat'), LONG_AGO.toISOString())
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) await utimes(join(entry.parentPath, entry.name), LONG_AGO, LONG_AGO)
}

t.test('purge-uploads removes what docker\'s registry was in the middle of, with its hash states (R-125)', needs('docker-registry'), async t => {
  const directory = t.testdir()
  const data = join(directory, 'data')
  const docker = await startDockerRegistry(t, directory, data)
  await startUpload(t, docker.url)
  await startUpload(t, docker.url)
  await docker.stop()
  const [old = '', young = ''] = await readdir(join(data, UPLOADS))
  await age(join(data, UPLOADS, old))
  t.ok((await readdir(join(data, UPLOADS, old))).includes('hashstates'))

  const dry = await runCli(t, ['purge-uploads', '--dry-run', docker.configFile], directory)
  t.equal(dry.status, 0, dry.stderr)
  t.match(dry.stdout, new RegExp(`^would remove team/app ${old}: started 2020-01-01T00:00:00\\.000Z, last write 2020-01-01T00:00:00\\.000Z, \\d+ B\\n2 uploads, 1 would be removed \\(\\d+ B\\), 0 errors\\n$`))
  t.same((await readdir(join(data, UPLOADS))).length, 2)

  const run = await runCli(t, ['purge-uploads', '--json', docker.configFile], directory)
  t.equal(run.status, 0, run.stderr)
  const [upload, summary] = run.stdout.trimEnd().split('\n').map(line => JSON.parse(line) as object)
  t.match(upload, { kind: 'upload', repository: 'team/app', id: old, startedAt: '2020-01-01T00:00:00.000Z' })
  t.match(summary, { kind: 'summary', sessions: 2, deleted: 1, errors: 0, dryRun: false })
  t.same(await readdir(join(data, UPLOADS)), [young])
})

t.test('purge-uploads beside a running server: a session that got bytes just now stays whatever the age, and goes on', async t => {
  const directory = t.testdir()
  const product = await startProduct(t, directory)
  const location = await startUpload(t, product.url)
  const run = await runCli(t, ['purge-uploads', '--age', '0s', 'config.yml'], directory)
  t.equal(run.status, 0, run.stderr)
  t.equal(run.stdout, '1 uploads, 0 removed (0 B), 0 errors\n')
  const chunk = await fetch(location, { method: 'PATCH', headers: { 'content-type': 'application/octet-stream' }, body: ' again' })
  t.equal(chunk.status, 202)
  t.equal(chunk.headers.get('range'), '0-10')
  await product.stop()
})

t.test('purge-uploads says in one line what is wrong with its age', async t => {
  const directory = t.testdir({ 'c.yml': 'version: 0.1\nstorage: inmemory\n' })
  const refusal = async (age: string): Promise<string> => (await runCli(t, ['purge-uploads', `--age=${age}`, 'c.yml'], directory)).stderr
  t.equal(await refusal('5d'), 'oci-registry: --age: time: unknown unit "d" in duration "5d"\n')
  t.equal(await refusal('-1h'), 'oci-registry: --age: is less than 0\n')
})

t.test('a second purge beside a first one is refused with one line', async t => {
  const directory = t.testdir({ 'c.yml': 'version: 0.1\nstorage: { filesystem: { rootdirectory: data } }\n', data: { 'oci-registry': { leases: { 'upload-purge': `somebody\n${Date.now() + 60_000}` } } } })
  const { status, stderr, stdout } = await runCli(t, ['purge-uploads', 'c.yml'], directory)
  t.equal(status, 1)
  t.equal(stdout, '')
  t.equal(stderr, 'oci-registry: uploads on this storage are being purged already; a run that was killed is forgotten after a minute\n')
})
