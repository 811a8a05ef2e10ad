import t from 'tap'
import { ConfigError } from '../../../services/errors/config-error.js'
import { parseConfig } from '../../../services/config/parse.js'
import { masked } from '../../../services/config/schema-node.js'
import { dataLocation } from '../../../services/storage/create.js'
import { WholeCopies } from '../../../services/storage/s3-copy.js'
import { s3Error } from '../../../services/storage/s3-error.js'
import { s3ClientConfig, s3ObjectSettings } from '../../../services/storage/s3-settings.js'
import type { S3Options } from '../../../services/storage/s3-settings.js'

function options (s3: object): S3Options {
  const { storage } = parseConfig({ storage: { s3: { bucket: 'b', region: 'eu-west-1', ...s3 } } })
  if (storage.s3 === undefined) throw new Error('no s3')
  return storage.s3
}

function lines (s3: object, name = 's3'): readonly string[] {
  try {
    parseConfig({ storage: { [name]: s3 } })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.lines
    throw error
  }
}

t.test('the parameters of docker\'s registry are taken, under both names', async t => {
  const s3 = {
    bucket: 'b',
    region: 'eu-west-1',
    regionendpoint: 'http://minio:9000',
    forcepathstyle: true,
    rootdirectory: '/data',
    accesskey: 'a',
    secretkey: 's',
    sessiontoken: 't',
    encrypt: true,
    keyid: 'k',
    secure: false,
    skipverify: true,
    v4auth: false,
    chunksize: 5242880,
    multipartcopychunksize: 33554432,
    multipartcopymaxconcurrency: 100,
    multipartcopythresholdsize: 0,
    storageclass: 'standard_ia',
    objectacl: 'bucket-owner-read',
    useragent: 'me',
    usedualstack: true,
    accelerate: false,
    usefipsendpoint: false,
    loglevel: 'debug'
  }
  t.same(lines(s3), [])
  t.same(lines(s3, 's3aws'), [])
})

t.test('a parameter that cannot be is one line', async t => {
  const table: Array<[object, string]> = [
    [{ region: 'eu-west-1' }, 'storage.s3.bucket: is missing'],
    [{ bucket: 'b' }, 'storage.s3.region: is missing; without a regionendpoint, that of the bucket is needed'],
    [{ bucket: 'b', region: 'x' }, 'storage.s3.region: invalid region provided: x'],
    [{ bucket: 'b', regionendpoint: 'http://' }, 'storage.s3.regionendpoint: a URL or host:port is needed'],
    [{ bucket: 'b', region: 'eu-west-1', accesskey: 'a' }, 'storage.s3.secretkey: is missing; accesskey and secretkey go together'],
    [{ bucket: 'b', region: 'eu-west-1', secretkey: 'a' }, 'storage.s3.accesskey: is missing; accesskey and secretkey go together'],
    [{ bucket: 'b', region: 'eu-west-1', v4auth: false }, 'storage.s3.v4auth: on Amazon S3 this storage driver can only be used with v4 authentication'],
    [{ bucket: 'b', region: 'eu-west-1', keyid: 'k' }, 'storage.s3.keyid: needs encrypt: true'],
    [{ bucket: 'b', region: 'eu-west-1', chunksize: 1 }, 'storage.s3.chunksize: must be >= 5242880, not 1'],
    [{ bucket: 'b', region: 'eu-west-1', secretkey: 5, accesskey: 'a' }, 'storage.s3.secretkey: a text is needed, not ***']
  ]
  for (const [s3, line] of table) t.same(lines(s3), [line])
})

t.test('keys and tokens are masked', async t => {
  const s3 = { bucket: 'b', accesskey: 'a', secretkey: 's', sessiontoken: 't' }
  t.same(masked({ storage: { s3 } }, []), { storage: { s3: { bucket: 'b', accesskey: '***', secretkey: '***', sessiontoken: '***' } } })
})

t.test('an endpoint of one\'s own implies the bucket in the path, and says how it is spoken to', async t => {
  t.match(s3ClientConfig(options({})), { region: 'eu-west-1', forcePathStyle: false, endpoint: undefined, credentials: undefined })
  t.match(s3ClientConfig(options({ regionendpoint: 'minio:9000', secure: false })), { forcePathStyle: true, endpoint: 'http://minio:9000' })
  t.match(s3ClientConfig(options({ regionendpoint: 'minio:9000' })), { endpoint: 'https://minio:9000' })
  t.match(s3ClientConfig(options({ regionendpoint: 'http://minio:9000', forcepathstyle: false })), { forcePathStyle: false, endpoint: 'http://minio:9000' })
})

t.test('objects are written as they are asked for', async t => {
  const ContentType = 'application/octet-stream'
  t.same(s3ObjectSettings(options({})), { ContentType })
  t.same(s3ObjectSettings(options({ encrypt: true, storageclass: 'none', acl: 'private' })), { ContentType, ServerSideEncryption: 'AES256' })
  t.same(s3ObjectSettings(options({ encrypt: true, keyid: 'k', storageclass: 'glacier_ir', objectacl: 'public-read' })), {
    ContentType, ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'k', StorageClass: 'GLACIER_IR', ACL: 'public-read'
  })
})

t.test('the place of the data is named without secrets', async t => {
  const { storage } = parseConfig({ storage: { s3aws: { bucket: 'b', regionendpoint: 'https://user:pass@minio:9000', rootdirectory: '/a/b/' } } })
  t.equal(dataLocation(storage), 's3://b/a/b at minio:9000')
  t.equal(dataLocation(parseConfig({ storage: { s3: { bucket: 'b', region: 'eu-west-1' } } }).storage), 's3://b at eu-west-1')
})

t.test('an error carries the store\'s words, and nothing of the request', async t => {
  const thrown = Object.assign(new Error('Slow down, please'), { name: 'SlowDown', $response: { headers: { authorization: 'secret' } } })
  const error = s3Error('/a', thrown)
  t.equal(error.message, 's3: failed: /a (the store asks to slow down (SlowDown))')
  t.notMatch(JSON.stringify([error, error.cause, Object.entries(error.cause as object)]), /secret/)
  t.equal(s3Error('/a', Object.assign(new Error('x'), { name: 'NoSuchKey' })).kind, 'path-not-found')
})

t.test('large objects are copied whole as long as that is too fast for bytes to be copied, and it is not tried again soon', async t => {
  const whole = new WholeCopies()
  const MIB = 1024 * 1024
  t.ok(whole.isWorth(100 * MIB), 'not known yet')
  t.notOk(whole.isWorth(10 * MIB), 'too small to tell')
  t.notOk(whole.isWorth(1000 * MIB), 'too large for a trial')
  whole.took(100 * MIB, 15)
  t.ok(whole.isWorth(5000 * MIB))
  t.notOk(whole.isWorth(6000 * MIB), 'more than a store copies at once')
  whole.took(5000 * MIB, 20_000)
  t.notOk(whole.isWorth(100 * MIB))
})
