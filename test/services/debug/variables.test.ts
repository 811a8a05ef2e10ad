import t from 'tap'
import { DebugVariables, summed } from '../../../services/debug/variables.js'

t.test('values are made when somebody looks', async t => {
  const variables = new DebugVariables()
  let active = 0
  variables.publish('redis', () => ({ Active: active }))
  active = 3
  t.same(variables.read(), { redis: { Active: 3 } })
})

t.test('the values of several processes become one: numbers add up, maps merge, lists join, the first of the rest counts', async t => {
  t.same(summed([
    { cache: { hits: 1, names: ['a'] }, only: 'first', version: '1' },
    { cache: { hits: 2, names: ['b'], misses: 5 }, version: '2' },
    { cache: { hits: 4, names: [] } }
  ]), { cache: { hits: 7, names: ['a', 'b'], misses: 5 }, only: 'first', version: '1' })
  t.equal(summed([]), undefined)
})
