import t from 'tap'
import { startRegistry } from '../testing.js'

t.test('answers the version check', async t => {
  await using registry = await startRegistry()
  const answer = await fetch(`${registry.url}/v2/`)
  t.equal(answer.status, 200)
})
