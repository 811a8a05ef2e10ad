import { appendFile, mkdir, readFile, readdir, rm, rmdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { DiskQueue } from '../../../services/notifications/disk-queue.js'
import type { JournalSync } from '../../../services/notifications/disk-queue.js'
import { event, ids, recordingLog, serialized } from '../../helpers/events.js'
import { drained, eventQueueSuite } from '../../suites/event-queue.js'

const PLENTY = { events: 10_000, bytes: 64 * 1024 * 1024 }
const never = new AbortController().signal

async function open (directory: string, { limits = PLENTY, fsync = 'never' as JournalSync, log = recordingLog().log } = {}): Promise<DiskQueue> {
  return await DiskQueue.open({ directory, limits, fsync, log })
}

async function segments (directory: string): Promise<string[]> {
  return (await readdir(directory)).filter(name => name.endsWith('.log')).sort()
}

const directories = new WeakMap<Test, string>()
/** One for each test. */
function directoryOf (t: Test): string {
  const directory = directories.get(t) ?? t.testdir()
  directories.set(t, directory)
  return directory
}

const FSYNC: readonly JournalSync[] = ['always', 'everysec', 'never']
for (const fsync of FSYNC) {
  t.test(`fsync: ${fsync}`, async t => {
    eventQueueSuite(t, { open: async (t, limits) => await open(directoryOf(t), { limits, fsync }), isDurable: true, limitsBytes: true })
  })
}

/** What a process leaves that was killed: nothing is closed. */
async function killed (t: Test, queue: DiskQueue): Promise<void> {
  // The files that stay open are closed when the test is over; nothing else happens to them.
  t.teardown(async () => { await queue.close() })
}

t.test('a record that was cut off is no record, wherever it was cut off, and what is appended then is one', async t => {
  const whole = `${JSON.stringify(event('e2'))}\n`.length
  const parent = t.testdir()
  for (let cut = 1; cut < whole; cut += 61) {
    const directory = join(parent, `at-${cut}`)
    const first = await open(directory)
    await first.append(serialized('e0', 'e1', 'e2'))
    await killed(t, first)
    const file = join(directory, '0000000000000000.log')
    await truncate(file, (await readFile(file)).length - cut)
    const second = await open(directory)
    t.equal(second.pending, 2)
    await second.append(serialized('e3'))
    t.strictSame(await drained(second), ['e0', 'e1', 'e3'])
    await second.close()
  }
})

t.test('so it is when there is nothing before it', async t => {
  const directory = t.testdir({ '0000000000000007.log': '0badc0de 7 {"id":"e7"' })
  const queue = await open(directory)
  t.equal(queue.pending, 0)
  await queue.append(serialized('e8'))
  t.strictSame(await drained(queue), ['e8'])
  await queue.close()
})

t.test('a record that was damaged is passed over, and the others come', async t => {
  const directory = t.testdir()
  const first = await open(directory)
  await first.append(serialized('e0', 'e1', 'e2'))
  await killed(t, first)
  const file = join(directory, '0000000000000000.log')
  await writeFile(file, (await readFile(file, 'utf8')).replace('"e1"', '"x1"'))
  const second = await open(directory)
  t.strictSame(await drained(second), ['e0', 'e2'])
  await second.close()
})

t.test('a journal that is damaged or gone while it is in use is said to be, and does not stand in the way of what is new', async t => {
  const damages: Array<(file: string) => Promise<void>> = [async file => { await writeFile(file, 'nonsense') }, async file => { await rm(file) }]
  const parent = t.testdir()
  for (const [i, damage] of damages.entries()) {
    const directory = join(parent, String(i))
    const first = await open(directory)
    await first.append(serialized('e0', 'e1'))
    await killed(t, first)
    const { log, lines } = recordingLog()
    const second = await open(directory, { log })
    await damage(join(directory, '0000000000000000.log'))
    const next = second.next(never)
    await second.append(serialized('e2'))
    t.equal((await next)?.event.id, 'e2')
    t.match(lines, [{ level: 'error', fields: { events: 2 } }])
    t.equal(second.dropped, 2)
    await second.close()
  }
})

t.test('without the file that says what was delivered, everything that is there is delivered again', async t => {
  const directory = t.testdir()
  const first = await open(directory)
  await first.append(serialized('e0', 'e1'))
  const entry = await first.next(never)
  if (entry !== undefined) await first.acknowledge(entry)
  await first.close()
  for (const text of ['', 'nonsense', '00000000 0000000000000001\n']) {
    await writeFile(join(directory, 'acknowledged'), text)
    const again = await open(directory)
    t.equal((await again.next(never))?.event.id, 'e0')
    await killed(t, again)
  }
})

t.test('what is delivered is removed, a segment at a time', async t => {
  const directory = t.testdir()
  const queue = await open(directory, { limits: { events: 100_000, bytes: 1024 * 1024 } })
  for (let i = 0; i < 20; i++) await queue.append(serialized(...ids(50, i * 50)))
  t.ok((await segments(directory)).length >= 2)
  await drained(queue)
  t.equal((await segments(directory)).length, 1)
  await queue.close()
  t.strictSame(await segments(directory), [])
})

t.test('an event that is larger than what is read at a time comes out whole', async t => {
  const queue = await open(t.testdir())
  const large = event('large', 'push', 'x'.repeat(1_000_000))
  await queue.append([...serialized('e0'), { event: large, json: JSON.stringify(large) }, ...serialized('e1')])
  t.strictSame(await drained(queue), ['e0', 'large', 'e1'])
  await queue.close()
})

t.test('what cannot be written is counted and said once; what can be written later is', async t => {
  const directory = t.testdir()
  const { log, lines } = recordingLog()
  const queue = await open(directory, { log })
  // Whoever one is: where a directory is, no file can be written.
  await mkdir(join(directory, '0000000000000000.log'))
  await queue.append(serialized('e0'))
  await queue.append(serialized('e1'))
  t.equal(queue.dropped, 2)
  t.equal(lines.filter(({ level }) => level === 'error').length, 1)
  await rmdir(join(directory, '0000000000000000.log'))
  await queue.append(serialized('e2'))
  t.strictSame(await drained(queue), ['e2'])
  await queue.close()
})

t.test('something else in the directory is left alone', async t => {
  const directory = t.testdir({ 'notes.txt': 'mine' })
  const queue = await open(directory)
  await queue.append(serialized('e0'))
  await drained(queue)
  await queue.close()
  await appendFile(join(directory, 'notes.txt'), ' still')
  t.equal(await readFile(join(directory, 'notes.txt'), 'utf8'), 'mine still')
})
