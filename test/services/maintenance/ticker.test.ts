import t from 'tap'
import { Ticker } from '../../../services/maintenance/ticker.js'
import type { TickerOptions } from '../../../services/maintenance/ticker.js'
import { FakeClock, settled } from '../../helpers/fake-clock.js'
import { recordingLog } from '../../helpers/log.js'

const HOUR = 3_600_000

function setUp (options: Partial<TickerOptions<void>> = {}): { ticker: Ticker, clock: FakeClock, lines: string[], runs: number[] } {
  const clock = new FakeClock(0)
  const { log, lines } = recordingLog()
  const runs: number[] = []
  const run = async (): Promise<void> => { runs.push(clock.now()) }
  const ticker = new Ticker({ name: 'the work', firstMs: 1000, intervalMs: 24 * HOUR, run, log, clock, ...options })
  return { ticker, clock, lines, runs }
}

t.test('runs after the first delay, and then every interval', async t => {
  const announced: number[] = []
  const { ticker, clock, runs } = setUp({ announce: ms => announced.push(ms) })
  ticker.start()
  ticker.start()
  await clock.advance(999)
  t.same(runs, [])
  await clock.advance(1 + 2 * 24 * HOUR)
  t.same(runs, [1000, 1000 + 24 * HOUR, 1000 + 48 * HOUR])
  t.same(announced, [1000, 24 * HOUR, 24 * HOUR, 24 * HOUR], 'each wait was announced')
  t.same(clock.sleeping, [{ ms: 24 * HOUR, ref: false }], 'waiting does not keep the process alive')
  await ticker.stop()
})

t.test('an interval of months works', async t => {
  const { ticker, clock, runs } = setUp({ intervalMs: 100 * 24 * HOUR })
  ticker.start()
  await clock.advance(1000 + 100 * 24 * HOUR)
  t.equal(runs.length, 2)
  await ticker.stop()
})

t.test('jitter lengthens the interval by up to its part', async t => {
  const { ticker, clock, runs } = setUp({ intervalMs: 1000, jitter: 0.5, random: () => 0.5 })
  ticker.start()
  await clock.advance(3500)
  t.same(runs, [1000, 2250, 3500])
  await ticker.stop()
})

t.test('a run that fails is logged and the next one comes', async t => {
  let count = 0
  const { ticker, clock, lines } = setUp({ run: async () => { if (count++ === 0) throw new Error('no disk') } })
  ticker.start()
  await clock.advance(1000 + 24 * HOUR)
  t.equal(count, 2)
  t.same(lines, ['error: the work failed'])
  await ticker.stop()
})

t.test('never two runs at once: one out of turn joins the one under way, and the interval begins when it is over', async t => {
  let finish!: () => void
  let count = 0
  const { ticker, clock } = setUp({ run: async () => { count++; await new Promise<void>(resolve => { finish = resolve }) } })
  const first = ticker.runNow()
  const second = ticker.runNow()
  ticker.start()
  await clock.advance(48 * HOUR)
  t.equal(count, 1, 'the repetition joined too')
  finish()
  await Promise.all([first, second])
  await clock.advance(24 * HOUR - 1)
  t.equal(count, 1)
  await clock.advance(1)
  t.equal(count, 2)
  finish()
  await ticker.stop()
})

t.test('what a run out of turn throws reaches who asked for it', async t => {
  const { ticker, lines } = setUp({ run: async () => { throw new Error('no disk') } })
  await t.rejects(ticker.runNow(), { message: 'no disk' })
  t.same(lines, [])
  await ticker.stop()
})

t.test('stop tells a run under way to end and waits until it has; nothing runs after it', async t => {
  const steps: string[] = []
  const { ticker, clock, lines } = setUp({
    run: async signal => {
      await new Promise(resolve => signal.addEventListener('abort', resolve))
      await settled()
      steps.push('tidied up')
      signal.throwIfAborted()
    }
  })
  ticker.start()
  await clock.advance(1000)
  await ticker.stop()
  t.same(steps, ['tidied up'])
  t.same(lines, [], 'being stopped is no failure')
  t.same(clock.sleeping, [])
  await t.rejects(ticker.runNow(), { message: 'the work was stopped' })
  ticker.start()
  await clock.advance(48 * HOUR)
  t.equal(steps.length, 1)
})

t.test('stop before the start, and twice', async t => {
  const { ticker, clock, runs } = setUp()
  await ticker.stop()
  ticker.start()
  await clock.advance(HOUR)
  await ticker.stop()
  t.same(runs, [])
})
