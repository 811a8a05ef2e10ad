import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryConfigInput } from '../../schemas/config/index.js'
import { needs, skopeo } from '../helpers/clients.js'
import { writeOciLayout } from '../helpers/oci-layout.js'
import { startProduct } from '../helpers/product.js'

/** What skopeo says when it copies an image there; empty when it is content. */
async function copyTo (source: string, destination: string): Promise<string> {
  return await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${source}:1.0`, `docker://${destination}`).then(() => '', (error: unknown) => String(error))
}

async function started (t: Test, policy: NonNullable<RegistryConfigInput['policy']>): Promise<{ host: string, images: string[] }> {
  const directory = t.testdir({ one: {}, two: {} })
  const images = ['one', 'two'].map(name => join(directory, name))
  // Layers are random: these are two images.
  for (const image of images) await writeOciLayout(image, { tag: '1.0', architectures: ['amd64'], layerBytes: 200_000 })
  const { host } = await startProduct(t, directory, { policy })
  return { host, images }
}

t.test('skopeo shows why a push was refused', needs('skopeo'), async t => {
  const { host, images: [one = '', two = ''] } = await started(t, {
    immutabletags: [{ repositories: ['prod/*'], tags: ['v*'] }],
    annotations: [{ repositories: ['annotated/*'], required: ['org.opencontainers.image.source'] }],
    sizes: [{ repositories: ['small/*'], layer: '100kB' }],
    quotas: [{ repositories: ['full/*'], bytes: '500kB' }]
  })
  t.equal(await copyTo(one, `${host}/prod/app:v1`), '')
  t.equal(await copyTo(one, `${host}/prod/app:v1`), '', 'the same image again')
  t.match(await copyTo(two, `${host}/prod/app:v1`), /denied: tag v1 of prod\/app is immutable: it is sha256:[0-9a-f]{64}/)
  t.equal(await copyTo(two, `${host}/prod/app:v2`), '')
  t.match(await copyTo(one, `${host}/annotated/app:1`), 'denied: annotations are missing: org.opencontainers.image.source')
  t.match(await copyTo(one, `${host}/small/app:1`), /denied: a layer may have 100kB, this one has \d+ bytes or more/)
  t.equal(await copyTo(one, `${host}/full/app:1`), '')
  t.match(await copyTo(two, `${host}/full/app:2`), /denied: repository full\/app may hold 500kB: it holds \d+ bytes/)
})
