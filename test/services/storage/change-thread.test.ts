import { spawnSync } from 'node:child_process'
import { closeSync, fstatSync, readFileSync, readdirSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { ChangeThread } from '../../../services/storage/change-thread.js'
import type { Call } from '../../../services/storage/changes.js'

/** A thread that runs. */
async function running (t: Test, file?: URL): Promise<{ thread: ChangeThread, directory: string }> {
  const directory = t.testdir({})
  const thread = new ChangeThread(1, file)
  t.teardown(async () => { await thread.close() })
  while (!thread.isRunning) {
    await thread.run([['replace', join(directory, 'first'), Buffer.from('x')]])
    await new Promise(resolve => setImmediate(resolve))
  }
  return { thread, directory }
}

t.test('below so many changes in a second there is no thread, and each change is made at once', async t => {
  const directory = t.testdir({})
  const thread = new ChangeThread(1000)
  for (let i = 0; i < 100; i++) t.equal(thread.run([['replace', join(directory, 'a'), Buffer.from(String(i))]]), undefined)
  t.equal(readFileSync(join(directory, 'a'), 'utf8'), '99')
  t.equal(thread.isRunning, false)
  await thread.close()
})

t.test('what is asked for one after the other is made in that order, without waiting in between', async t => {
  const { thread, directory } = await running(t)
  const file = join(directory, 'a')
  await Promise.all(Array.from({ length: 100 }, (_, i) => thread.run([['replace', file, Buffer.from(String(i))], ['move', file, `${file}${i}`, false]])))
  for (let i = 0; i < 100; i++) t.equal(readFileSync(`${file}${i}`, 'utf8'), String(i))
})

t.test('only the bytes of a change are sent, not the buffer they are a part of', async t => {
  const { thread, directory } = await running(t)
  const buffer = Buffer.from('what is before, content, what is after')
  await thread.run([['replace', join(directory, 'a'), buffer.subarray(16, 23)]])
  t.equal(readFileSync(join(directory, 'a'), 'utf8'), 'content')
})

t.test('a failure says which change it was and why, and nobody else hears of it', async t => {
  const { thread, directory } = await running(t)
  const change = (name: string): Call => ['replace', join(directory, name), Buffer.from(name)]
  const [before, failed, after] = await Promise.all([
    thread.run([change('a')]),
    thread.run([change('b'), ['move', join(directory, 'missing'), join(directory, 'c'), false], change('d')]),
    thread.run([change('e')])
  ])
  t.same([before, after], [undefined, undefined])
  t.match(failed, { at: 1, code: 'ENOENT' })
  t.same(readdirSync(directory).sort(), ['a', 'b', 'e', 'first'])
})

t.test('a file that the thread made can be written to here, also when the thread is gone', async t => {
  const { thread, directory } = await running(t)
  const fd = await thread.run([['create', join(directory, 'deep', 'data')]]) as number
  await thread.close()
  t.equal(fstatSync(fd).size, 0)
  writeSync(fd, 'content')
  closeSync(fd)
  t.equal(readFileSync(join(directory, 'deep', 'data'), 'utf8'), 'content')
})

t.test('close waits for what was asked for before; what is asked for later is done at once', async t => {
  const { thread, directory } = await running(t)
  const changes = Array.from({ length: 50 }, (_, i) => thread.run([['replace', join(directory, `a${i}`), Buffer.from('x')]]))
  await thread.close()
  t.equal(readdirSync(directory).length, 51)
  t.same(await Promise.all(changes), changes.map(() => undefined))
  t.equal(thread.isRunning, false)
  t.equal(thread.run([['replace', join(directory, 'b'), Buffer.from('y')]]), undefined)
  t.equal(readFileSync(join(directory, 'b'), 'utf8'), 'y')
})

t.test('when the thread ends by itself whoever waits hears of it, and the next change is made here', async t => {
  const ends = 'import { parentPort } from "node:worker_threads"; parentPort.on("message", () => process.exit(1))'
  const { thread, directory } = await running(t, new URL(`data:text/javascript,${encodeURIComponent(ends)}`))
  const change: Call = ['replace', join(directory, 'a'), Buffer.from('x')]
  const failure = { at: 0, message: 'the thread that changes files: it ended' }
  t.match(await Promise.all([thread.run([change]), thread.run([change])]), [failure, failure])
  t.equal(thread.isRunning, false)
  t.equal(thread.run([change]), undefined)
  t.equal(readFileSync(join(directory, 'a'), 'utf8'), 'x')
})

t.test('where there can be no thread every change is made here', async t => {
  const directory = t.testdir({})
  const thread = new ChangeThread(1, new URL('https://elsewhere/'))
  for (let i = 0; i < 3; i++) t.equal(thread.run([['replace', join(directory, 'a'), Buffer.from(String(i))]]), undefined)
  t.equal(readFileSync(join(directory, 'a'), 'utf8'), '2')
  t.equal(thread.isRunning, false)
  await thread.close()
})

t.test('a process ends when it has nothing else to do, but not before its changes are made', async t => {
  const directory = t.testdir({})
  const module = new URL('../../../services/storage/change-thread.js', import.meta.url)
  const script = `
    import { ChangeThread } from ${JSON.stringify(module.href)}
    const thread = new ChangeThread(1)
    while (!thread.isRunning) {
      thread.run([['replace', process.argv[1] + '/first', Buffer.from('x')]])
      await new Promise(resolve => setImmediate(resolve))
    }
    for (let i = 0; i < 100; i++) thread.run([['replace', process.argv[1] + '/last', Buffer.from(String(i))]])
  `
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script, directory], { encoding: 'utf8', timeout: 30_000 })
  t.equal(status, 0, stderr)
  t.equal(readFileSync(join(directory, 'last'), 'utf8'), '99')
})
