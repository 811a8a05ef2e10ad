import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { Grant, RegistryOptions } from '../../index.js'
import { OCI_INDEX } from '../../schemas/media-types.js'
import type { RegistryConfigInput } from '../../schemas/config/index.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { IN_MEMORY, build } from '../helpers/build.js'
import type { ErrorBody } from '../helpers/build.js'
import { FaultDriver } from '../helpers/fault-driver.js'
import { blob, image, index, pushBlob, pushManifest } from '../helpers/images.js'
import type { Blob, Manifest } from '../helpers/images.js'

const one = image('one')
const two = image('two')

async function withPolicy (t: Test, policy: NonNullable<RegistryConfigInput['policy']>, options: RegistryOptions = {}): Promise<FastifyInstance> {
  return await build(t, { ...IN_MEMORY, ...options, policy })
}

/** Pushes the blobs, and then the manifest for which there is an answer. */
async function push (t: Test, app: FastifyInstance, name: string, manifest: Manifest, reference: string, query = ''): Promise<LightMyRequestResponse> {
  for (const part of manifest.blobs) await pushBlob(t, app, name, part)
  return await app.inject({ method: 'PUT', url: `/v2/${name}/manifests/${reference}${query}`, headers: { 'content-type': manifest.mediaType }, payload: manifest.bytes })
}

function denied (t: Test, answer: LightMyRequestResponse, message: string, detail?: object): void {
  t.equal(answer.statusCode, 403, answer.body)
  t.same(answer.json<ErrorBody>().errors, [{ code: 'DENIED', message, ...(detail === undefined ? {} : { detail }) }])
}

/** An image with a config of another type, or other content. */
function imageOf (config: Blob, layers: readonly Blob[], extra: object = {}): Manifest {
  const [of, ...rest] = [config, ...layers].map(({ mediaType, digest, size }) => ({ mediaType, digest, size }))
  return { ...image('', { config: of, layers: rest, ...extra }), blobs: [config, ...layers] }
}

t.test('an immutable tag stays what it is, and takes the same digest again', async t => {
  const app = await withPolicy(t, { immutabletags: [{ repositories: ['prod/**'], tags: ['v*'] }] })
  t.equal((await push(t, app, 'prod/app', one, 'v1')).statusCode, 201)
  t.equal((await push(t, app, 'prod/app', one, 'v1')).statusCode, 201)
  const detail = { policy: 'policy.immutabletags[0]', tag: 'v1', current: one.digest, pushed: two.digest }
  denied(t, await push(t, app, 'prod/app', two, 'v1'), `tag v1 of prod/app is immutable: it is ${one.digest}`, detail)
  denied(t, await push(t, app, 'prod/app', two, two.digest, '?tag=other&tag=v1'), `tag v1 of prod/app is immutable: it is ${one.digest}`, detail)
  t.equal((await app.inject('/v2/prod/app/manifests/other')).statusCode, 404, 'all or nothing')
  t.equal((await push(t, app, 'prod/app', two, two.digest, '?tag=other&tag=v2')).statusCode, 201)
  for (const reference of ['v1', one.digest]) {
    denied(t, await app.inject({ method: 'DELETE', url: `/v2/prod/app/manifests/${reference}` }), 'tag v1 of prod/app is immutable: it cannot be deleted', { policy: 'policy.immutabletags[0]', tag: 'v1' })
  }
  t.equal((await app.inject('/v2/prod/app/manifests/v1')).headers['docker-content-digest'], one.digest)
  t.equal((await app.inject({ method: 'DELETE', url: '/v2/prod/app/manifests/none' })).statusCode, 404)
  for (const [name, tag] of [['prod/app', 'latest'], ['prod', 'v1'], ['dev/app', 'v1']] as const) {
    for (const manifest of [one, two]) t.equal((await push(t, app, name, manifest, tag)).statusCode, 201, `${name}:${tag} may move`)
  }
})

t.test('an immutable tag may be deleted where that is allowed', async t => {
  const app = await withPolicy(t, { immutabletags: [{ deletable: true }] })
  await pushManifest(t, app, 'a', one, 'v1')
  t.equal((await push(t, app, 'a', two, 'v1')).statusCode, 403)
  t.equal((await app.inject({ method: 'DELETE', url: '/v2/a/manifests/v1' })).statusCode, 202)
  t.equal((await push(t, app, 'a', two, 'v1')).statusCode, 201)
})

t.test('of two pushes at the same time to a new immutable tag one gets it', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  const app = await withPolicy(t, { immutabletags: [{}] }, { instances: { driver } })
  for (const part of [...one.blobs, ...two.blobs]) await pushBlob(t, app, 'a', part)
  const manifests = Array.from({ length: 20 }, (_, i) => i % 2 === 0 ? one : two)
  const answers = await Promise.all(manifests.map(async ({ mediaType, bytes }) => await app.inject({ method: 'PUT', url: '/v2/a/manifests/v1', headers: { 'content-type': mediaType }, payload: bytes })))
  const winners = new Set(answers.filter(({ statusCode }) => statusCode === 201).map(({ headers }) => headers['docker-content-digest']))
  t.equal(winners.size, 1)
  const [winner] = winners
  t.equal((await app.inject('/v2/a/manifests/v1')).headers['docker-content-digest'], winner)
  t.same(driver.calls.filter(({ operation, path }) => operation === 'write' && path.includes('/tags/v1/index/')).map(({ path }) => `sha256:${path.split('/').at(-2) ?? ''}`).filter(digest => digest !== winner), [])
  t.equal(answers.filter(({ statusCode }) => statusCode === 403).length, manifests.length / 2)
})

t.test('media types of manifest, config and layers are those that are allowed', async t => {
  const app = await withPolicy(t, {
    mediatypes: [
      { repositories: ['images/*'], allow: ['application/vnd.oci.image.**'] },
      { deny: ['application/wasm'] }
    ]
  })
  t.equal((await push(t, app, 'images/a', one, '1')).statusCode, 201)
  const layer = blob('x', 'text/plain')
  const odd = imageOf(one.blobs[0] as Blob, [one.blobs[1] as Blob, layer])
  denied(t, await push(t, app, 'images/a', odd, '1'), 'media type text/plain is not allowed here', { policy: 'policy.mediatypes[0]', at: '/layers/1/mediaType', type: 'text/plain' })
  t.equal((await push(t, app, 'other/a', odd, '1')).statusCode, 201)
  const wasm = imageOf(blob('{}', 'application/wasm'), [])
  denied(t, await push(t, app, 'other/a', wasm, '1'), 'media type application/wasm is not allowed here', { policy: 'policy.mediatypes[1]', at: '/config/mediaType', type: 'application/wasm' })
  const listed = await withPolicy(t, { mediatypes: [{ deny: [OCI_INDEX] }] })
  denied(t, await push(t, listed, 'a', index([]), '1'), `media type ${OCI_INDEX} is not allowed here`, { policy: 'policy.mediatypes[0]', at: '/mediaType', type: OCI_INDEX })
})

t.test('artifacts are of a type that is allowed', async t => {
  const app = await withPolicy(t, { artifacttypes: [{ allow: ['application/vnd.oci.image.config.v1+json', 'application/spdx+json'] }] })
  t.equal((await push(t, app, 'a', one, '1')).statusCode, 201, 'an image is what its config is')
  t.equal((await push(t, app, 'a', index([one]), 'list')).statusCode, 201, 'an index without a type is none')
  t.equal((await push(t, app, 'a', image('sbom', { artifactType: 'application/spdx+json' }), '2')).statusCode, 201)
  denied(t, await push(t, app, 'a', image('x', { artifactType: 'application/x' }), '3'), 'artifact type application/x is not allowed here', { policy: 'policy.artifacttypes[0]', at: '/artifactType', type: 'application/x' })
})

t.test('annotations that are required are there and not empty; labels count where they may', async t => {
  const required = ['org.opencontainers.image.source', 'team']
  const app = await withPolicy(t, { annotations: [{ required }, { repositories: ['all'], untagged: true, required: ['team'] }] })
  denied(t, await push(t, app, 'a', one, '1'), `annotations are missing: ${required.join(', ')}`, { policy: 'policy.annotations[0]', missing: required })
  denied(t, await push(t, app, 'a', image('b', { annotations: { team: '', 'org.opencontainers.image.source': 'x' } }), '1'), 'annotations are missing: team', { policy: 'policy.annotations[0]', missing: ['team'] })
  t.equal((await push(t, app, 'a', image('c', { annotations: { team: 'a', 'org.opencontainers.image.source': 'x' } }), '1')).statusCode, 201)
  t.equal((await push(t, app, 'a', one, one.digest)).statusCode, 201, 'children of an index have no tag')
  denied(t, await push(t, app, 'a', one, one.digest, '?tag=1'), `annotations are missing: ${required.join(', ')}`, { policy: 'policy.annotations[0]', missing: required })
  denied(t, await push(t, app, 'all', one, one.digest), 'annotations are missing: team', { policy: 'policy.annotations[1]', missing: ['team'] })
  const labelled = await withPolicy(t, { annotations: [{ required: ['team'], labels: true }] })
  const configOf = (content: unknown): Manifest => imageOf(blob(JSON.stringify(content), 'application/vnd.oci.image.config.v1+json'), [])
  t.equal((await push(t, labelled, 'a', configOf({ config: { Labels: { team: 'a' } } }), '1')).statusCode, 201)
  for (const odd of [{ config: { Labels: { team: 7 } } }, { config: { Labels: 'team' } }, { config: null }, null, 'team', [], { config: { Labels: { toString: 'x' } } }]) {
    denied(t, await push(t, labelled, 'a', configOf(odd), '1'), 'annotations are missing: team', { policy: 'policy.annotations[0]', missing: ['team'] })
  }
})

t.test('a blob and an image are no larger than they may be, whatever the manifest says of sizes', async t => {
  const app = await withPolicy(t, { sizes: [{ repositories: ['small'], layer: '1kB', image: '1.5kB' }] })
  const large = blob('x'.repeat(1001))
  const refused = await app.inject({ method: 'POST', url: `/v2/small/blobs/uploads/?digest=${large.digest}`, payload: large.bytes })
  denied(t, refused, 'a layer may have 1kB, this one has 1001 bytes or more', { policy: 'policy.sizes[0]', max: 1000, bytes: 1001 })
  await pushBlob(t, app, 'other', large)
  const mounted = await app.inject({ method: 'POST', url: `/v2/small/blobs/uploads/?mount=${large.digest}&from=other` })
  denied(t, mounted, 'a layer may have 1kB, this one has 1001 bytes or more', { policy: 'policy.sizes[0]', max: 1000, bytes: 1001 })
  t.equal((await app.inject(`/v2/small/blobs/${large.digest}`)).statusCode, 404)
  const [a, b] = [blob('a'.repeat(900)), blob('b'.repeat(900))]
  const config = blob('{}', 'application/vnd.oci.image.config.v1+json')
  t.equal((await push(t, app, 'small', imageOf(config, [a, a]), '1')).statusCode, 201, 'a layer that is there twice counts once')
  const lying = imageOf(config, [{ ...a, size: 0 }, { ...b, size: 0 }])
  denied(t, await push(t, app, 'small', lying, '2'), 'an image may have 1.5kB, this one has 1802 bytes', { policy: 'policy.sizes[0]', max: 1500, bytes: 1802 })
})

t.test("classes are those of docker's registry, with its messages", async t => {
  const grant: { current: Grant } = { current: {} }
  const app = await withPolicy(t, { repository: { classes: ['image'] } }, { instances: { accessController: { authorize: () => grant.current } } })
  const plugin = imageOf(blob('{}', 'application/vnd.docker.plugin.v1+json'), [])
  t.equal((await push(t, app, 'a', one, '1')).statusCode, 201)
  t.equal((await push(t, app, 'a', index([one]), 'list')).statusCode, 201)
  denied(t, await push(t, app, 'a', plugin, '2'), 'registry does not allow plugin manifest')
  denied(t, await push(t, app, 'a', imageOf(blob('{}', 'application/x'), []), '3'), 'unknown manifest class for application/x')
  grant.current = { classes: ['plugin'] }
  denied(t, await push(t, app, 'a', one, '1'), 'repository not authorized for image manifest')
})

t.test('an entry in audit mode refuses nothing, the others do', async t => {
  const app = await withPolicy(t, { immutabletags: [{ audit: true, tags: ['a*'] }, { tags: ['b*'] }] })
  for (const tag of ['a1', 'b1']) await pushManifest(t, app, 'x', one, tag)
  t.equal((await push(t, app, 'x', two, 'a1')).statusCode, 201)
  t.equal((await push(t, app, 'x', two, 'b1')).statusCode, 403)
})
