import t from 'tap'
import { LocalUploadLocks } from '../../../services/uploads/locks.js'
import { SharedUploadLocks } from '../../../services/uploads/shared-locks.js'
import { TestWorkers } from '../../helpers/workers.js'
import { uploadLocksSuite } from '../../suites/upload-locks.js'

const never = (): AbortSignal => new AbortController().signal

async function locksOf (all: TestWorkers, idleMs: number): Promise<SharedUploadLocks> {
  return new SharedUploadLocks((await all.join()).ownership, new LocalUploadLocks({ idleMs }))
}

/** Turns of the event loop: enough for messages between processes to arrive and be answered. */
async function turns (count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(resolve => { setImmediate(resolve) })
}

t.test('the contract, in several processes', async t => {
  uploadLocksSuite(t, {
    async open (_t, { idleMs }) {
      const all = new TestWorkers()
      return [await locksOf(all, idleMs), await locksOf(all, idleMs), await locksOf(all, idleMs)]
    },
    turns
  })
})

t.test('whoever waits in the process that gives a session up waits for it again', async t => {
  const all = new TestWorkers()
  const [a, b] = [await locksOf(all, 60_000), await locksOf(all, 60_000)]
  const order: string[] = []
  const first = await a.acquire('id', never())
  const take = async (name: string, locks: SharedUploadLocks): Promise<void> => {
    const lease = await locks.acquire('id', never())
    order.push(`${name} has it`)
    await turns()
    order.push(`${name} is done`)
    lease.release()
  }
  const others = [take('b', b), take('a', a), take('b', b), take('a', a)]
  await turns()
  first.release()
  await Promise.all(others)
  t.equal(order.length, 8)
  for (let i = 0; i < order.length; i += 2) t.equal(order[i]?.replace('has it', 'is done'), order[i + 1], 'nobody has it beside another')
})

t.test('a session of a process that died is free', async t => {
  const all = new TestWorkers()
  const workers = await all.join()
  const a = new SharedUploadLocks(workers.ownership, new LocalUploadLocks({ idleMs: 60_000 }))
  const b = await locksOf(all, 60_000)
  const first = await a.acquire('id', never())
  // Its part in this process waits on, with a timer that would hold up the end of the test.
  t.teardown(() => { first.release() })
  const second = b.acquire('id', never())
  await turns()
  all.kill(workers.id)
  const lease = await second
  t.notOk(lease.signal.aborted)
  lease.release()
})
