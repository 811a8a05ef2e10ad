import { execFileSync } from 'node:child_process'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { PromptReads } from '../../../services/storage/prompt-reads.js'

/** A clock that goes forward by `takes` with every read, of which `reads` waited for a disk. */
function reads (t: Test, content = 'a link') {
  const file = join(t.testdir({ link: content }), 'link')
  const clock = { time: 0, takes: 0, disk: 7, reads: 0, isRunning: false }
  const prompt = new PromptReads({
    now () {
      if (clock.isRunning) {
        clock.time += clock.takes
        clock.disk += clock.reads
      }
      clock.isRunning = !clock.isRunning && clock.takes > 0
      return clock.time
    },
    diskReads: () => clock.disk
  })
  return { file, clock, prompt }
}

t.test('a file is read, and read again when it was replaced', async t => {
  const { file, prompt } = reads(t)
  const first = prompt.read(file, 100)
  t.equal(first?.toString(), 'a link')
  writeFileSync(`${file}.new`, 'another, longer link')
  renameSync(`${file}.new`, file)
  t.equal(prompt.read(file, 100)?.toString(), 'another, longer link')
  t.equal(first?.toString(), 'a link', 'what was read before is left alone')
})

t.test('a file may be as long as the limit, and no longer', async t => {
  const { file, prompt } = reads(t, '12345')
  t.equal(prompt.read(file, 5)?.toString(), '12345')
  t.equal(prompt.read(file, 4), undefined)
  t.equal(prompt.read(file, 10)?.toString(), '12345')
  writeFileSync(file, '')
  t.equal(prompt.read(file, 0)?.length, 0)
})

t.test('what is missing, or is no file, is not to be had', async t => {
  const { file, prompt } = reads(t)
  mkdirSync(`${file}.d`)
  for (const path of [`${file}.none`, `${file}.d`, `${file}/below`]) t.equal(prompt.read(path, 100), undefined, path)
})

t.test('a pipe is not waited for', { skip: process.platform === 'linux' ? false : 'read at once only on Linux' }, async t => {
  const { file, prompt } = reads(t)
  execFileSync('mkfifo', [`${file}.pipe`])
  t.equal(prompt.read(`${file}.pipe`, 100), undefined)
})

t.test('after a read that waited for a disk nobody is stopped for a while', async t => {
  const { file, clock, prompt } = reads(t)
  const isReadAfter = (ms: number): boolean => {
    clock.time += ms
    clock.isRunning = false
    return prompt.read(file, 100)?.toString() === 'a link'
  }
  clock.reads = 1
  clock.takes = 3
  t.ok(isReadAfter(0), 'the slow one')
  t.notOk(isReadAfter(59))
  t.ok(isReadAfter(1), 'twenty times as long')
  clock.takes = 1000
  for (const pause of [60, 400, 800, 1600, 3200, 3200]) {
    t.notOk(isReadAfter(pause - 1), `no longer than ${pause} ms`)
    t.ok(isReadAfter(1))
  }
  clock.takes = 0
  t.ok(isReadAfter(3200))
  clock.takes = 1000
  t.ok(isReadAfter(0))
  t.ok(isReadAfter(100), 'after a fast one the disk is awake')
})

t.test('a read that took long for other reasons changes nothing, nor does a short one from a disk', async t => {
  const { file, clock, prompt } = reads(t)
  clock.takes = 10
  for (let i = 0; i < 3; i++) t.equal(prompt.read(file, 100)?.toString(), 'a link', 'the machine is busy')
  clock.takes = 1
  clock.reads = 1
  for (let i = 0; i < 3; i++) t.equal(prompt.read(file, 100)?.toString(), 'a link', 'the disk is fast')
})

t.test('only where files are on a disk of this machine', { skip: process.platform === 'linux' ? false : 'knows the file systems of Linux' }, async t => {
  t.ok(await PromptReads.below(t.testdir({})) instanceof PromptReads)
  t.equal(await PromptReads.below('/proc'), undefined)
})
