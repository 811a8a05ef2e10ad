import t from 'tap'
import { LineOutput } from '../../../services/log/line-output.js'
import { loggedDriver } from '../../../services/log/logged-driver.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { CapturedLog } from '../../helpers/captured-log.js'

t.test('lines that can wait are one write at the end of the turn; a line that cannot comes behind them at once', async t => {
  const writes: string[] = []
  const output = new LineOutput({ write: text => writes.push(text) })
  output.writeSoon('1\n')
  output.writeSoon('2\n')
  t.same(writes, [])
  output.write('3\n')
  t.same(writes, ['1\n2\n', '3\n'])
  output.writeSoon('4\n')
  await new Promise(resolve => { setImmediate(resolve) })
  t.same(writes.slice(2), ['4\n'])
  output.flush()
  t.equal(writes.length, 3, 'nothing is written where nothing waits')
})

t.test('a write ends between lines, and takes no more than a pipe does in one piece', async t => {
  const writes: string[] = []
  const output = new LineOutput({ write: text => writes.push(text) })
  for (let i = 0; i < 5; i++) output.writeSoon(`${'x'.repeat(1499)}\n`)
  output.flush()
  t.same(writes.map(text => text.length), [3000, 3000, 1500])
})

t.test('a logged driver does what the driver does, and has a line for each call', async t => {
  const log = new CapturedLog()
  const driver = loggedDriver(new MemoryDriver(), log.logger)
  await driver.write('/a/b', Buffer.from('content'))
  t.equal((await driver.read('/a/b')).toString(), 'content')
  t.equal((await driver.stat('/a/b')).size, 7)
  await t.rejects(driver.stat('/a/c'), { message: /path not found/ })
  t.equal(driver.name, 'inmemory')
  t.same(log.lines.map(({ msg }) => msg), ['PutContent', 'GetContent', 'Stat', 'Stat'].map((action, i) => `inmemory.${action}("/a/${i === 3 ? 'c' : 'b'}")`))
  t.match(log.lines.at(-1), { level: 20, 'trace.duration': /^[\d.]+(?:ns|µs|ms)$/, 'err.message': /\/a\/c/ })
  await driver.close()
})
