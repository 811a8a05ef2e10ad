import { join } from 'node:path'
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import type { Test } from 'tap'
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
import { startFaultyStore } from '../helpers/faulty-store.js'
import { blob, image, pushBlob, pushManifest, sha512 } from '../helpers/images.js'
import { recordingLog } from '../helpers/log.js'
import { startProduct } from '../helpers/product.js'
import { storedTree } from '../helpers/stored-tree.js'
import { storeRegistry } from './store-registry.js'

const MIB = 1024 * 1024

/** The registry, and the built product with real clients, on a bucket. */
export function s3Registry (t: Test, rgw: Rgw): void {
  storeRegistry(t, { name: 'S3', url: rgw.url, driver: () => ({ s3: { ...rgwParameters(rgw), chunksize: 5 * MIB } }) })

  t.test('HEAD of a blob that is known asks the store for nothing, redirected or not', async t => {
    for (const redirect of [true, false]) {
      const store = await startFaultyStore(t, rgw.url)
      const storage = { s3: { ...rgwParameters(rgw), regionendpoint: store.url }, redirect: { disable: !redirect }, cache: { blobdescriptor: 'inmemory' as const } }
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

  t.test('a purge ends what waits in parts', async t => {
    const parameters = rgwParameters(rgw)
    const product = await startProduct(t, t.testdir({}), { storage: { s3: { ...parameters, chunksize: 5 * MIB } }, http: { relativeurls: true } })
    const started = await fetch(`${product.url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
    t.equal((await fetch(`${product.url}${started.headers.get('location')}`, { method: 'PATCH', body: Buffer.alloc(6 * MIB) })).status, 202)
    await product.stop()
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
