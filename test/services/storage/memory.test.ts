import t from 'tap'
import { guarded } from '../../../services/storage/guarded.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { driverSuite } from '../../suites/driver.js'

t.test('memory', async t => { driverSuite(t, async () => new MemoryDriver()) })

t.test('memory behind the guard', async t => { driverSuite(t, async () => guarded(new MemoryDriver())) })

t.test('two memory drivers share nothing', async t => {
  const [one, other] = [new MemoryDriver(), new MemoryDriver()]
  await one.write('/a', Buffer.from('x'))
  t.same(await other.list('/'), [])
})

t.test('what a reader does to the bytes it got does not reach what is stored', async t => {
  const driver = new MemoryDriver()
  await driver.write('/a', Buffer.from('content'))
  const read = await driver.read('/a')
  read.fill('x')
  t.equal(String(await driver.read('/a')), 'content')
})

t.test('a writer does not keep the large buffer alive that a chunk is a window on', async t => {
  const driver = new MemoryDriver()
  const network = Buffer.alloc(64 * 1024, 'n')
  const writer = await driver.openWriter('/a')
  await writer.write([network.subarray(0, 3)])
  network.fill('x')
  t.equal(String(await driver.read('/a')), 'nnn')
})
