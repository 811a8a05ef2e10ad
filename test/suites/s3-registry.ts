import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import type { Test } from 'tap'
import { purgeUploads } from '../../services/maintenance/purge-uploads.js'
import { S3Driver } from '../../services/storage/s3.js'
import { UploadSessions } from '../../services/uploads/sessions.js'
import { rgwOptions, rgwParameters } from '../helpers/ceph-rgw.js'
import type { Rgw } from '../helpers/ceph-rgw.js'
import { recordingLog } from '../helpers/log.js'
import { startProduct } from '../helpers/product.js'
import { storeRegistry } from './store-registry.js'

const MIB = 1024 * 1024

/** The registry, and the built product with real clients, on a bucket. */
export function s3Registry (t: Test, rgw: Rgw): void {
  storeRegistry(t, { name: 'S3', url: rgw.url, driver: () => ({ s3: { ...rgwParameters(rgw), chunksize: 5 * MIB } }) })

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
