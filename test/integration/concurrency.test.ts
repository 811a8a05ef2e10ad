import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryOptions } from '../../registry.js'
import { build } from '../helpers/build.js'
import { blob, image, pushBlob, pushManifest, sha256 } from '../helpers/images.js'
import type { Manifest } from '../helpers/images.js'

// Each race is run this many times: what goes wrong once in a hundred is wrong.
const ROUNDS = Number(process.env['ROUNDS'] ?? 200)
t.setTimeout(300_000)

const STORAGES: Record<string, (t: Test) => NonNullable<RegistryOptions['storage']>> = {
  inmemory: () => ({ inmemory: {}, delete: { enabled: true } }),
  filesystem: t => ({ filesystem: { rootdirectory: t.testdir(), fsync: false }, delete: { enabled: true } })
}

function put (app: FastifyInstance, name: string, reference: string, { bytes, mediaType }: Manifest): Promise<LightMyRequestResponse> {
  return app.inject({ method: 'PUT', url: `/v2/${name}/manifests/${reference}`, headers: { 'content-type': mediaType }, payload: bytes })
}

function statuses (responses: readonly LightMyRequestResponse[]): number[] {
  return [...new Set(responses.map(({ statusCode }) => statusCode))]
}

/** An image without blobs of its own to push: all share one config and one layer. */
async function variants (t: Test, app: FastifyInstance, name: string, count: number, extra: (i: number) => object = () => ({})): Promise<Manifest[]> {
  const base = image('base')
  await pushManifest(t, app, name, base)
  return Array.from({ length: count }, (_, i) => {
    const content = { ...JSON.parse(base.bytes.toString()) as object, annotations: { variant: String(i) }, ...extra(i) }
    return { ...blob(JSON.stringify(content), base.mediaType), blobs: [] }
  })
}

for (const [storage, options] of Object.entries(STORAGES)) {
  t.test(`${storage}: of 50 parallel writes of one tag one wins, whole`, async t => {
    const app = await build(t, { storage: options(t) })
    const manifests = await variants(t, app, 'race/tag', 50)
    const digests = new Set(manifests.map(({ digest }) => digest))
    for (let round = 0; round < ROUNDS; round++) {
      const responses = await Promise.all(manifests.map(async manifest => await put(app, 'race/tag', 'latest', manifest)))
      t.same(statuses(responses), [201])
      const tagged = await app.inject('/v2/race/tag/manifests/latest')
      if (!digests.has(sha256(tagged.rawPayload))) t.fail(`round ${round}: the tag serves what nobody pushed`)
    }
  })

  t.test(`${storage}: of 50 parallel referrers of one subject all are listed`, async t => {
    const app = await build(t, { storage: options(t) })
    for (let round = 0; round < ROUNDS; round++) {
      const digest = sha256(`subject ${round}`)
      const subject = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1 }
      const manifests = await variants(t, app, 'race/referrers', 50, () => ({ subject }))
      const responses = await Promise.all(manifests.map(async manifest => await put(app, 'race/referrers', manifest.digest, manifest)))
      t.same(statuses(responses), [201])
      const listed = (await app.inject(`/v2/race/referrers/referrers/${digest}`)).json<{ manifests: Array<{ digest: string }> }>()
      t.same(listed.manifests.map(({ digest }) => digest), manifests.map(({ digest }) => digest).sort())
    }
  })

  t.test(`${storage}: two uploads of one digest at once both succeed, and the blob is whole (R-117)`, async t => {
    const app = await build(t, { storage: options(t) })
    for (let round = 0; round < ROUNDS; round++) {
      const content = blob(`round ${round}`)
      await Promise.all([pushBlob(t, app, 'race/one', content), pushBlob(t, app, 'race/one', content), pushBlob(t, app, 'race/two', content)])
      const read = await app.inject(`/v2/race/one/blobs/${content.digest}`)
      if (sha256(read.rawPayload) !== content.digest) t.fail(`round ${round}: damaged`)
    }
  })

  t.test(`${storage}: a pull beside a delete is whole or 404 (R-140)`, async t => {
    const app = await build(t, { storage: options(t) })
    for (let round = 0; round < ROUNDS; round++) {
      const content = blob(`deleted ${round}`)
      await pushBlob(t, app, 'race/delete', content)
      const [pull, gone] = await Promise.all([
        app.inject(`/v2/race/delete/blobs/${content.digest}`),
        app.inject({ method: 'DELETE', url: `/v2/race/delete/blobs/${content.digest}` })
      ])
      if (gone.statusCode !== 202) t.fail(`round ${round}: delete answered ${gone.statusCode}`)
      if (pull.statusCode !== 404 && (pull.statusCode !== 200 || sha256(pull.rawPayload) !== content.digest)) t.fail(`round ${round}: pull answered ${pull.statusCode}`)
      if ((await app.inject({ method: 'HEAD', url: `/v2/race/delete/blobs/${content.digest}` })).statusCode !== 404) t.fail(`round ${round}: still there`)
    }
  })

  t.test(`${storage}: readers of a moving tag see the old or the new manifest, never nothing (R-187)`, async t => {
    const app = await build(t, { storage: options(t) })
    const [first, second] = await variants(t, app, 'race/move', 2) as [Manifest, Manifest]
    await put(app, 'race/move', 'moving', first)
    for (let round = 0; round < ROUNDS; round++) {
      const next = round % 2 === 0 ? second : first
      const [moved, ...reads] = await Promise.all([put(app, 'race/move', 'moving', next), ...Array.from({ length: 4 }, async () => await app.inject('/v2/race/move/manifests/moving'))])
      if (moved.statusCode !== 201) t.fail(`round ${round}: push answered ${moved.statusCode}`)
      for (const read of reads) {
        const digest = sha256(read.rawPayload)
        const isOne = [first.digest, second.digest].includes(digest) && read.headers['docker-content-digest'] === digest
        if (read.statusCode !== 200 || !isOne) t.fail(`round ${round}: read answered ${read.statusCode}`)
      }
    }
  })

  t.test(`${storage}: push, delete and push of one digest again leaves no memory of the delete (R-141)`, async t => {
    const app = await build(t, { storage: options(t) })
    const content = blob('{}')
    const url = `/v2/race/again/blobs/${content.digest}`
    for (let round = 0; round < ROUNDS; round++) {
      await pushBlob(t, app, 'race/again', content)
      const seen = [(await app.inject({ method: 'HEAD', url })).statusCode]
      await app.inject({ method: 'DELETE', url })
      seen.push((await app.inject({ method: 'HEAD', url })).statusCode)
      if (seen.join() !== '200,404') t.fail(`round ${round}: ${seen.join()}`)
    }
  })
}
