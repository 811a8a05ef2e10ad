import t from 'tap'
import { isTransientStatus, retrying } from '../../../services/storage/retrying.js'

t.test('an operation is tried again until it succeeds, five times in all', async t => {
  let calls = 0
  t.equal(await retrying(async () => {
    if (++calls < 3) throw new Error('passing')
    return 'done'
  }, () => true), 'done')
  t.equal(calls, 3)
  calls = 0
  await t.rejects(retrying(async () => { throw new Error(`attempt ${++calls}`) }, () => true), { message: 'attempt 5' })
})

t.test('what does not pass is thrown at once', async t => {
  let calls = 0
  await t.rejects(retrying(async () => { calls++; throw new Error('lasting') }, () => false), { message: 'lasting' })
  t.equal(calls, 1)
})

t.test('nobody tries again for who went away, also in a pause', async t => {
  const abort = new AbortController()
  let calls = 0
  const running = retrying(async () => { calls++; throw new Error('passing') }, () => true, abort.signal)
  setImmediate(() => { abort.abort() })
  await t.rejects(running)
  t.equal(calls, 1)
})

t.test('statuses that may be others in a moment', async t => {
  t.same([200, 400, 403, 404, 408, 412, 429, 500, 501, 503, 504].filter(isTransientStatus), [408, 429, 500, 503, 504])
})
