import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as macrotask } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { parseRepositoryName, parseTag } from '../../../services/reference/reference.js'
import type { Digest } from '../../../services/reference/reference.js'
import { listRepositories } from '../../../services/registry/catalog.js'
import { concurrently } from '../../../services/registry/concurrently.js'
import { pageOf } from '../../../services/registry/page.js'
import { RepositoryTags } from '../../../services/registry/repository-tags.js'
import type { PageRequest } from '../../../services/registry/types.js'
import type { StorageDriver } from '../../../services/storage/driver.js'
import { FilesystemDriver } from '../../../services/storage/filesystem.js'
import { guarded } from '../../../services/storage/guarded.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { FaultDriver, diskFull } from '../../helpers/fault-driver.js'
import { sha256 } from '../../helpers/images.js'

const NAME = parseRepositoryName('team/app')
const DIGEST = sha256('manifest')
const REPOSITORIES = '/docker/registry/v2/repositories'

async function withRepositories (names: readonly string[]): Promise<FaultDriver> {
  const driver = new MemoryDriver()
  for (const name of names) await driver.write(`${REPOSITORIES}/${name}/_manifests/tags/latest/current/link`, Buffer.from(DIGEST))
  return new FaultDriver(driver)
}

async function names (driver: StorageDriver, page: PageRequest = {}): Promise<readonly string[]> {
  return (await listRepositories(driver, page)).items
}

function tags (driver: StorageDriver): RepositoryTags {
  return new RepositoryTags(driver, NAME)
}

async function disk (t: Test): Promise<{ driver: StorageDriver, root: string }> {
  const root = t.testdir({})
  return { driver: guarded(await FilesystemDriver.open({ rootdirectory: root, fsync: false })), root }
}

t.test('a page of a sorted list', async t => {
  const all = ['B', 'a', 'c', 'e']
  const cases: ReadonlyArray<readonly [string, PageRequest, readonly string[], boolean]> = [
    ['everything', {}, all, false],
    ['the first two', { limit: 2 }, ['B', 'a'], true],
    ['exactly all there are (R-210)', { limit: 4 }, all, false],
    ['more than there are', { limit: 5 }, all, false],
    ['none (R-207)', { limit: 0 }, [], false],
    ['none after one', { limit: 0, last: 'a' }, [], false],
    ['all after one (R-208)', { last: 'a' }, ['c', 'e'], false],
    ['all after one that is not there (R-208)', { last: 'b' }, ['c', 'e'], false],
    ['all after one before the first', { last: 'A' }, all, false],
    ['all after the last', { last: 'e' }, [], false],
    ['all after one behind the last', { last: 'z' }, [], false],
    ['some after one', { limit: 1, last: 'a' }, ['c'], true],
    ['exactly the rest after one', { limit: 2, last: 'a' }, ['c', 'e'], false],
    ['all after nothing', { last: '' }, all, false]
  ]
  for (const [what, request, items, more] of cases) t.same(pageOf(all, request), { items, more }, what)
  t.same(pageOf([], { limit: 3, last: 'x' }), { items: [], more: false })
})

t.test('walking a list page by page meets every entry once', async t => {
  const all = Array.from({ length: 23 }, (_, i) => `tag-${String(i).padStart(2, '0')}`)
  for (const limit of [1, 2, 7, 22, 23, 24]) {
    const seen: string[] = []
    for (let page = pageOf(all, { limit }); ; page = pageOf(all, { limit, last: page.items.at(-1) ?? '' })) {
      seen.push(...page.items)
      if (!page.more) break
    }
    t.same(seen, all, `by ${limit}`)
  }
})

t.test('an empty registry has no repositories', async t => {
  t.same(await listRepositories(new MemoryDriver(), {}), { items: [], more: false })
  t.same(await listRepositories((await disk(t)).driver, { limit: 10, last: 'a' }), { items: [], more: false })
})

// In byte order a-b comes before a/b, because '-' is less than '/'. docker's registry walks directories.
const ORDERED = ['a', 'a/b', 'a/b/c', 'a/d', 'a-b', 'a-b/c', 'a.b', 'a0', 'b/x/y', 'c']

t.test('repositories are listed by path component, nested ones too (R-237)', async t => {
  const driver = await withRepositories([...ORDERED].reverse())
  t.same(await listRepositories(driver, {}), { items: ORDERED, more: false })
})

t.test('the list goes on after any name, whether it is there or not (R-238)', async t => {
  const driver = await withRepositories(ORDERED)
  for (const [i, last] of ORDERED.entries()) t.same(await names(driver, { last }), ORDERED.slice(i + 1), last)
  for (const [last, first] of [
    ['0', 'a'], ['a/a', 'a/b'], ['a/b/b', 'a/b/c'], ['a/b/c/d', 'a/d'], ['a/c', 'a/d'], ['a/z', 'a-b'], ['a-a', 'a-b'], ['a-b/z/z', 'a.b'], ['b', 'b/x/y'], ['b/x', 'b/x/y'], ['b/y', 'c'], ['bb', 'c']
  ] as const) {
    t.same(await names(driver, { last }), ORDERED.slice(ORDERED.indexOf(first)), last)
  }
  for (const last of ['c/c', 'd', 'zzz', '~']) t.same(await listRepositories(driver, { last }), { items: [], more: false }, last)
})

t.test('a page has exactly as many repositories as asked for, and says whether more come (R-238)', async t => {
  const driver = await withRepositories(ORDERED)
  for (let limit = 1; limit <= ORDERED.length + 1; limit++) {
    t.same(await listRepositories(driver, { limit }), { items: ORDERED.slice(0, limit), more: limit < ORDERED.length }, `${limit}`)
  }
  t.same(await listRepositories(driver, { limit: 0 }), { items: [], more: false })
  t.same(await listRepositories(driver, { limit: 2, last: 'a.b' }), { items: ['a0', 'b/x/y'], more: true })
  t.same(await listRepositories(driver, { limit: 3, last: 'a.b' }), { items: ['a0', 'b/x/y', 'c'], more: false })
})

t.test('walking the repositories page by page meets each once', async t => {
  const driver = await withRepositories(ORDERED)
  for (const limit of [1, 3, 10]) {
    const seen: string[] = []
    for (let page = await listRepositories(driver, { limit }); ; page = await listRepositories(driver, { limit, last: page.items.at(-1) ?? '' })) {
      seen.push(...page.items)
      if (!page.more) break
    }
    t.same(seen, ORDERED, `by ${limit}`)
  }
})

t.test('branches before the last name, and behind the page, are not read', async t => {
  const driver = await withRepositories(['a/x', 'b/x', 'c/x', 'd/x'])
  t.same(await names(driver, { last: 'b/x', limit: 1 }), ['c/x'])
  const read = driver.calls.filter(({ operation }) => operation === 'list').map(({ path }) => path.slice(REPOSITORIES.length))
  t.notOk(read.some(path => path.startsWith('/a')), read.join(' '))
})

t.test('a repository is one that holds, or held, a manifest', async t => {
  const driver = new MemoryDriver()
  await driver.write(`${REPOSITORIES}/uploads/_uploads/0f0e0d0c-1a2b-4c3d-8e9f-001122334455/data`, Buffer.alloc(0))
  await driver.write(`${REPOSITORIES}/layers/_layers/sha256/${'a'.repeat(64)}/link`, Buffer.alloc(0))
  await driver.write(`${REPOSITORIES}/parent/child/_manifests/revisions/x`, Buffer.alloc(0))
  await driver.write(`${REPOSITORIES}/held/_manifests/tags/latest/current/link`, Buffer.from(DIGEST))
  await driver.delete(`${REPOSITORIES}/held/_manifests/tags/latest`)
  t.same(await names(driver), ['held', 'parent/child'])
})

t.test('directories and files that are no repositories do no harm', async t => {
  const { driver, root } = await disk(t)
  const base = join(root, REPOSITORIES)
  for (const directory of [
    'good', 'UPPER', 'a..b', '-a', 'a-', 'with space', '@eaDir', 'lost+found', '.hidden', 'ümlaut', 'UPPER/lower', 'good/@eaDir', 'good/Bad', 'good/fine', 'good/_manifests/inner', `${'x'.repeat(130)}/${'x'.repeat(130)}`
  ]) {
    await mkdir(join(base, directory, '_manifests'), { recursive: true })
  }
  await writeFile(join(base, 'stray-file'), '')
  await writeFile(join(base, 'good', 'stray-file'), '')
  t.same(await names(driver), ['good', 'good/fine'])
})

t.test('storage that fails is no empty registry', async t => {
  const driver = await withRepositories(ORDERED)
  for (const operation of ['list', 'stat'] as const) {
    driver.before = call => { if (call.operation === operation) throw diskFull(call) }
    await t.rejects(tags(driver).list({}), { message: /ENOSPC/ })
  }
  for (const path of [REPOSITORIES, `${REPOSITORIES}/${ORDERED[0]}`]) {
    driver.before = call => { if (call.operation === 'list' && call.path === path) throw diskFull(call) }
    await t.rejects(listRepositories(driver, {}), { message: /ENOSPC/ }, path)
  }
})

t.test('a repository nobody wrote, or with only blobs and uploads, has no tag list (R-204)', async t => {
  for (const [what, path] of [['nothing', '/elsewhere'], ['blobs', `${REPOSITORIES}/${NAME}/_layers/x`], ['uploads', `${REPOSITORIES}/${NAME}/_uploads/x`], ['a nested repository', `${REPOSITORIES}/${NAME}/child/_manifests/x`]] as const) {
    const driver = new MemoryDriver()
    await driver.write(path, Buffer.alloc(0))
    await t.rejects(tags(driver).list({}), { code: 'NAME_UNKNOWN', status: 404, detail: { name: NAME } }, what)
    t.same(await tags(driver).pointingAt(new Set([DIGEST])), [], what)
  }
})

t.test('a repository whose manifests have no tags has an empty list (R-203)', async t => {
  for (const driver of [new MemoryDriver(), (await disk(t)).driver]) {
    await driver.write(`${REPOSITORIES}/${NAME}/_manifests/revisions/sha256/${'a'.repeat(64)}/link`, Buffer.alloc(0))
    t.same(await tags(driver).list({}), { items: [], more: false })
    await tags(driver).set(parseTag('latest'), DIGEST)
    t.equal(await tags(driver).delete(parseTag('latest')), true)
    t.same(await tags(driver).list({}), { items: [], more: false })
    t.equal(await tags(driver).delete(parseTag('latest')), false)
  }
})

t.test('tags are in byte order, and in pages (R-202, R-205, R-208)', async t => {
  const { driver } = await disk(t)
  const all = ['1', '10', '2', 'A', 'Z', '_', 'a', 'a-b', 'a.b', 'aB', 'ab', 'z']
  for (const tag of [...all].reverse()) await tags(driver).set(parseTag(tag), DIGEST)
  t.same(await tags(driver).list({}), { items: all, more: false })
  t.same(await tags(driver).list({ limit: 5 }), { items: all.slice(0, 5), more: true })
  t.same(await tags(driver).list({ limit: 5, last: 'Z' }), { items: all.slice(5, 10), more: true })
  t.same(await tags(driver).list({ last: 'a.a' }), { items: all.slice(8), more: false })
})

t.test('only what is a tag is listed (R-215)', async t => {
  const { driver, root } = await disk(t)
  await tags(driver).set(parseTag('latest'), DIGEST)
  await tags(driver).set(parseTag('x'.repeat(128)), DIGEST)
  const base = join(root, REPOSITORIES, NAME, '_manifests', 'tags')
  for (const directory of ['-dash', '.dot', 'with space', '@eaDir', 'y'.repeat(129), 'ümlaut', 'a+b']) await mkdir(join(base, directory))
  t.same((await tags(driver).list({})).items, ['latest', 'x'.repeat(128)])
  t.same(await tags(driver).pointingAt(new Set([DIGEST])), ['latest', 'x'.repeat(128)])
})

t.test('a tag without a current link points at nothing', async t => {
  const driver = new MemoryDriver()
  await tags(driver).set(parseTag('latest'), DIGEST)
  await driver.write(`${REPOSITORIES}/${NAME}/_manifests/tags/half/index/sha256/${'a'.repeat(64)}/link`, Buffer.from(DIGEST))
  t.equal(await tags(driver).get(parseTag('half')), undefined)
  t.same(await tags(driver).pointingAt(new Set([DIGEST])), ['latest'])
})

t.test('the tags on a digest are those that point at it now', async t => {
  const driver = new MemoryDriver()
  const other = sha256('other')
  for (const [tag, digest] of [['a', DIGEST], ['b', other], ['moved', DIGEST], ['moved', other], ['c', DIGEST]] as const) await tags(driver).set(parseTag(tag), digest)
  t.same(await tags(driver).pointingAt(new Set<Digest>([DIGEST])), ['a', 'c'])
  t.same(await tags(driver).pointingAt(new Set<Digest>([DIGEST, other])), ['a', 'b', 'c', 'moved'])
  t.same(await tags(driver).pointingAt(new Set<Digest>()), [])
})

t.test('no more than sixteen operations run at a time, and never fewer while there is work', async t => {
  let running = 0
  let most = 0
  const waiting: Array<() => void> = []
  const all = concurrently(Array.from({ length: 100 }, (_, i) => i), async i => {
    most = Math.max(most, ++running)
    await new Promise<void>(resolve => { waiting.push(resolve) })
    running--
    return i * 2
  })
  let left = 100
  while (left > 0) {
    await macrotask()
    t.equal(running, Math.min(16, left))
    left--
    // Last in, first out, so that results come in another order than the items.
    waiting.pop()?.()
  }
  t.same(await all, Array.from({ length: 100 }, (_, i) => i * 2))
  t.equal(most, 16)
})

t.test('fewer items than the bound run all at once, and none is no work', async t => {
  let running = 0
  const results = await concurrently(['a', 'b', 'c'], async item => {
    running++
    await macrotask()
    t.equal(running, 3)
    return item.toUpperCase()
  })
  t.same(results, ['A', 'B', 'C'])
  t.same(await concurrently([], async () => { t.fail('there is nothing to do') }), [])
})

t.test('a failing operation fails the whole', async t => {
  await t.rejects(concurrently([1, 2, 3], async item => {
    if (item === 2) throw new Error('two')
    return item
  }), { message: 'two' })
})

t.test('a list of many tags asks storage for no more than sixteen at a time', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  for (let i = 0; i < 50; i++) await tags(driver).set(parseTag(`tag-${i}`), DIGEST)
  let running = 0
  let most = 0
  driver.before = async ({ operation }) => {
    if (operation !== 'read') return
    most = Math.max(most, ++running)
    await macrotask()
    running--
  }
  t.equal((await tags(driver).pointingAt(new Set([DIGEST]))).length, 50)
  t.equal(most, 16)
})
