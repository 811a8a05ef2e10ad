import { once, EventEmitter } from 'node:events'
import t from 'tap'
import { PartBuffer } from '../../../services/storage/part-buffer.js'
import { PartMemory } from '../../../services/storage/part-memory.js'

const PART = 1024 * 1024

function gathered (memory: PartMemory, bytes: Buffer, letGo: () => Promise<void> = async () => {}): PartBuffer {
  const part = new PartBuffer(memory, letGo)
  for (let rest = bytes; rest.length > 0;) {
    if (!part.hasRoom()) throw new Error('no room')
    rest = rest.subarray(part.append(rest))
  }
  return part
}

t.test('a part is gathered up to its length and no further', async t => {
  const part = gathered(new PartMemory({ partBytes: 100_000 }), Buffer.alloc(70_000, 'a'))
  t.ok(part.hasRoom())
  let rest = Buffer.alloc(70_000, 'b')
  while (!part.isFull && part.hasRoom()) rest = rest.subarray(part.append(rest))
  t.equal(rest.length, 40_000)
  part.cut(70_001)
  const { bytes, release } = part.take()
  t.same(bytes, Buffer.concat([Buffer.alloc(70_000, 'a'), Buffer.from('b')]))
  t.ok(part.hasRoom())
  part.append(Buffer.from('next'))
  t.equal(bytes[0], 97, 'a part that is on its way is not written over')
  release()
  t.same([part.view().toString(), part.length], ['next', 4])
})

t.test('what holds a few bytes takes little memory; nothing takes none, and all of it comes back', async t => {
  const memory = new PartMemory({ partBytes: 10 * PART, parts: 1 })
  const parts = Array.from({ length: 100 }, () => gathered(memory, Buffer.from('few')))
  t.equal(memory.state.bytes, 100 * 80 * 1024)
  for (const part of parts) part.clear()
  const part = new PartBuffer(memory, async () => {})
  t.equal(memory.state.bytes, 0)
  await part.reserve()
  t.equal(memory.state.bytes, 10 * PART)
  part.take().release()
  t.equal(memory.state.bytes, 0)
})

t.test('memory is used again, and never more than there may be', async t => {
  const memory = new PartMemory({ partBytes: PART, parts: 2 })
  const first = gathered(memory, Buffer.alloc(PART, 'x')).take()
  const { buffer } = first.bytes
  first.release()
  const again = new PartBuffer(memory, async () => {})
  await again.reserve()
  again.append(Buffer.from('y'))
  t.equal(again.view().buffer, buffer)
  await new PartBuffer(memory, async () => {}).reserve()
  t.notOk(new PartBuffer(memory, async () => {}).hasRoom())
  t.equal(memory.state.bytes, 2 * PART)
})

t.test('who waits gets memory in the order it was asked for, and nobody overtakes', async t => {
  const memory = new PartMemory({ partBytes: PART, parts: 1 })
  const holder = gathered(memory, Buffer.alloc(PART))
  const order: string[] = []
  const waiting = ['whole', 'small', 'whole again'].map(async name => {
    const part = new PartBuffer(memory, async () => {})
    await part.reserve(name === 'small' ? 1 : Infinity)
    order.push(name)
    t.notOk(name !== 'whole again' && new PartBuffer(memory, async () => {}).hasRoom(), 'others wait')
    part.clear()
  })
  t.equal(memory.state.waiting, 3)
  holder.take().release()
  await Promise.all(waiting)
  t.same(order, ['whole', 'small', 'whole again'])
  t.same(memory.state, { bytes: 0, waiting: 0 })
})

t.test('when others wait, slow uploads let go of what they gathered: the longest first, and no more than needed', async t => {
  const memory = new PartMemory({ partBytes: PART, parts: 3, patienceMs: 0 })
  const gone: number[] = []
  const parts: PartBuffer[] = [0, 1, 2].map(i => gathered(memory, Buffer.alloc(PART), async () => {
    gone.push(i)
    parts[i]?.clear()
  }))
  for (const part of parts.slice(1)) part.isIdle = true
  await new PartBuffer(memory, async () => {}).reserve()
  t.same(gone, [1], 'the first one is being worked with')
})

t.test('an upload is left alone for a while; then it lets go, also when it is busy at first', async t => {
  const memory = new PartMemory({ partBytes: PART, parts: 1, patienceMs: 20 })
  const events = new EventEmitter()
  const holder: PartBuffer = gathered(memory, Buffer.alloc(PART), async () => {
    const { since } = holder
    holder.clear()
    events.emit('asked', performance.now() - since)
  })
  const asked = once(events, 'asked')
  const waiting = new PartBuffer(memory, async () => {}).reserve()
  holder.isIdle = true
  const [after] = await asked
  await waiting
  t.ok(Number(after) >= 20)
})
