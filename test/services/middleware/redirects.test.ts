import t from 'tap'
import { redirect } from '../../../services/middleware/redirect.js'
import { rewrite } from '../../../services/middleware/rewrite.js'
import type { StorageDriver } from '../../../services/storage/driver.js'
import { ForwardingDriver } from '../../../services/storage/forwarding-driver.js'
import { guarded } from '../../../services/storage/guarded.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { FaultDriver } from '../../helpers/fault-driver.js'
import { driverSuite } from '../../suites/driver.js'

const PATH = '/docker/registry/v2/blobs/sha256/aa/aabb/data'

/** A driver that has URLs, as those of object stores have. */
class SignedDriver extends ForwardingDriver {
  override readonly redirects = true
  url: string | null = ''
  override async redirectUrl (): Promise<string | null> { return this.url }
}

async function over (driver: StorageDriver, options: Record<string, unknown>, method: 'GET' | 'HEAD' = 'GET'): Promise<string | null> {
  return await (await rewrite(options)(driver)).redirectUrl(PATH, method)
}

t.test('redirect leads to the base URL and the path in storage', async t => {
  const bases = [
    ['https://cdn.example.com', `https://cdn.example.com${PATH}`],
    ['https://cdn.example.com/', `https://cdn.example.com${PATH}`],
    ['http://127.0.0.1:8080/a//b/?query=1#fragment', `http://127.0.0.1:8080/a/b${PATH}`]
  ] as const
  for (const [baseurl, expected] of bases) {
    const driver = await redirect({ baseurl })(new MemoryDriver())
    t.equal(driver.redirects, true)
    t.equal(await driver.redirectUrl(PATH, 'GET'), expected)
    t.equal(await driver.redirectUrl(PATH, 'HEAD'), expected)
  }
})

t.test('rewrite changes what it is told, and keeps the rest byte for byte', async t => {
  const driver = new SignedDriver(new MemoryDriver())
  driver.url = 'http://minio:9000/bucket/docker/x?X-Amz-Signature=a%2Fb+c&x=1'
  t.equal(await over(driver, {}), driver.url)
  t.equal(await over(driver, { scheme: 'https' }), 'https://minio:9000/bucket/docker/x?X-Amz-Signature=a%2Fb+c&x=1')
  t.equal(await over(driver, { host: 'cdn.example.com' }), 'http://cdn.example.com/bucket/docker/x?X-Amz-Signature=a%2Fb+c&x=1')
  t.equal(await over(driver, { trimpathprefix: '/bucket' }), 'http://minio:9000/docker/x?X-Amz-Signature=a%2Fb+c&x=1')
  t.equal(await over(driver, { trimpathprefix: '/bucket/' }), 'http://minio:9000/docker/x?X-Amz-Signature=a%2Fb+c&x=1')
  t.equal(await over(driver, { trimpathprefix: '/other' }), driver.url)
  t.equal(await over(driver, { scheme: 'https', host: 'h:1', trimpathprefix: '/bucket/docker/x' }), 'https://h:1?X-Amz-Signature=a%2Fb+c&x=1')
})

t.test('where the driver has no URL, rewrite makes none', async t => {
  const driver = new SignedDriver(new MemoryDriver())
  driver.url = null
  t.equal(await over(driver, { scheme: 'https', host: 'h' }), null)
  t.equal((await rewrite({ host: 'h' })(new MemoryDriver())).redirects, false)
})

t.test('a driver says once whether it is to be asked', async t => {
  t.equal(guarded(new MemoryDriver()).redirects, false)
  t.equal(guarded(new ForwardingDriver(new MemoryDriver())).redirects, false)
  t.equal(guarded(new SignedDriver(new MemoryDriver())).redirects, true)
  const unsaid: StorageDriver = new FaultDriver(new MemoryDriver())
  t.equal(unsaid.redirects, undefined)
  t.equal(guarded(unsaid).redirects, true)
})

t.test('a driver behind a middleware is a driver as any other', async t => {
  driverSuite(t, async () => guarded(await rewrite({ host: 'cdn.example.com' })(new MemoryDriver())))
})
