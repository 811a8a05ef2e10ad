import t from 'tap'
import { FilesystemDriver } from '../../../services/storage/filesystem.js'
import { ForwardingDriver } from '../../../services/storage/forwarding-driver.js'
import { guarded } from '../../../services/storage/guarded.js'

t.test('what is read at once is not read past a decorator that reads by itself', { skip: process.platform === 'linux' ? false : 'nothing is read at once' }, async t => {
  class Rewriting extends ForwardingDriver {
    override async read (path: string, options?: { readonly maxBytes?: number }): Promise<Buffer> {
      return Buffer.concat([await super.read(path, options), Buffer.from(', rewritten')])
    }
  }
  const driver = await FilesystemDriver.open({ rootdirectory: t.testdir({}) })
  await driver.write('/link', Buffer.from('content'))
  t.equal(driver.readNow('/link', 100)?.toString(), 'content')
  t.equal(guarded(driver).readNow?.('/link', 100)?.toString(), 'content')
  t.equal(guarded(new ForwardingDriver(driver)).readNow?.('/link', 100)?.toString(), 'content')
  t.equal(new Rewriting(driver).readNow('/link', 100), undefined)
  t.equal(new ForwardingDriver(new Rewriting(driver)).readNow('/link', 100), undefined)
  t.equal(guarded(driver, { shortcuts: false }).readNow?.('/link', 100), undefined)
})

t.test('a path that may not be read is not read at once either', async t => {
  const driver = guarded(await FilesystemDriver.open({ rootdirectory: t.testdir({ root: {}, outside: 'secret' }) + '/root' }))
  t.equal(driver.readNow?.('/../outside', 100), undefined)
})
