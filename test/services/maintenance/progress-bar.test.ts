import { PassThrough } from 'node:stream'
import t from 'tap'
import { createProgress } from '../../../services/maintenance/progress-bar.js'
import { FakeClock } from '../../helpers/fake-clock.js'

function stream (isTTY: boolean): { stream: NodeJS.WriteStream, written: () => string } {
  const through = Object.assign(new PassThrough(), { isTTY, columns: 120, cursorTo: () => true, clearLine: () => true, moveCursor: () => true })
  let text = ''
  through.on('data', (chunk: Buffer) => { text += chunk.toString() })
  return { stream: through as unknown as NodeJS.WriteStream, written: () => text }
}

t.test('where there is no terminal a line comes every few seconds, and none for what is over sooner', async t => {
  const clock = new FakeClock()
  const { stream: out, written } = stream(false)
  const progress = createProgress({ stream: out, clock })
  progress.begin('blobs', 200)
  for (let step = 0; step < 100; step++) {
    await clock.advance(100)
    progress.advance(1, '12 MB')
  }
  progress.end()
  progress.advance()
  progress.begin('repositories')
  await clock.advance(4999)
  progress.advance(3)
  await clock.advance(1)
  progress.advance(3)
  progress.end()
  t.same(written().split('\n'), ['blobs 25% 12 MB', 'blobs 50% 12 MB', 'repositories 6', ''])
})

t.test('on a terminal there is a bar, with or without a total', async t => {
  const { stream: out, written } = stream(true)
  const progress = createProgress({ stream: out })
  progress.begin('blobs', 4)
  progress.advance()
  progress.advance(2, '12 MB')
  progress.begin('repositories')
  progress.advance(7)
  progress.end()
  progress.end()
  t.match(written(), /blobs #+-+ 75% 12 MB/)
  t.match(written(), /repositories 7/)
})

t.test('quiet says nothing', async t => {
  const { stream: out, written } = stream(true)
  const progress = createProgress({ stream: out, quiet: true })
  progress.begin('blobs', 4)
  progress.advance(4)
  progress.end()
  t.equal(written(), '')
})
