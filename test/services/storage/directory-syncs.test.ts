import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { DirectorySyncs } from '../../../services/storage/directory-syncs.js'

/** A root in which the names can be made, and one in which a file lies where a directory should be. */
function root (t: Test): string {
  return t.testdir({ made: { below: { file: 'x' } } })
}

/** Fails while it runs: a name this long is in no directory that could be opened. */
const unsyncable = (directory: string): string => join(directory, 'n'.repeat(300), 'name')

t.test('names are settled, also those whose directory is gone meanwhile', async t => {
  const directory = root(t)
  const syncs = new DirectorySyncs(directory)
  await t.resolves(syncs.settle([join(directory, 'made/below/file'), join(directory, 'made/below'), join(directory, 'made')]))
  await t.resolves(syncs.settle([join(directory, 'gone/file')]))
  await t.resolves(syncs.settle([]))
  await t.resolves(syncs.settled(join(directory, 'made/below/file')))
})

t.test('who relies on a directory that another one is settling waits for it, and fails with it', async t => {
  const directory = root(t)
  const syncs = new DirectorySyncs(directory)
  const first = syncs.settle([unsyncable(directory)])
  const second = syncs.settle([join(unsyncable(directory), 'below')])
  const third = syncs.settled(join(unsyncable(directory), 'below', 'deeper'))
  const other = syncs.settle([join(directory, 'made/below/file')])
  for (const result of await Promise.allSettled([first, second, third])) t.match(result, { status: 'rejected', reason: { code: 'ENAMETOOLONG' } })
  await other
  await t.resolves(syncs.settled(join(unsyncable(directory), 'below')), 'what has ended is not waited for any more')
})
