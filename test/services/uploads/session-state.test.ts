import { randomUUID } from 'node:crypto'
import t from 'tap'
import { digestOf } from '../../../services/reference/reference.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { RunningDigests, digestFile, readDigests, writeDigests } from '../../../services/uploads/digests.js'
import type { DigestsAt } from '../../../services/uploads/digests.js'
import { formatUploadLocation, parseUploadLocation } from '../../../services/uploads/location.js'
import { FaultDriver } from '../../helpers/fault-driver.js'
import { sha256, sha512 } from '../../helpers/images.js'

const ID = '0f0e0d0c-1a2b-4c3d-8e9f-001122334455'
const PATH = '/session/digests'

t.test('an upload location names the session and the offset it was issued for', async t => {
  t.equal(formatUploadLocation(ID, 0), `${ID}.0`)
  t.equal(formatUploadLocation(ID, 1024), `${ID}.1024`)
})

t.test('an upload location is read as it was written', async t => {
  for (const offset of [0, 1, 9, 10, 4096, 2 ** 32, 999_999_999_999_999]) {
    const id = randomUUID()
    t.same(parseUploadLocation(formatUploadLocation(id, offset)), { id, offset })
  }
})

t.test('an upload location is made of characters no client re-encodes (R-113)', async t => {
  t.match(formatUploadLocation(randomUUID(), 123), /^[0-9a-f.-]+$/)
})

t.test('a location of the session id alone has no offset', async t => {
  t.same(parseUploadLocation(ID), { id: ID, offset: undefined })
})

t.test('what is no upload location is not read as one', async t => {
  for (const segment of [
    '', 'x', '.', '..', '.5', ID.slice(1), `${ID}0`, ID.toUpperCase(), ID.replaceAll('-', ''), ` ${ID}`, `${ID} `, `${ID}\n`, `${ID}.5\n`,
    `${ID}.`, `${ID}.-1`, `${ID}.+1`, `${ID}.01`, `${ID}.00`, `${ID}.1.2`, `${ID}.1e3`, `${ID}.0x1`, `${ID}.1000000000000000`, `${ID}.9${'9'.repeat(30)}`,
    `${ID}/5`, `${ID}.5/`, `../${ID}`, `${ID}?5`, `${ID}%2E5`, `${ID}.\u0665`, 'g'.repeat(8) + ID.slice(8), `${ID}.5\0`
  ]) {
    t.equal(parseUploadLocation(segment), undefined, JSON.stringify(segment))
  }
})

function feed (running: RunningDigests, chunks: Buffer[]): void {
  const batch = running.take(chunks)
  void batch.hash()
  batch.written()
}

async function digestsAt (running: RunningDigests): Promise<DigestsAt> {
  const current = await running.current()
  if (current === undefined) throw new Error('the digests are lost')
  return current
}

t.test('running digests hash in pieces what they would hash in one', async t => {
  const running = new RunningDigests(['sha512'])
  t.same(running.algorithms, ['sha256', 'sha512'])
  feed(running, [Buffer.from('one'), Buffer.from('')])
  feed(running, [])
  feed(running, [Buffer.from('two')])
  t.equal(running.offset, 6)
  t.same([...(await running.current())?.digests.values() ?? []], [sha256('onetwo'), sha512('onetwo')])
  t.equal((await running.current())?.offset, 6)
})

t.test('asking running digests where they stand does not end them', async t => {
  const running = new RunningDigests([])
  t.same([...(await running.current())?.digests ?? []], [['sha256', sha256('')]])
  feed(running, [Buffer.from('one')])
  const one = await running.current()
  feed(running, [Buffer.from('two')])
  t.equal(one?.digests.get('sha256'), sha256('one'))
  t.equal((await running.current())?.digests.get('sha256'), sha256('onetwo'))
})

t.test('the canonical algorithm is always hashed, and none twice', async t => {
  t.same(new RunningDigests([]).algorithms, ['sha256'])
  t.same(new RunningDigests(['sha256', 'sha512', 'sha512']).algorithms, ['sha256', 'sha512'])
})

t.test('a file is digested as a whole, under the canonical algorithm too', async t => {
  const driver = new MemoryDriver()
  await driver.write('/data', Buffer.from('content'))
  const { offset, digests } = await digestFile(driver, '/data', ['sha512'])
  t.equal(offset, 7)
  t.same([...digests], [['sha256', sha256('content')], ['sha512', sha512('content')]])
})

t.test('an empty file has the digest of nothing', async t => {
  const driver = new MemoryDriver()
  await driver.write('/data', Buffer.alloc(0))
  t.same(await digestFile(driver, '/data', []), { offset: 0, digests: new Map([['sha256', sha256('')]]) })
})

t.test('a missing file has no digest', async t => {
  await t.rejects(digestFile(new MemoryDriver(), '/data', []), { message: /path not found/ })
})

t.test('digests are read as they were written', async t => {
  const driver = new MemoryDriver()
  for (const algorithms of [[], ['sha512']] as const) {
    const running = new RunningDigests(algorithms)
    feed(running, [Buffer.from('content')])
    await writeDigests(driver, PATH, await digestsAt(running))
    t.same(await readDigests(driver, PATH), await digestsAt(running))
  }
  t.equal((await driver.read(PATH)).toString(), `7\n${sha256('content')}\n${sha512('content')}`)
})

t.test('digests are written without waiting for the disk: they can be made again', async t => {
  class Options extends MemoryDriver {
    durable: boolean | undefined
    override async write (path: string, content: Uint8Array, options?: { readonly durable?: boolean }): Promise<void> {
      this.durable = options?.durable
      await super.write(path, content)
    }
  }
  const driver = new Options()
  await writeDigests(driver, PATH, await digestsAt(new RunningDigests([])))
  t.equal(driver.durable, false)
})

t.test('there are no digests where none were written', async t => {
  t.equal(await readDigests(new MemoryDriver(), PATH), undefined)
})

t.test('digests that cannot be understood are none', async t => {
  const driver = new MemoryDriver()
  const right = sha256('content')
  for (const content of [
    '', '\n', 'x', right, `\n${right}`, `7\n${right}\n`, `7\r\n${right}`, `7 \n${right}`, `-7\n${right}`, `7.5\n${right}`, `0x7\n${right}`, `12345678901234567\n${right}`,
    '7\nsha256:', `7\n${right}x`, `7\n${right.toUpperCase()}`, `7\nsha1:${'0'.repeat(40)}`, `7\n${right}\nsha512:00`, `7\n${digestOf('sha256', 'g'.repeat(64))}`
  ]) {
    await driver.write(PATH, Buffer.from(content))
    t.equal(await readDigests(driver, PATH), undefined, JSON.stringify(content))
  }
})

t.test('a digests file beyond all measure is none', async t => {
  const driver = new MemoryDriver()
  await driver.write(PATH, Buffer.alloc(10_000, '7'))
  t.equal(await readDigests(driver, PATH), undefined)
})

t.test('storage that fails to read digests is not taken for one without', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  driver.before = () => { throw new Error('disk on fire') }
  await t.rejects(readDigests(driver, PATH), { message: 'disk on fire' })
})
