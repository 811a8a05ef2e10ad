import t from 'tap'
import { alone } from '../../../services/workers/workers.js'

t.test('a process without others leads, reaches nobody else, and answers itself', async t => {
  const workers = alone()
  let led = 0
  workers.onLead(() => { led++ })
  t.equal(led, 1)
  t.equal(workers.leads, true)
  workers.subscribe('topic', () => t.fail('nobody else is there'))
  t.same(await workers.broadcast('topic', 1), [])
  workers.serve('double', message => Number(message) * 2)
  t.equal(await workers.ask('double', 21), 42)
  await t.rejects(workers.ask('nothing', 1), { message: 'nobody serves nothing' })
})
