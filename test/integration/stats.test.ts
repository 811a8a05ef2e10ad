import t from 'tap'
import { image, pushManifest } from '../helpers/images.js'
import { runCli } from '../helpers/product.js'
import { buildServer } from '../../server.js'

t.test('stats beside a running server: a table, and the same numbers as JSON', async t => {
  const directory = t.testdir({ 'config.yml': 'version: 0.1\nstorage: { filesystem: { rootdirectory: data } }\n' })
  const app = buildServer({ storage: { filesystem: { rootdirectory: `${directory}/data` } } })
  t.teardown(async () => { await app.close() })
  const manifest = image()
  await pushManifest(t, app, 'team/app', manifest, 'latest')
  const bytes = [manifest, ...manifest.blobs].reduce((sum, { size }) => sum + size, 0)
  const table = await runCli(t, ['stats', 'config.yml'], directory)
  t.match(table, { status: 0, stdout: /^repositories +1\ntags +1\nmanifests +1\nlinked +3 [^]*\nteam\/app +1 +1 +2 / })
  const { status, stdout, stderr } = await runCli(t, ['stats', '--json', '--quiet', 'config.yml'], directory)
  t.match(JSON.parse(stdout), { repositories: 1, tags: 1, manifests: 1, stored: { count: 3, bytes }, largest: [{ name: 'team/app', bytes, unique: bytes }] })
  t.same([status, stderr], [0, ''])
})

t.test('a bad number of repositories is one line', async t => {
  const directory = t.testdir({ 'c.yml': 'version: 0.1\nstorage: inmemory\n' })
  for (const top of ['many', '1e3', '10001', '']) {
    t.same(await runCli(t, ['stats', `--top=${top}`, 'c.yml'], directory), { status: 1, stdout: '', stderr: `oci-registry: --top: a number from 0 to 10000 is needed, not ${JSON.stringify(top)}\n` })
  }
})
