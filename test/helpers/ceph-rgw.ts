import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import type { Test } from 'tap'
import type { S3Options } from '../../services/storage/s3-settings.js'
import { S3Driver } from '../../services/storage/s3.js'
import { parseConfig } from '../../services/config/parse.js'
import { needs, shortDirectory } from './clients.js'
import { freePort } from './docker-registry.js'

const SCRIPT = fileURLToPath(new URL('../../../scripts/ceph-rgw.sh', import.meta.url))

/** Where `startRgw` finds one that runs already, to save its start: a URL, keys AK and SK. */
const RUNNING = process.env['OCI_TEST_S3']

/** Skips aloud where Ceph is not installed, or we may not run it. */
export function needsRgw (): { skip?: string } {
  if (RUNNING !== undefined) return {}
  return process.getuid?.() === 0 ? needs('radosgw', 'ceph-mon', 'ceph-osd', 'ceph') : { skip: 'Ceph is only started by root' }
}

/** A real S3 server, with a bucket. */
export interface Rgw { readonly url: string, readonly bucket: string, readonly client: S3Client }

/** Takes about a quarter of a minute, so once per test file. It is stopped when the test ends, or this process is gone. */
export async function startRgw (t: Test): Promise<Rgw> {
  const url = RUNNING ?? await start(t)
  const client = new S3Client({
    endpoint: url, region: 'us-east-1', forcePathStyle: true, credentials: { accessKeyId: 'AK', secretAccessKey: 'SK' }, requestChecksumCalculation: 'WHEN_REQUIRED'
  })
  t.teardown(() => { client.destroy() })
  const bucket = `b-${randomUUID()}`
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  return { url, bucket, client }
}

async function start (t: Test): Promise<string> {
  const [port, monitor] = [await freePort(), await freePort()]
  const child = spawn(SCRIPT, [await shortDirectory(t, 'rgw'), String(port), String(monitor)], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(async () => {
    if (child.exitCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => { if (text.includes('ready')) resolve() })
    child.once('error', reject)
    child.once('exit', () => { reject(new Error('Ceph did not start')) })
  })
  return `http://127.0.0.1:${port}`
}

/** What a user writes for a part of the bucket of its own. */
export function rgwParameters ({ url, bucket }: Pick<Rgw, 'url' | 'bucket'>): { bucket: string, regionendpoint: string, rootdirectory: string, accesskey: string, secretkey: string } {
  return { bucket, regionendpoint: url, rootdirectory: `/root-${randomUUID()}`, accesskey: 'AK', secretkey: 'SK' }
}

/** The same, complete. */
export function rgwOptions (rgw: Pick<Rgw, 'url' | 'bucket'>, options: Partial<S3Options> = {}): S3Options {
  const { s3 } = parseConfig({ storage: { s3: { ...rgwParameters(rgw), ...options } } }).storage
  if (s3 === undefined) throw new Error('no s3')
  return s3
}

/** A driver with nothing in it, closed with the test. */
export async function rgwDriver (t: Test, rgw: Pick<Rgw, 'url' | 'bucket'>, options: Partial<S3Options> = {}): Promise<S3Driver> {
  const driver = await S3Driver.open(rgwOptions(rgw, options))
  t.teardown(async () => { await driver.close() })
  return driver
}
