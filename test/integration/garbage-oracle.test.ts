import { execFile } from 'node:child_process'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { parseRepositoryName, parseTag } from '../../services/reference/reference.js'
import type { Digest } from '../../services/reference/reference.js'
import { blobPath, linkPath } from '../../services/registry/layout.js'
import { FilesystemDriver } from '../../services/storage/filesystem.js'
import { needs } from '../helpers/clients.js'
import { isAside, openRepository, pushBlob, pushImage } from '../helpers/garbage-world.js'
import { blob, image, index } from '../helpers/images.js'
import type { Manifest } from '../helpers/images.js'
import { runCli } from '../helpers/product.js'

const run = promisify(execFile)

interface Thing { readonly name: string, readonly digest: Digest }

/** A repository of every kind of thing; says by name what lies where. */
async function fill (rootdirectory: string, also: Preparation['also']): Promise<Record<string, Thing>> {
  const driver = await FilesystemDriver.open({ rootdirectory, fsync: false })
  const things: Record<string, Thing> = {}
  const push = async (what: string, name: string, manifest: Manifest, tag?: string): Promise<Manifest> => {
    await pushImage(openRepository(driver, name), manifest, tag ?? manifest.digest)
    things[what] = { name, digest: manifest.digest }
    for (const [i, { digest }] of manifest.blobs.entries()) things[`${what}, ${i === 0 ? 'config' : 'layer'}`] = { name, digest }
    return manifest
  }
  const descriptor = ({ mediaType, digest, size }: Manifest): object => ({ mediaType, digest, size })
  const tagged = await push('tagged', 'app', image('tagged'), 'v1')
  const untagged = await push('untagged', 'app', image('untagged'))
  await push('once tagged', 'app', image('once tagged'), 'latest')
  await push('tagged now', 'app', image('tagged now'), 'latest')
  const child = await push('child', 'app', image('child'))
  const inner = await push('inner index', 'app', index([child]))
  await push('outer index', 'app', index([inner]), 'multi')
  await push('referrer', 'app', image('referrer', { subject: descriptor(tagged) }))
  await push('referrer of nothing that stays', 'app', image('lost', { subject: descriptor(untagged) }))
  const fallback = await push('referrer by tag schema', 'app', image('fallback', { subject: descriptor(child) }))
  await push('fallback index', 'app', index([fallback]), child.digest.replace(':', '-'))
  await push('shared elsewhere', 'other', image('untagged'), 'kept')
  if (also === 'a deleted child') {
    const gone = await push('deleted child', 'sparse', image('deleted child'))
    await push('index of a deleted child', 'sparse', index([gone]), 'index')
    await openRepository(driver, 'sparse').manifests.delete({ digest: gone.digest })
  }
  if (also === 'a repository without a tag') await push('by digest alone', 'digests', image('by digest'))
  await push('with all tags deleted', 'emptied', image('emptied'), 'only')
  await openRepository(driver, 'emptied').manifests.delete({ tag: parseTag('only') })
  const orphan = blob('nobody refers to it')
  await pushBlob(openRepository(driver, 'app').blobs, orphan)
  things['blob of no manifest'] = { name: 'app', digest: orphan.digest }
  const lonely = blob('in a repository without manifests')
  await pushBlob(openRepository(driver, 'lonely').blobs, lonely)
  things['blob of a repository without manifests'] = { name: 'lonely', digest: lonely.digest }
  return things
}

/** What is still there: `content` and, of manifests, `link`. */
async function left (rootdirectory: string, things: Record<string, Thing>): Promise<Record<string, string>> {
  const driver = await FilesystemDriver.open({ rootdirectory, fsync: false })
  const exists = async (path: string): Promise<boolean> => await driver.stat(path).then(() => true, () => false)
  const found = await Promise.all(Object.entries(things).map(async ([what, { name, digest }]) => {
    const link = await exists(linkPath(parseRepositoryName(name), '_manifests/revisions', digest))
    const content = await exists(blobPath(digest))
    return [what, [...content ? ['content'] : [], ...link ? ['link'] : []].join(' ')] as const
  }))
  return Object.fromEntries(found)
}

interface Preparation {
  readonly also?: 'a deleted child' | 'a repository without a tag'
  readonly spoil?: (root: string, things: Record<string, Thing>) => Promise<void>
}

async function collectBoth (t: Test, options: readonly string[], { also, spoil = async () => {} }: Preparation = {}): Promise<{ docker: Record<string, string>, ours: Record<string, string>, status: number }> {
  const directory = t.testdir({})
  const [theirs, ours] = [join(directory, 'theirs'), join(directory, 'ours')]
  const things = await fill(ours, also)
  await spoil(ours, things)
  await cp(ours, theirs, { recursive: true })
  const config = async (rootdirectory: string): Promise<string> => {
    await writeFile(`${rootdirectory}.yml`, JSON.stringify({ version: '0.1', storage: { filesystem: { rootdirectory } }, http: { addr: ':0' } }))
    return `${rootdirectory}.yml`
  }
  const status = await run('docker-registry', ['garbage-collect', ...options, await config(theirs)]).then(() => 0, (error: { code: number }) => error.code)
  const ended = await runCli(t, ['garbage-collect', ...options, await config(ours)], directory)
  t.equal(ended.status, 0, ended.stderr)
  t.notOk(await isAside(await FilesystemDriver.open({ rootdirectory: ours })))
  return { docker: await left(theirs, things), ours: await left(ours, things), status }
}

/** Where the two differ: what docker's registry left, and we. */
function differences (docker: Record<string, string>, ours: Record<string, string>): Record<string, string> {
  const entries = Object.keys(ours).filter(what => ours[what] !== docker[what]).map(what => [what, `${docker[what]} | ${ours[what]}`] as const)
  return Object.fromEntries(entries)
}

function nothingMoreIsGone (t: Test, docker: Record<string, string>, ours: Record<string, string>): void {
  for (const [what, kept] of Object.entries(docker)) {
    for (const part of kept.split(' ')) t.ok(ours[what]?.includes(part), `${what}: ${part}`)
  }
}

t.test('without -m the two leave the same', needs('docker-registry'), async t => {
  const { docker, ours, status } = await collectBoth(t, [])
  t.equal(status, 0)
  t.same(ours, docker)
  for (const what of ['blob of no manifest', 'blob of a repository without manifests']) t.equal(ours[what], '', what)
})

t.test('an index keeps what a manifest needs that it lists and that was deleted; docker\'s registry does not', needs('docker-registry'), async t => {
  const { docker, ours, status } = await collectBoth(t, [], { also: 'a deleted child' })
  t.equal(status, 0)
  nothingMoreIsGone(t, docker, ours)
  t.same(differences(docker, ours), { 'deleted child, config': ' | content', 'deleted child, layer': ' | content' })
})

t.test('with -m we keep what docker\'s registry keeps, and referrers of what stays, and what an index needs in an index', needs('docker-registry'), async t => {
  const { docker, ours, status } = await collectBoth(t, ['-m'])
  t.equal(status, 0)
  nothingMoreIsGone(t, docker, ours)
  // What docker's registry left, and we. It deletes what an index in an index lists, and everything that refers to something.
  t.same(differences(docker, ours), {
    'inner index': 'content | content link',
    child: ' | content link',
    'child, config': ' | content',
    'child, layer': ' | content',
    referrer: ' | content link',
    'referrer, config': ' | content',
    'referrer, layer': ' | content',
    'referrer by tag schema': 'content | content link',
    'referrer by tag schema, config': ' | content',
    'referrer by tag schema, layer': ' | content'
  })
  for (const what of ['once tagged', 'referrer of nothing that stays', 'with all tags deleted']) t.equal(ours[what], '', what)
})

t.test('with -m a repository that never had a tag is left alone; docker\'s registry gives up', needs('docker-registry'), async t => {
  const { ours, status } = await collectBoth(t, ['-m'], { also: 'a repository without a tag' })
  t.equal(status, 1)
  t.equal(ours['by digest alone'], 'content link')
  t.equal(ours['by digest alone, layer'], 'content')
  t.equal(ours['once tagged'], '')
})

t.test('beside a damaged manifest nothing of its repository is deleted; docker\'s registry gives up', needs('docker-registry'), async t => {
  const { docker, ours, status } = await collectBoth(t, [], {
    spoil: async (root, { tagged }) => { await writeFile(join(root, blobPath(tagged?.digest as Digest)), '{"schemaVersion":2,') }
  })
  t.equal(status, 1)
  t.equal(docker['blob of a repository without manifests'], 'content')
  t.equal(ours['blob of a repository without manifests'], '')
  t.equal(ours['blob of no manifest'], 'content')
  t.equal(ours['tagged, layer'], 'content')
})
