import type { Test } from 'tap'
import { ConfigError } from '../../services/errors/config-error.js'
import { guarded } from '../../services/storage/guarded.js'
import type { AzureOptions } from '../../services/storage/azure-settings.js'
import { AzureDriver } from '../../services/storage/azure.js'
import { azuriteDriver, azuriteOptions } from '../helpers/azurite.js'
import type { Azurite } from '../helpers/azurite.js'
import { startFaultyStore } from '../helpers/faulty-store.js'
import type { FaultyStore } from '../helpers/faulty-store.js'
import { rejects } from '../helpers/rejects.js'

const ACCOUNT = 'registry'

/** What a container of Azure is, beyond what every driver promises. */
export function azureContainer (t: Test, azurite: Azurite): void {
  const names = async (): Promise<string[]> => {
    const found: string[] = []
    for await (const { name } of azurite.container.listBlobsFlat()) found.push(name)
    return found
  }
  const behindFaults = async (t: Test, options: Partial<AzureOptions> = {}): Promise<{ store: FaultyStore, driver: AzureDriver }> => {
    const store = await startFaultyStore(t, new URL(azurite.url).origin)
    return { store, driver: await azuriteDriver(t, azuriteOptions(azurite, { serviceurl: `${store.url}/${ACCOUNT}`, copy_status_poll_delay: '1ms', ...options })) }
  }

  t.test('blobs are named as registry 2 named them, or as registry 3 does, by what is there', async t => {
    const path = '/docker/registry/v2/blobs/x'
    for (const [rootdirectory, modern] of [[undefined, path.slice(1)], ['/some/root/', `some/root${path}`]] as const) {
      const open = async (options: Partial<AzureOptions> = {}): Promise<AzureDriver> => {
        const { rootdirectory: _, ...rest } = azuriteOptions(azurite, options)
        return await azuriteDriver(t, { ...rest, ...rootdirectory === undefined ? {} : { rootdirectory } })
      }
      await (await open()).write(path, Buffer.from('modern'))
      t.ok((await names()).includes(modern))
      await (await open({ trimlegacyrootprefix: false })).write(path, Buffer.from('old'))
      t.ok((await names()).includes(`/${modern}`))
      t.equal(String(await (await open()).read(path)), 'modern', 'what registry 3 sees, where both are')
      await (await open({ trimlegacyrootprefix: true })).delete('/docker')
      const detecting = await open()
      t.equal(String(await detecting.read(path)), 'old')
      t.ok((await detecting.list('/')).includes('docker'))
      t.equal(await (await fetch(await detecting.redirectUrl(path, 'GET') ?? '')).text(), 'old')
      await detecting.delete('/docker')
      t.notOk((await names()).some(name => name.includes('docker')))
    }
  })

  t.test('append blobs of docker\'s registry are read, moved, replaced; what nobody finished there does not go on here', async t => {
    const options = azuriteOptions(azurite)
    const driver = await azuriteDriver(t, options)
    const append = async (path: string): Promise<void> => {
      const blob = azurite.container.getAppendBlobClient(`${options.rootdirectory?.slice(1)}${path}`)
      await blob.create()
      await blob.appendBlock('appended', 8)
    }
    for (const path of ['/a', '/b', '/up']) await append(path)
    t.equal(String(await driver.read('/a')), 'appended')
    await driver.write('/a', Buffer.from('written'))
    t.equal(String(await driver.read('/a')), 'written')
    await driver.move('/a', '/b')
    t.equal(String(await driver.read('/b')), 'written')
    const writer = await driver.openWriter('/up', { append: true })
    t.match((await rejects(t, writer.write([Buffer.from('x')]), 'failed', '/up'))?.message, /it cannot go on here/)
    const fresh = await driver.openWriter('/up')
    await fresh.write([Buffer.from('x')])
    await fresh.close()
    t.equal(String(await driver.read('/up')), 'x')
  })

  t.test('a copy that the store has not finished is waited for, and no blob until then', async t => {
    const { store, driver } = await behindFaults(t)
    await driver.write('/from', Buffer.from('content'))
    let asked = 0
    let seen: unknown
    store.fault = request => {
      if (!request.endsWith('/to')) return undefined
      if (request.startsWith('HEAD') && ++asked === 3) seen = driver.stat('/to').catch((error: unknown) => error)
      return asked > 5 ? undefined : { headers: { 'x-ms-copy-status': 'pending', 'x-ms-copy-id': 'id' } }
    }
    await driver.move('/from', '/to')
    t.match(await seen, { kind: 'path-not-found' })
    t.ok(asked > 5)
    t.equal(String(await driver.read('/to')), 'content')
  })

  t.test('a copy that somebody else makes to the same place is waited for', async t => {
    const { store, driver } = await behindFaults(t)
    for (const path of ['/from', '/to']) await driver.write(path, Buffer.from('content'))
    let asked = 0
    store.fault = request => {
      if (!request.endsWith('/to')) return undefined
      if (request.startsWith('PUT')) return { status: 409, code: 'PendingCopyOperation' }
      return { headers: { 'x-ms-copy-status': ++asked < 3 ? 'pending' : 'success', 'x-ms-copy-id': 'id' } }
    }
    await driver.move('/from', '/to')
    t.equal(asked, 3)
    t.same(await driver.list('/'), ['to'])
  })

  for (const status of ['pending', 'failed']) {
    t.test(`a copy that stays ${status} fails the move; the source stays, and nothing at the target`, async t => {
      const { store, driver } = await behindFaults(t, { copy_status_poll_max_retry: 3 })
      await driver.write('/from', Buffer.from('content'))
      store.fault = request => request.endsWith('/to') && !request.startsWith('DELETE') ? { headers: { 'x-ms-copy-status': status, 'x-ms-copy-id': 'id' } } : undefined
      t.match((await rejects(t, driver.move('/from', '/to'), 'failed', '/from'))?.message, /the copy within the store/)
      await rejects(t, driver.read('/to'), 'path-not-found', '/to')
      store.fault = () => undefined
      await rejects(t, driver.stat('/to'), 'path-not-found', '/to')
      t.equal(String(await driver.read('/from')), 'content')
    })
  }

  t.test('where the account has directories, they are no files, and go after what lies in them', async t => {
    const options = azuriteOptions(azurite)
    const { store, driver } = await behindFaults(t, { ...options.rootdirectory === undefined ? {} : { rootdirectory: options.rootdirectory } })
    for (const directory of ['/a', '/a/b']) await azurite.container.getBlockBlobClient(`${options.rootdirectory?.slice(1)}${directory}`).upload('', 0, { metadata: { hdi_isfolder: 'true' } })
    for (const path of ['/a/b/c', '/a/d']) await driver.write(path, Buffer.from('x'))
    t.match(await driver.stat('/a/b'), { isDirectory: true })
    await rejects(t, driver.read('/a/b'), 'failed', '/a/b')
    const deleted: string[] = []
    const left = new Set(['/a/b/c', '/a/d', '/a/b', '/a'])
    store.fault = request => {
      const path = /^DELETE .*?(\/a.*)$/.exec(decodeURIComponent(request))?.[1] ?? ''
      if (!left.has(path)) return undefined
      if ([...left].some(other => other.startsWith(`${path}/`))) return { status: 409, code: 'DirectoryIsNotEmpty' }
      left.delete(path)
      deleted.push(path)
      return undefined
    }
    await driver.delete('/a')
    t.same(deleted.slice(-1), ['/a/b'])
    t.same(await driver.list('/').catch(() => []), ['a'], 'the name of the directory itself is not below it')
  })

  t.test('lists go on over many pages', async t => {
    const { store, driver } = await behindFaults(t)
    const expected = Array.from({ length: 12 }, (_, i) => `n${i}`).sort()
    for (const name of expected) await driver.write(`/dir/${name}/x`, Buffer.from('x'))
    t.same(await guarded(driver).list('/dir'), expected)
    t.ok(store.requests.some(request => request.includes('comp=list')))
  })

  t.test('a store that cannot be used is one clear line at the start, without a secret', async t => {
    const table: Array<[Partial<AzureOptions>, RegExp]> = [
      [{ container: 'there-is-none' }, /there is no such container \(ContainerNotFound\)/],
      [{ accountkey: Buffer.from('not-the-key').toString('base64') }, /access is denied to these credentials \(AuthorizationFailure\)/],
      [{ credentials: { type: 'client_secret', tenantid: '!!', clientid: 'c', secret: 'not-the-key' } }, /Invalid tenant id/],
      [{ serviceurl: 'http://127.0.0.1:1/registry' }, /127\.0\.0\.1:1: .*ECONNREFUSED/]
    ]
    for (const [options, message] of table) {
      const error: unknown = await AzureDriver.open({ ...azuriteOptions(azurite), ...options }).then(() => undefined, (error: unknown) => error)
      if (!(error instanceof ConfigError)) throw new Error('opened', { cause: error })
      t.equal(error.lines.length, 1)
      t.match(error.lines[0], message)
      t.notMatch(error.lines[0], new RegExp(`not-the-key|${Buffer.from('not-the-key').toString('base64')}`))
    }
  })
}
