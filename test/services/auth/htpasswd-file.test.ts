import { mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import bcrypt from 'bcrypt'
import t from 'tap'
import type { Test } from 'tap'
import { HtpasswdFile } from '../../../services/auth/htpasswd-file.js'
import { ConfigError } from '../../../services/errors/config-error.js'
import { RecordedLog, htpasswd, htpasswdFile } from '../../helpers/auth.js'

/** A file that was written long ago, read by a clock that the test turns. */
async function opened (t: Test, content: string) {
  const path = join(t.testdir(), 'htpasswd')
  const write = async (text: string, seconds: number): Promise<void> => {
    await writeFile(path, text)
    await utimes(path, seconds, seconds)
  }
  await write(content, 1000)
  const log = new RecordedLog()
  let now = 10_000_000
  const file = await HtpasswdFile.open({ path, log, now: () => now })
  return { path, write, log, file, later: (ms: number) => { now += ms } }
}

const namesIn = ({ hashes }: { hashes: ReadonlyMap<string, string> }): string[] => [...hashes.keys()]

t.test('the three prefixes of bcrypt count, everything else never matches', async t => {
  const text = [
    htpasswd({ y: 'secret' }, '2y'), htpasswd({ a: 'secret' }, '2a'), htpasswd({ b: 'secret' }, '2b'),
    'md5:$apr1$x$y\n', 'sha:{SHA}abc\n', 'plain:secret\n', 'x:$2x$04$abc\n', 'broken:$2y$99$abc\n', 'empty:\n'
  ].join('')
  const { file } = await opened(t, text)
  const users = await file.users()
  t.same(namesIn(users), ['y', 'a', 'b'])
  for (const hashed of users.hashes.values()) t.ok(await bcrypt.compare('secret', hashed))
})

t.test('comments, empty lines, Windows line ends; the last line of a user counts; a name ends at the first colon', async t => {
  const last = htpasswd({ ann: 'second' })
  const { file } = await opened(t, `# users\r\n\n  \n${htpasswd({ ann: 'first' }).trim()}\r\n  # more\n  ${last}${htpasswd({ bob: 'x' })}bob:no-hash\n`)
  const { hashes } = await file.users()
  t.same([...hashes], [['ann', last.trim().slice(4).replace('$2y$', '$2b$')]])
})

t.test('a user that is not there costs what most users cost', async t => {
  const cheap = htpasswd({ a: 'x', b: 'x', c: 'x' })
  const { file } = await opened(t, `d:${'$2y$11$'}${cheap.slice(9, 62)}\n${cheap}`)
  const { dummy, hashes } = await file.users()
  t.equal(hashes.size, 4)
  t.match(dummy, /^\$2b\$04\$/)
  t.equal(await bcrypt.compare('', dummy), false)
  const { dummy: alone } = await (await opened(t, '')).file.users()
  t.match(alone, /^\$2b\$10\$/)
})

t.test('a changed file counts after a second; it is not looked at more often', async t => {
  const { file, write, later } = await opened(t, htpasswd({ ann: 'x' }))
  const before = file.users()
  t.notOk(before instanceof Promise, 'known without waiting')
  await write(htpasswd({ bob: 'y' }), 1001)
  later(999)
  t.equal(file.users(), before)
  later(1)
  t.same(namesIn(await file.users()), ['bob'])
})

t.test('a file that is the same is not read again', async t => {
  const { file, later } = await opened(t, htpasswd({ ann: 'x' }))
  const before = await file.users()
  later(5000)
  t.equal(await file.users(), before)
})

t.test('a file that was written a moment ago is looked at every time', async t => {
  const path = await htpasswdFile(t, { ann: 'x' })
  const file = await HtpasswdFile.open({ path, log: new RecordedLog() })
  t.ok(file.users() instanceof Promise)
  await writeFile(path, htpasswd({ bob: 'y' }))
  t.same(namesIn(await file.users()), ['bob'])
})

t.test('a changed file with a line that is none leaves the users as they were, and says so once', async t => {
  const { file, write, later, log, path } = await opened(t, htpasswd({ ann: 'x' }))
  await write(`${htpasswd({ bob: 'y' })}secret of bob\n`, 1001)
  later(1000)
  t.same(namesIn(await file.users()), ['ann'])
  later(1000)
  t.same(namesIn(await file.users()), ['ann'])
  t.same(log.warnings, [{ fields: { path }, message: 'htpasswd: line 2 is no user:hash: the users stay as they were' }])
  await write(htpasswd({ bob: 'y' }), 1002)
  later(1000)
  t.same(namesIn(await file.users()), ['bob'])
})

t.test('a file that is gone lets nobody in until it is back', async t => {
  const { file, write, later, path } = await opened(t, htpasswd({ ann: 'x' }))
  await rm(path)
  later(1000)
  for (let i = 0; i < 2; i++) {
    await t.rejects(Promise.resolve(file.users()), { code: 'UNAVAILABLE', status: 503, detail: 'users cannot be looked up', cause: { code: 'ENOENT' } })
  }
  await write(htpasswd({ ann: 'x' }), 1000)
  t.same(namesIn(await file.users()), ['ann'])
})

t.test('a file that cannot be used at the start is one line of configuration', async t => {
  const directory = t.testdir({ 'is-a-directory': {}, malformed: 'ann:$2y$\nno line\n' })
  for (const [name, line] of [['is-a-directory', /cannot use .*: EISDIR$/], ['malformed', /malformed: line 2 is no user:hash$/], ['malformed/below', /cannot use .*: ENOTDIR$/]] as const) {
    const error = await HtpasswdFile.open({ path: join(directory, name), log: new RecordedLog() }).then(() => undefined, (error: unknown) => error)
    if (!(error instanceof ConfigError)) return t.fail(name)
    t.equal(error.lines.length, 1)
    t.match(error.message, /^auth\.htpasswd\.path: /)
    t.match(error.message, line)
    t.notMatch(error.message, 'no line')
  }
})

t.test('a missing file is made, for its owner alone, with a user docker whose password is said once', async t => {
  const path = join(t.testdir(), 'auth', 'below', 'htpasswd')
  const log = new RecordedLog()
  const { hashes } = await (await HtpasswdFile.open({ path, log })).users()
  t.equal(log.warnings.length, 1)
  const [{ fields, message } = { fields: {}, message: '' }] = log.warnings
  t.equal(message, 'htpasswd is missing, provisioning with default user')
  t.same(Object.keys(fields), ['user', 'password'])
  t.equal(fields['user'], 'docker')
  const password = String(fields['password'])
  t.ok(password.length >= 32)
  t.same([...hashes.keys()], ['docker'])
  t.ok(await bcrypt.compare(password, hashes.get('docker') ?? ''))
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.equal((await stat(join(path, '..'))).mode & 0o777, 0o700)
  const written = await readFile(path, 'utf8')
  t.match(written, /^docker:\$2b\$10\$.{53}\n$/)
  const again = new RecordedLog()
  await HtpasswdFile.open({ path, log: again })
  t.same(again.warnings, [])
  t.equal(await readFile(path, 'utf8'), written)
})

t.test('of several that start at once one makes the file, and the password it says is the right one', async t => {
  const path = join(t.testdir(), 'htpasswd')
  const logs = Array.from({ length: 8 }, () => new RecordedLog())
  const files = await Promise.all(logs.map(async log => await HtpasswdFile.open({ path, log })))
  const said = logs.flatMap(({ warnings }) => warnings)
  t.equal(said.length, 1)
  for (const file of files) {
    const { hashes } = await file.users()
    t.ok(await bcrypt.compare(String(said[0]?.fields['password']), hashes.get('docker') ?? ''))
  }
})

t.test('a file that cannot be read is one line of configuration', async t => {
  // Nobody can read a directory as a file, not even root.
  const path = join(t.testdir({ htpasswd: {} }), 'htpasswd')
  await t.rejects(HtpasswdFile.open({ path, log: new RecordedLog() }), { message: /^auth\.htpasswd\.path: cannot use .*: EISDIR$/ })
})

t.test('a directory that cannot be made is one line of configuration', async t => {
  const path = join(t.testdir({ file: '' }), 'file', 'below', 'htpasswd')
  await mkdir(join(path, '..', '..', '..', 'other'))
  await t.rejects(HtpasswdFile.open({ path, log: new RecordedLog() }), { message: /^auth\.htpasswd\.path: cannot use .*: ENOTDIR$/ })
})
