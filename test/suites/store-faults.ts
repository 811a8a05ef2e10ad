import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import { DriverError } from '../../services/errors/driver-error.js'
import type { StorageDriver } from '../../services/storage/driver.js'
import { startFaultyStore } from '../helpers/faulty-store.js'
import type { FaultyStore } from '../helpers/faulty-store.js'

const MIB = 1024 * 1024
const BYTES = randomBytes(12 * MIB + 3)

export interface StoreInTrouble {
  readonly url: string
  /** A driver with nothing in it on the store, as it is reached by the URL; full parts have 5 MiB or a little more. */
  readonly open: (t: Test, url: string) => Promise<StorageDriver>
  /** What the store says when it is in trouble. */
  readonly troubles: ReadonlyArray<readonly [status: number, code: string]>
  /** The request that takes a part of an upload, and the one that makes an object of them. */
  readonly part: RegExp
  readonly completion: RegExp
  /** What an error tells of a part that was refused with 400 and the code EntityTooLarge. */
  readonly refused: string
}

/** What a driver makes of a store in trouble. */
export function storeFaults (t: Test, { url, open, troubles, part, completion, refused }: StoreInTrouble): void {
  const behindFaults = async (t: Test): Promise<{ store: FaultyStore, driver: StorageDriver }> => {
    const store = await startFaultyStore(t, url)
    return { store, driver: await open(t, store.url) }
  }
  const upload = async (driver: StorageDriver): Promise<void> => {
    const writer = await driver.openWriter('/up')
    await writer.write([BYTES])
    await writer.close()
    await driver.move('/up', '/data')
  }

  for (const [status, code] of troubles) {
    t.test(`every third request is answered with ${status} ${code}: nobody notices`, async t => {
      const { store, driver } = await behindFaults(t)
      store.fault = () => store.requests.length % 3 === 0 ? { status, code } : undefined
      await upload(driver)
      t.ok(BYTES.equals(await driver.read('/data')))
      await driver.delete('/data')
      t.same(await driver.list('/'), [])
    })
  }

  t.test('a store that is slow makes the client wait, with no more than four parts in memory and on their way', async t => {
    const { store, driver } = await behindFaults(t)
    let release = (): void => {}
    const until = new Promise<void>(resolve => { release = resolve })
    const parts = new EventEmitter()
    let held = 0
    store.fault = request => {
      if (!part.test(request)) return undefined
      if (++held === 4) parts.emit('four')
      return { until }
    }
    const four = once(parts, 'four')
    const writer = await driver.openWriter('/up')
    let isWritten = false
    const writing = writer.write(Array.from({ length: 4 }, () => BYTES)).then(() => { isWritten = true })
    await four
    // Whatever it has to do by now, it does in these.
    for (let turn = 0; turn < 20; turn++) await driver.stat('/up')
    t.same({ held, isWritten }, { held: 4, isWritten: false })
    release()
    await writing
    await writer.close()
    t.equal((await driver.stat('/up')).size, 4 * BYTES.length)
  })

  t.test('connections are reset in the middle of parts: they are sent again', async t => {
    const { store, driver } = await behindFaults(t)
    const cut = new Set<string>()
    store.fault = request => {
      if (!part.test(request) || cut.has(request)) return undefined
      cut.add(request)
      return { cutRequestAfter: MIB }
    }
    await upload(driver)
    t.ok(cut.size >= 2)
    t.ok(BYTES.equals(await driver.read('/data')))
  })

  t.test('connections are reset in the middle of a read: it goes on where it was', async t => {
    const { store, driver } = await behindFaults(t)
    await upload(driver)
    let cuts = 0
    store.fault = request => request.startsWith('GET') && ++cuts <= 6 ? { cutAnswerAfter: 1.5 * MIB } : undefined
    t.ok(BYTES.equals(await buffer(await driver.createReadStream('/data'))))
    t.equal(cuts, 7)
    cuts = 0
    t.ok(BYTES.subarray(5, 9 * MIB).equals(await buffer(await driver.createReadStream('/data', { start: 5, end: 9 * MIB - 1 }))), 'of a range too')
  })

  t.test('a store that breaks off every answer fails the read, with what it was', async t => {
    const { store, driver } = await behindFaults(t)
    await upload(driver)
    store.fault = () => ({ cutAnswerAfter: 0 })
    const error = await driver.createReadStream('/data').then(buffer).then(() => undefined, (error: unknown) => error)
    t.ok(DriverError.is(error) && error.kind === 'failed' && error.path === '/data')
  })

  t.test('the answer to the completion is lost: what was completed is found', async t => {
    const { store, driver } = await behindFaults(t)
    let lost = 0
    store.fault = request => completion.test(request) && lost++ === 0 ? 'lose the answer' : undefined
    await upload(driver)
    t.ok(lost > 1)
    t.ok(BYTES.equals(await driver.read('/data')))
  })

  t.test('a store that takes no parts fails the upload; what was acknowledged before stays, and is the end to go on from', async t => {
    const { store, driver } = await behindFaults(t)
    const first = await driver.openWriter('/up')
    await first.write([BYTES.subarray(0, 6 * MIB)])
    await first.close()
    const writer = await driver.openWriter('/up', { append: true })
    store.fault = request => part.test(request) ? { status: 400, code: 'EntityTooLarge' } : undefined
    const error = await writer.write([BYTES.subarray(6 * MIB)]).then(async () => { await writer.close() }).then(() => undefined, (error: unknown) => error)
    t.ok(DriverError.is(error) && error.kind === 'failed' && error.message.includes(refused), String(error))
    t.ok(writer.size <= 6 * MIB)
    await writer.truncate(6 * MIB)
    t.equal(writer.size, 6 * MIB)
    store.fault = () => undefined
    const again = await driver.openWriter('/up', { append: true })
    t.equal(again.size, 6 * MIB)
    await again.write([BYTES.subarray(6 * MIB)])
    await again.close()
    t.ok(BYTES.equals(await driver.read('/up')))
  })

  t.test('a reader that goes away ends the request to the store', async t => {
    const { store, driver } = await behindFaults(t)
    await upload(driver)
    const stream = await driver.createReadStream('/data')
    await once(stream, 'readable')
    t.same(store.abandoned, [])
    stream.destroy()
    while (store.abandoned.length === 0) await new Promise(resolve => { setImmediate(resolve) })
    t.match(store.abandoned, [/^GET .*data/])
  })
}
