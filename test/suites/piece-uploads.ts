import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { StorageDriver } from '../../services/storage/driver.js'
import { rejects } from '../helpers/rejects.js'

const MIB = 1024 * 1024
const BYTES = randomBytes(23 * MIB + 17)

/** Opens one more driver on the same part of the store, as another server would. */
export type OpenAgain = (t: Test) => Promise<StorageDriver>

/** What uploads are where objects are made of pieces, beyond what every driver promises. `make` gives an empty part of the store. */
export function pieceUploads (t: Test, make: () => OpenAgain): void {
  const written = async (driver: StorageDriver, path: string, length: number): Promise<void> => {
    const writer = await driver.openWriter(path)
    await writer.write([BYTES.subarray(0, length)])
    await writer.close()
  }

  t.test('an upload goes on in another process after each request, with whatever length, and becomes one object', async t => {
    const open = make()
    const ends = [3, 4 * MIB, 4 * MIB + 5, 9 * MIB, 19 * MIB + 1, 20 * MIB, BYTES.length]
    let from = 0
    for (const end of ends) {
      const driver = await open(t)
      const writer = await driver.openWriter('/up/data', { append: from > 0 })
      t.equal(writer.size, from)
      for (let at = from; at < end; at += 700_001) await writer.write([BYTES.subarray(at, Math.min(at + 700_001, end))])
      t.equal(writer.size, end)
      await writer.close()
      t.equal((await driver.stat('/up/data')).size, end)
      t.same(await driver.list('/up'), ['data'], 'of what it is made nothing is seen')
      from = end
    }
    const driver = await open(t)
    await driver.move('/up/data', '/blobs/data')
    t.ok(BYTES.equals(await driver.read('/blobs/data')))
    t.same(await driver.list('/'), ['blobs'])
  })

  t.test('a growing file is read while it grows: what was acknowledged, also a range of it', async t => {
    const driver = await make()(t)
    await written(driver, '/data', 10 * MIB + 9)
    const writer = await driver.openWriter('/data', { append: true })
    await writer.write([BYTES.subarray(10 * MIB + 9, 21 * MIB)])
    t.ok(BYTES.subarray(0, 10 * MIB + 9).equals(await driver.read('/data')))
    t.same(await buffer(await driver.createReadStream('/data', { start: 10 * MIB - 1, end: 10 * MIB + 3 })), BYTES.subarray(10 * MIB - 1, 10 * MIB + 4))
    await writer.close()
    t.ok(BYTES.subarray(0, 21 * MIB).equals(await driver.read('/data')))
  })

  t.test('what a killed writer sent after the last acknowledgement does not count', async t => {
    const open = make()
    const driver = await open(t)
    await written(driver, '/data', 7 * MIB)
    const killed = await driver.openWriter('/data', { append: true })
    await killed.write([Buffer.alloc(17 * MIB, 'k')])
    await killed.truncate(killed.size) // waits for its pieces, and keeps them
    const other = await open(t)
    t.equal((await other.stat('/data')).size, 7 * MIB)
    const next = await other.openWriter('/data', { append: true })
    t.equal(next.size, 7 * MIB)
    await next.write([BYTES.subarray(7 * MIB)])
    await next.close()
    await other.move('/data', '/moved')
    t.ok(BYTES.equals(await other.read('/moved')))
  })

  t.test('a writer that was thought dead and comes too late changes nothing', async t => {
    const open = make()
    const [one, two] = [await open(t), await open(t)]
    await written(one, '/data', 3)
    const late = await one.openWriter('/data', { append: true })
    await late.write([Buffer.from('late')])
    const next = await two.openWriter('/data', { append: true })
    await next.write([BYTES.subarray(3, 100)])
    await next.close()
    const error = await rejects(t, late.close(), 'failed', '/data')
    t.match(error?.message, /somebody else has written to the file/)
    t.ok(BYTES.subarray(0, 100).equals(await two.read('/data')))
  })

  t.test('truncate cuts back to any size, in the pieces too', async t => {
    const driver = await make()(t)
    for (const [size, append] of [[11 * MIB, false], [7, false], [0, false], [20 * MIB, true], [13 * MIB, true], [12 * MIB, true], [6 * MIB, true], [0, true]] as const) {
      const writer = await driver.openWriter('/data')
      await writer.write([BYTES.subarray(0, 12 * MIB)])
      if (append) await writer.close()
      const cut = append ? await driver.openWriter('/data', { append }) : writer
      await cut.write([BYTES.subarray(cut.size, 22 * MIB)])
      await cut.truncate(size)
      t.equal(cut.size, size)
      await cut.write([Buffer.from('and more')])
      await cut.close()
      t.ok(Buffer.concat([BYTES.subarray(0, size), Buffer.from('and more')]).equals(await driver.read('/data')), `${size} ${append ? 'by another writer' : ''}`)
    }
  })

  t.test('an upload whose file is gone is no upload any more', async t => {
    const driver = await make()(t)
    await written(driver, '/data', 9 * MIB)
    for (const length of [1, 17 * MIB]) {
      const again = await driver.openWriter('/data', { append: true })
      await driver.delete('/data')
      await rejects(t, again.write([BYTES.subarray(0, length)]).then(async () => { await again.close() }), 'path-not-found', '/data')
      await rejects(t, driver.read('/data'), 'path-not-found', '/data')
      await written(driver, '/data', 0)
    }
  })

  t.test('eight uploads at once keep out of each other\'s way', async t => {
    const driver = await make()(t)
    await Promise.all(Array.from({ length: 8 }, async (_, i) => {
      const writer = await driver.openWriter(`/up/${i}`)
      await writer.write([Buffer.from(String(i)), BYTES.subarray(0, 9 * MIB), BYTES.subarray(0, i)])
      await writer.close()
    }))
    for (let i = 0; i < 8; i++) t.ok(Buffer.concat([Buffer.from(String(i)), BYTES.subarray(0, 9 * MIB), BYTES.subarray(0, i)]).equals(await driver.read(`/up/${i}`)))
  })
}
