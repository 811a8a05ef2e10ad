import { join } from 'node:path'
import { rm } from 'node:fs/promises'
import t from 'tap'
import { FilesystemDriver } from '../../services/storage/filesystem.js'
import { isAside, missingOf, openRepository, pushBlob, pushImage } from '../helpers/garbage-world.js'
import { blob, image } from '../helpers/images.js'
import type { Manifest } from '../helpers/images.js'
import { CliProcess, runCli, startProduct } from '../helpers/product.js'

const ROUNDS = 6

t.setTimeout(180_000)

t.test('killed again and again while it collects and clients push, it loses nothing, and the next run ends the work', async t => {
  const directory = t.testdir({})
  const driver = await FilesystemDriver.open({ rootdirectory: join(directory, 'data'), fsync: false })
  const product = await startProduct(t, directory)
  const repository = openRepository(driver)
  const acknowledged: Manifest[] = []
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < 20; i++) await pushBlob(repository.blobs, blob(`garbage ${round}-${i}`))
    // The lease of the killed one would hold for a minute.
    await rm(join(directory, 'data', 'oci-registry', 'leases'), { recursive: true, force: true })
    const collecting = new CliProcess(t, ['garbage-collect', '-m', join(directory, 'config.yml')], directory)
    const over = new AbortController()
    void collecting.ended.then(() => { over.abort() })
    // Sooner or later after it began to put things aside, and wherever the machine has it then.
    for (let i = 0, seen = 0; !over.signal.aborted; i++) {
      if (await isAside(driver) && seen++ > round) await collecting.stop('SIGKILL')
      const manifest = image(`${round}-${i % 20}`)
      const isStored = await pushImage(repository, manifest, `v${round}-${i % 20}`).then(() => true, () => false)
      if (isStored) acknowledged.push(manifest)
    }
    for (const manifest of acknowledged) t.equal(await missingOf(repository, manifest), undefined)
  }
  for (let run = 0; run < 2; run++) {
    await rm(join(directory, 'data', 'oci-registry', 'leases'), { recursive: true, force: true })
    const { status, stderr } = await runCli(t, ['garbage-collect', '-m', join(directory, 'config.yml')], directory)
    t.equal(status, 0, stderr)
  }
  for (const manifest of acknowledged) t.equal(await missingOf(openRepository(driver), manifest), undefined)
  t.notOk(await isAside(driver))
  t.equal((await fetch(`${product.url}/v2/team/app/manifests/v0-0`)).status, 200)
})
