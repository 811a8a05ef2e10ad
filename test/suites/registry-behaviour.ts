import { Readable } from 'node:stream'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { errorCodes } from '../helpers/build.js'
import { blob, image, index, pushBlob, pushManifest } from '../helpers/images.js'
import type { Blob } from '../helpers/images.js'

/** A registry that is ready for `inject`, and what precedes `/v2/` in its URLs. */
export interface Mounted { readonly app: FastifyInstance, readonly prefix: string }

/** The headers of an answer without those that every HTTP server adds. */
export function ownHeaders ({ headers }: LightMyRequestResponse): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'date' && name !== 'connection'))
}

const VERSION = { 'docker-distribution-api-version': 'registry/2.0' }

/**
 * What a registry does, whatever it stores its content in and wherever it is mounted. `make` gives an empty one with
 * deletes allowed and relative Locations; each behaviour asks for its own.
 */
export function registryBehaviour (t: Test, title: string, make: (t: Test) => Promise<Mounted>): void {
  t.test(title, async t => {
    await t.test('a blob is pushed in one POST, as a POST and a PUT, as a stream, and in chunks', async t => {
      const { app, prefix } = await make(t)
      const base = `${prefix}/v2/team/app`
      const pushes: Array<[string, (content: Blob) => Promise<LightMyRequestResponse>]> = [
        ['one POST', async ({ bytes, digest }) => await app.inject({ method: 'POST', url: `${base}/blobs/uploads/?digest=${digest}`, payload: bytes })],
        ['POST and PUT', async ({ bytes, digest }) => {
          const location = await start(t, app, base)
          return await app.inject({ method: 'PUT', url: `${location}?digest=${digest}`, payload: bytes })
        }],
        ['streamed PATCH', async ({ bytes, digest }) => {
          const location = await start(t, app, base)
          const patched = await app.inject({ method: 'PATCH', url: location, payload: Readable.from([bytes.subarray(0, 4), bytes.subarray(4)]) })
          t.equal(patched.statusCode, 202)
          t.equal(patched.headers['range'], `0-${bytes.length - 1}`)
          return await app.inject({ method: 'PUT', url: `${String(patched.headers['location'])}?digest=${digest}` })
        }],
        ['PATCHes with Content-Range', async ({ bytes, digest }) => {
          let location = await start(t, app, base)
          for (const [from, to] of [[0, 3], [4, 8]] as const) {
            const headers = { 'content-range': `${from}-${to}` }
            const patched = await app.inject({ method: 'PATCH', url: location, headers, payload: bytes.subarray(from, to + 1) })
            t.equal(patched.statusCode, 202, patched.body)
            t.equal(patched.headers['range'], `0-${to}`)
            location = String(patched.headers['location'])
          }
          const headers = { 'content-range': `9-${bytes.length - 1}` }
          return await app.inject({ method: 'PUT', url: `${location}?digest=${digest}`, headers, payload: bytes.subarray(9) })
        }]
      ]
      for (const [way, push] of pushes) {
        const content = blob(`bytes pushed as ${way}`)
        const pushed = await push(content)
        const url = `${base}/blobs/${content.digest}`
        t.equal(pushed.statusCode, 201, `${way}: ${pushed.body}`)
        t.same(ownHeaders(pushed), { ...VERSION, location: url, 'docker-content-digest': content.digest, 'content-length': '0' }, way)
        const headers = {
          ...VERSION,
          'docker-content-digest': content.digest,
          etag: `"${content.digest}"`,
          'cache-control': 'max-age=31536000, immutable',
          'accept-ranges': 'bytes',
          'content-type': 'application/octet-stream',
          'content-length': String(content.size)
        }
        const pulled = await app.inject({ url })
        t.equal(pulled.statusCode, 200)
        t.same(pulled.rawPayload, content.bytes)
        t.same(ownHeaders(pulled), headers)
        const head = await app.inject({ method: 'HEAD', url })
        t.equal(head.statusCode, 200)
        t.equal(head.rawPayload.length, 0)
        t.same(ownHeaders(head), headers)
      }
    })

    await t.test('an image and an index are pulled by tag and by digest as they were pushed', async t => {
      const { app, prefix } = await make(t)
      const child = image()
      const top = index([child])
      await pushManifest(t, app, 'team/app', child, child.digest, prefix)
      await pushManifest(t, app, 'team/app', top, 'latest', prefix)
      for (const [manifest, reference] of [[child, child.digest], [top, 'latest'], [top, top.digest]] as const) {
        const headers = {
          ...VERSION,
          'docker-content-digest': manifest.digest,
          etag: `"${manifest.digest}"`,
          'content-type': manifest.mediaType,
          'content-length': String(manifest.size)
        }
        const url = `${prefix}/v2/team/app/manifests/${reference}`
        const pulled = await app.inject({ url })
        t.equal(pulled.statusCode, 200)
        t.same(pulled.rawPayload, manifest.bytes)
        const caching = { 'cache-control': url.includes(':') ? 'max-age=31536000, immutable' : 'no-cache' }
        t.same(ownHeaders(pulled), { ...headers, ...caching })
        const head = await app.inject({ method: 'HEAD', url })
        t.equal(head.statusCode, 200)
        t.equal(head.rawPayload.length, 0)
        t.same(ownHeaders(head), { ...headers, ...caching })
      }
    })

    await t.test('tags and repositories are listed in pages, with a Link that leads on', async t => {
      const { app, prefix } = await make(t)
      const manifest = image()
      for (const tag of ['b', 'c', 'A']) await pushManifest(t, app, 'team/app', manifest, tag, prefix)
      await pushManifest(t, app, 'team/base', manifest, manifest.digest, prefix)
      const tags = await app.inject(`${prefix}/v2/team/app/tags/list`)
      t.same(tags.json(), { name: 'team/app', tags: ['A', 'b', 'c'] })
      const page = await app.inject(`${prefix}/v2/team/app/tags/list?n=2`)
      t.equal(page.headers['link'], `<${prefix}/v2/team/app/tags/list?last=b&n=2>; rel="next"`)
      const rest = await app.inject(`${prefix}/v2/team/app/tags/list?last=b&n=2`)
      t.same(rest.json(), { name: 'team/app', tags: ['c'] })
      t.notOk(rest.headers['link'])
      const catalog = await app.inject(`${prefix}/v2/_catalog?n=1`)
      t.same(catalog.json(), { repositories: ['team/app'] })
      t.equal(catalog.headers['link'], `<${prefix}/v2/_catalog?last=team%2Fapp&n=1>; rel="next"`)
    })

    await t.test('a blob is mounted from one repository into another', async t => {
      const { app, prefix } = await make(t)
      const content = blob('shared layer')
      await pushBlob(t, app, 'team/base', content, prefix)
      const mounted = await app.inject({ method: 'POST', url: `${prefix}/v2/team/app/blobs/uploads/?mount=${content.digest}&from=team/base` })
      t.equal(mounted.statusCode, 201)
      t.equal(mounted.headers['location'], `${prefix}/v2/team/app/blobs/${content.digest}`)
      const pulled = await app.inject(String(mounted.headers['location']))
      t.equal(pulled.statusCode, 200)
      t.same(pulled.rawPayload, content.bytes)
    })

    await t.test('a manifest with a subject is listed as its referrer', async t => {
      const { app, prefix } = await make(t)
      const subject = image()
      const { mediaType, digest, size } = subject
      const referrer = image('signature', { subject: { mediaType, digest, size }, artifactType: 'application/x.signature' })
      await pushManifest(t, app, 'team/app', subject, '1.0', prefix)
      await pushManifest(t, app, 'team/app', referrer, referrer.digest, prefix)
      const listed = await app.inject(`${prefix}/v2/team/app/referrers/${digest}`)
      t.equal(listed.statusCode, 200)
      t.same(listed.json(), {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [{ mediaType, digest: referrer.digest, size: referrer.size, artifactType: 'application/x.signature' }]
      })
    })

    await t.test('a deleted tag, manifest and blob are gone at once', async t => {
      const { app, prefix } = await make(t)
      const manifest = image()
      const [config, layer] = manifest.blobs as [Blob, Blob]
      await pushManifest(t, app, 'team/app', manifest, 'a', prefix)
      await pushManifest(t, app, 'team/app', manifest, 'b', prefix)
      const base = `${prefix}/v2/team/app`
      await remove(t, app, `${base}/manifests/a`, 'MANIFEST_UNKNOWN')
      t.equal((await app.inject(`${base}/manifests/b`)).statusCode, 200)
      t.equal((await app.inject(`${base}/manifests/${manifest.digest}`)).statusCode, 200)
      await remove(t, app, `${base}/manifests/${manifest.digest}`, 'MANIFEST_UNKNOWN')
      t.same(errorCodes(t, await app.inject(`${base}/manifests/b`), 404), ['MANIFEST_UNKNOWN'])
      await remove(t, app, `${base}/blobs/${layer.digest}`, 'BLOB_UNKNOWN')
      t.equal((await app.inject(`${base}/blobs/${config.digest}`)).statusCode, 200)
    })
  })
}

async function start (t: Test, app: FastifyInstance, base: string): Promise<string> {
  const started = await app.inject({ method: 'POST', url: `${base}/blobs/uploads/` })
  t.equal(started.statusCode, 202)
  const location = String(started.headers['location'])
  t.ok(location.startsWith(`${base}/blobs/uploads/`), location)
  return location
}

async function remove (t: Test, app: FastifyInstance, url: string, code: string): Promise<void> {
  const removed = await app.inject({ method: 'DELETE', url })
  t.equal(removed.statusCode, 202, removed.body)
  t.same(ownHeaders(removed), { ...VERSION, 'content-length': '0' })
  t.same(errorCodes(t, await app.inject(url), 404), [code])
  t.equal((await app.inject({ method: 'HEAD', url })).statusCode, 404)
  t.same(errorCodes(t, await app.inject({ method: 'DELETE', url }), 404), [code])
}
