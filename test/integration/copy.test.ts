import { existsSync, readdirSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as macrotask } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { blobPath } from '../../services/registry/layout.js'
import { buildServer } from '../../server.js'
import { blob, image, pushBlob, pushManifest } from '../helpers/images.js'
import { CliProcess, runCli, startProduct } from '../helpers/product.js'

const LARGE = blob(Buffer.alloc(8 * 1024 * 1024, 'large'))
const MANIFEST = image()

async function twoStorages (t: Test): Promise<string> {
  const file = (name: string): string => `version: 0.1\nstorage: { filesystem: { rootdirectory: ${name} } }\n`
  const directory = t.testdir({ 'a.yml': file('a'), 'b.yml': file('b') })
  const app = buildServer({ storage: { filesystem: { rootdirectory: join(directory, 'a') } } })
  t.teardown(async () => { await app.close() })
  await pushManifest(t, app, 'team/app', MANIFEST, '1.0')
  await pushBlob(t, app, 'team/app', LARGE)
  return directory
}

t.test('copy: what was copied is served; a second run has nothing to do', async t => {
  const directory = await twoStorages(t)
  const first = await runCli(t, ['copy', '--from', 'a.yml', '--to', 'b.yml'], directory)
  t.match(first, { status: 0, stdout: /^1 repositories in [\d.]+ s\ncopied: 4 blobs and manifests \(8\.4 MB\), 4 links, 1 tags\nthere already: 0 .*\n0 failed, 0 links left out/, stderr: '' })
  const { status, stdout } = await runCli(t, ['copy', '--from=a.yml', '--to=b.yml', '--json'], directory)
  t.match(JSON.parse(stdout), { kind: 'summary', repositories: 1, blobs: { copied: 0, present: 4 }, tags: { copied: 0, present: 1 }, bytes: 0, failures: 0 })
  t.equal(status, 0)
  const product = await startProduct(t, directory, { storage: { filesystem: { rootdirectory: join(directory, 'b') } } })
  t.equal(await (await fetch(`${product.url}/v2/team/app/manifests/1.0`)).text(), MANIFEST.bytes.toString())
  t.ok(LARGE.bytes.equals(Buffer.from(await (await fetch(`${product.url}/v2/team/app/blobs/${LARGE.digest}`)).arrayBuffer())))
})

t.test('copy: what is damaged is named, and the exit status is 1', async t => {
  const directory = await twoStorages(t)
  await writeFile(join(directory, 'a', blobPath(LARGE.digest)), Buffer.alloc(LARGE.size))
  const words = await runCli(t, ['copy', '--quiet', '--from=a.yml', '--to=b.yml'], directory)
  t.match(words, { status: 1, stderr: '' })
  t.match(words.stdout, new RegExp(`^failed: team/app@${LARGE.digest}: its 8388608 bytes in the source are those of sha256:[0-9a-f]{64}\n$`))
  const json = await runCli(t, ['copy', '--json', '--from=a.yml', '--to=b.yml'], directory)
  t.match(json.stdout.trim().split('\n').map(line => JSON.parse(line) as object), [{ kind: 'failure', repository: 'team/app', reference: LARGE.digest }, { kind: 'summary', failures: 1, tags: { present: 1 } }])
  t.notOk(existsSync(join(directory, 'b', blobPath(LARGE.digest))))
})

t.test('copy: killed in the middle of a blob, it is completed by the next run', async t => {
  const directory = await twoStorages(t)
  const staging = join(directory, 'b/oci-registry/copy')
  const running = new CliProcess(t, ['copy', '--rate=1MB', '--from=a.yml', '--to=b.yml'], directory)
  while (!existsSync(staging) || readdirSync(staging).length === 0) await macrotask()
  await running.stop('SIGKILL')
  t.notOk(existsSync(join(directory, 'b', blobPath(LARGE.digest))))
  t.match(await runCli(t, ['copy', '--from=a.yml', '--to=b.yml'], directory), { status: 1, stderr: /is being copied to this storage already; a run that was killed is forgotten after a minute\n$/ })
  rmSync(join(directory, 'b/oci-registry/leases'), { recursive: true }) // instead of a minute
  t.match(await runCli(t, ['copy', '--from=a.yml', '--to=b.yml'], directory), { status: 0 })
  t.ok(existsSync(join(directory, 'b', blobPath(LARGE.digest))))
  t.notOk(existsSync(staging))
})

t.test('copy: interrupted, it ends with 130', async t => {
  const directory = await twoStorages(t)
  const staging = join(directory, 'b/oci-registry/copy')
  const running = new CliProcess(t, ['copy', '--rate=1MB', '--from=a.yml', '--to=b.yml'], directory)
  while (!existsSync(staging) || readdirSync(staging).length === 0) await macrotask()
  t.equal(await running.stop('SIGINT'), 130)
})
