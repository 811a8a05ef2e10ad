import { join } from 'node:path'
import type { Test } from 'tap'
import { OCI_INDEX } from '../../schemas/media-types.js'
import type { RegistryConfigInput } from '../../schemas/config/index.js'
import { build } from '../helpers/build.js'
import { needs, skopeo, stored } from '../helpers/clients.js'
import { blob } from '../helpers/images.js'
import { ociLayoutDigests, writeOciLayout } from '../helpers/oci-layout.js'
import { runCli, startProduct } from '../helpers/product.js'
import { registryBehaviour } from './registry-behaviour.js'

const MIB = 1024 * 1024

type Storage = NonNullable<RegistryConfigInput['storage']>

export interface StoreUnderTest {
  readonly name: string
  /** What clients are redirected to begins so. */
  readonly url: string
  /** The driver's part of the configuration, each time on a part of the store of its own. */
  readonly driver: () => Pick<Storage, 's3' | 'azure' | 'gcs'>
}

/** The registry, and the built product with real clients, on a store of objects. */
export function storeRegistry (t: Test, { name, url, driver }: StoreUnderTest): void {
  const on = (parameters: ReturnType<StoreUnderTest['driver']>, redirect = true): Storage =>
    ({ ...parameters, delete: { enabled: true }, redirect: { disable: !redirect } })

  registryBehaviour(t, `on ${name}`, async t => ({ app: await build(t, { storage: on(driver(), false), http: { relativeurls: true } }), prefix: '' }))

  for (const redirect of [true, false]) {
    t.test(`skopeo pushes and pulls, ${redirect ? 'blobs from the store itself (R-009)' : 'everything through the registry'}`, needs('skopeo'), async t => {
      const directory = t.testdir({ source: {} })
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      const layout = await writeOciLayout(source, { tag: '1.0', architectures: ['amd64', 'arm64'], layerBytes: 12 * MIB })
      const product = await startProduct(t, directory, { storage: on(driver(), redirect) })
      const image = `docker://${product.host}/team/app:1.0`
      await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${source}:1.0`, image)
      t.same(await stored(product, 'team/app', '1.0'), { digest: layout.index.digest, mediaType: OCI_INDEX })
      await skopeo('copy', '--all', '--src-tls-verify=false', image, `oci:${target}:1.0`)
      t.same(await ociLayoutDigests(target), await ociLayoutDigests(source))
      const answer = await fetch(`${product.url}/v2/team/app/blobs/${layout.layers[0]?.digest}`, { redirect: 'manual' })
      t.equal(answer.status, redirect ? 307 : 200)
      if (redirect) t.ok(answer.headers.get('location')?.startsWith(url))
      await answer.body?.cancel()
    })
  }

  t.test('an upload goes on after kill -9, and in another server', async t => {
    const parameters = driver()
    const [one, two] = [{ one: {} }, { two: {} }].map(directories => t.testdir(directories))
    const first = await startProduct(t, one ?? '', { storage: on(parameters), http: { relativeurls: true } })
    const { bytes, digest } = blob(Buffer.alloc(17 * MIB + 5, 'content'))
    const started = await fetch(`${first.url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
    const patched = await fetch(`${first.url}${started.headers.get('location')}`, { method: 'PATCH', body: bytes.subarray(0, 8 * MIB) })
    t.equal(patched.status, 202)
    await first.stop('SIGKILL')
    const second = await startProduct(t, two ?? '', { storage: on(parameters), http: { relativeurls: true } })
    const location = `${second.url}${patched.headers.get('location')}`
    t.equal((await fetch(location)).headers.get('range'), `0-${8 * MIB - 1}`)
    const put = await fetch(`${location}?digest=${digest}`, { method: 'PUT', body: bytes.subarray(8 * MIB) })
    t.equal(put.status, 201, await put.text())
    const pulled = await fetch(`${second.url}/v2/team/app/blobs/${digest}`)
    t.ok(bytes.equals(Buffer.from(await pulled.arrayBuffer())))
  })

  t.test('collect, verify and purge run on it', async t => {
    const directory = t.testdir({})
    const product = await startProduct(t, directory, { storage: on(driver()), http: { relativeurls: true } })
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
  })
}
