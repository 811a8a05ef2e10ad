import { join } from 'node:path'
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import type { Test } from 'tap'
import { OCI_INDEX } from '../../schemas/media-types.js'
import type { RegistryConfigInput } from '../../schemas/config/index.js'
import { copyRegistry } from '../../services/copy/copy.js'
import { silent } from '../../services/maintenance/progress.js'
import { purgeUploads } from '../../services/maintenance/purge-uploads.js'
import type { StorageDriver } from '../../services/storage/driver.js'
import { FilesystemDriver } from '../../services/storage/filesystem.js'
import { guarded } from '../../services/storage/guarded.js'
import { S3Driver } from '../../services/storage/s3.js'
import { UploadSessions } from '../../services/uploads/sessions.js'
import { build } from '../helpers/build.js'
import { rgwDriver, rgwOptions, rgwParameters } from '../helpers/ceph-rgw.js'
import type { Rgw } from '../helpers/ceph-rgw.js'
import { needs, skopeo, stored } from '../helpers/clients.js'
import { startFaultyStore } from '../helpers/faulty-store.js'
import { blob, image, pushBlob, pushManifest, sha512 } from '../helpers/images.js'
import { recordingLog } from '../helpers/log.js'
import { ociLayoutDigests, writeOciLayout } from '../helpers/oci-layout.js'
import { runCli, startProduct } from '../helpers/product.js'
import { storedTree } from '../helpers/stored-tree.js'
import { registryBehaviour } from './registry-behaviour.js'

const MIB = 1024 * 1024

/** The registry, and the built product with real clients, on a bucket. */
export function s3Registry (t: Test, rgw: Rgw): void {
  const onS3 = (parameters = rgwParameters(rgw), redirect = true): NonNullable<RegistryConfigInput['storage']> =>
    ({ s3: { ...parameters, chunksize: 5 * MIB }, delete: { enabled: true }, redirect: { disable: !redirect } })

  registryBehaviour(t, 'on S3', async t => ({ app: await build(t, { storage: onS3(undefined, false), http: { relativeurls: true } }), prefix: '' }))

  t.test('HEAD of a blob that is known asks the store for nothing, redirected or not', async t => {
    for (const redirect of [true, false]) {
      const store = await startFaultyStore(t, rgw.url)
      const storage = { ...onS3({ ...rgwParameters(rgw), regionendpoint: store.url }, redirect), cache: { blobdescriptor: 'inmemory' as const } }
      const app = await build(t, { storage })
      const pushed = blob('known')
      await pushBlob(t, app, 'team/app', pushed)
      store.requests.length = 0
      const { statusCode, headers } = await app.inject({ method: 'HEAD', url: `/v2/team/app/blobs/${pushed.digest}` })
      t.equal(statusCode, redirect ? 307 : 200)
      if (!redirect) t.equal(headers['content-length'], String(pushed.size))
      t.same(store.requests, [])
    }
  })

  for (const redirect of [true, false]) {
    t.test(`skopeo pushes and pulls, ${redirect ? 'blobs from the store itself' : 'everything through the registry'}`, needs('skopeo'), async t => {
      const directory = t.testdir({ source: {} })
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      const layout = await writeOciLayout(source, { tag: '1.0', architectures: ['amd64', 'arm64'], layerBytes: 12 * MIB })
      const product = await startProduct(t, directory, { storage: onS3(undefined, redirect) })
      const image = `docker://${product.host}/team/app:1.0`
      await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${source}:1.0`, image)
      t.same(await stored(product, 'team/app', '1.0'), { digest: layout.index.digest, mediaType: OCI_INDEX })
      await skopeo('copy', '--all', '--src-tls-verify=false', image, `oci:${target}:1.0`)
      t.same(await ociLayoutDigests(target), await ociLayoutDigests(source))
      const answer = await fetch(`${product.url}/v2/team/app/blobs/${layout.layers[0]?.digest}`, { redirect: 'manual' })
      t.equal(answer.status, redirect ? 307 : 200)
      if (redirect) t.ok(answer.headers.get('location')?.startsWith(rgw.url))
      await answer.body?.cancel()
    })
  }

  t.test('an upload goes on after kill -9, and in another server', async t => {
    const parameters = rgwParameters(rgw)
    const [one, two] = [{ one: {} }, { two: {} }].map(directories => t.testdir(directories))
    const first = await startProduct(t, one ?? '', { storage: onS3(parameters), http: { relativeurls: true } })
    const { bytes, digest } = blob(Buffer.alloc(17 * MIB + 5, 'content'))
    const started = await fetch(`${first.url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
    const patched = await fetch(`${first.url}${started.headers.get('location')}`, { method: 'PATCH', body: bytes.subarray(0, 8 * MIB) })
    t.equal(patched.status, 202)
    await first.stop('SIGKILL')
    const second = await startProduct(t, two ?? '', { storage: onS3(parameters), http: { relativeurls: true } })
    const location = `${second.url}${patched.headers.get('location')}`
    t.equal((await fetch(location)).headers.get('range'), `0-${8 * MIB - 1}`)
    const put = await fetch(`${location}?digest=${digest}`, { method: 'PUT', body: bytes.subarray(8 * MIB) })
    t.equal(put.status, 201, await put.text())
    const pulled = await fetch(`${second.url}/v2/team/app/blobs/${digest}`)
    t.ok(bytes.equals(Buffer.from(await pulled.arrayBuffer())))
  })

  t.test('a registry is copied from files to a bucket, and from there to files, without a difference', async t => {
    const directory = t.testdir({ from: {}, to: {} })
    const [from, to] = await Promise.all(['from', 'to'].map(async name => await FilesystemDriver.open({ rootdirectory: join(directory, name), fsync: false })))
    if (from === undefined || to === undefined) throw new Error('no driver')
    const app = await build(t, { storage: { delete: { enabled: true } }, instances: { driver: from } })
    const manifest = image()
    await pushManifest(t, app, 'team/app', manifest, '1.0')
    await pushManifest(t, app, 'team/app', image('signature', { subject: { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.size } }))
    const large = Buffer.alloc(12 * MIB + 3, 'large')
    await pushBlob(t, app, 'team/app', { bytes: large, digest: sha512(large) })
    const bucket = guarded(await rgwDriver(t, rgw, { chunksize: 5 * MIB }))
    const copy = async (from: StorageDriver, to: StorageDriver): Promise<void> => {
      const options = { from, to, progress: silent, signal: new AbortController().signal, onFailure: (failure: object) => { t.fail('not copied', failure) } }
      t.match(await copyRegistry(options), { blobs: { copied: 7, present: 0 }, tags: { copied: 1 }, failures: 0 })
      t.match(await copyRegistry(options), { blobs: { copied: 0, present: 7 }, tags: { copied: 0, present: 1 }, bytes: 0, failures: 0 })
    }
    await copy(from, bucket)
    t.same(await storedTree(bucket), await storedTree(from))
    await copy(bucket, to)
    t.same(await storedTree(to), await storedTree(from))
    t.same(await bucket.list('/'), ['docker'])
  })

  t.test('collect, verify and purge run on a bucket', async t => {
    const directory = t.testdir({})
    const parameters = rgwParameters(rgw)
    const product = await startProduct(t, directory, { storage: onS3(parameters), http: { relativeurls: true } })
    const { bytes, digest } = blob('garbage')
    t.equal((await fetch(`${product.url}/v2/team/app/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes })).status, 201)
    const started = await fetch(`${product.url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
    t.equal((await fetch(`${product.url}${started.headers.get('location')}`, { method: 'PATCH', body: Buffer.alloc(6 * MIB) })).status, 202)
    await product.stop()
    const config = join(directory, 'config.yml')
    for (const args of [['verify', config], ['garbage-collect', config], ['purge-uploads', config]]) {
      const { status, stdout, stderr } = await runCli(t, args, directory)
      t.equal(status, 0, `${args.join(' ')}\n${stdout}${stderr}`)
    }
    const driver = await S3Driver.open(rgwOptions(rgw, parameters))
    t.teardown(async () => { await driver.close() })
    const unfinished = async (): Promise<number> => {
      const { Uploads = [] } = await rgw.client.send(new ListMultipartUploadsCommand({ Bucket: rgw.bucket, Prefix: parameters.rootdirectory.slice(1) }))
      return Uploads.length
    }
    t.equal(await unfinished(), 1)
    const sessions = new UploadSessions({ driver })
    const clock = { now: () => Date.now() + 3_600_000 }
    const { bytes: purged, ...result } = await purgeUploads({ driver, sessions, ageMs: 0, dryRun: false, log: recordingLog().log, clock })
    t.match(result, { sessions: 1, deleted: 1, errors: 0 })
    t.ok(purged > 6 * MIB, 'with what waits in parts')
    t.equal(await unfinished(), 0, 'the parts in the store are gone with it')
  })
}
