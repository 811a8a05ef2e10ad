import t from 'tap'
import { blobPath, linkPath, referrerLinkPath, tagCurrentPath, tagIndexPath, tagPath, uploadDataPath } from '../../../services/registry/layout.js'
import { parseReference, parseTag } from '../../../services/reference/reference.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { blob, image, index, sha256, sha512 } from '../../helpers/images.js'
import { NAME, OTHER, open, push, pushBlob, short, stored, verified } from '../../helpers/verified.js'

const LATEST = parseTag('latest')
const first = image('first')
const [, layer] = first.blobs
const LAYER = layer?.digest ?? sha256('none')
const referrer = image('referrer', { subject: { mediaType: first.mediaType, digest: first.digest, size: first.size } })
const REVISIONS = '_manifests/revisions'

/** A registry with something of everything, and nothing wrong. */
async function healthy (): Promise<MemoryDriver> {
  const driver = new MemoryDriver()
  const repository = open(driver)
  await push(repository, first)
  await push(repository, referrer, referrer.digest)
  await push(repository, index([first, referrer]), 'index')
  await push(repository, first, sha512(first.bytes))
  await pushBlob(repository, Buffer.from('twice named'), sha512('twice named'))
  await push(open(driver, OTHER), first)
  await driver.write(uploadDataPath(NAME, '0190d8a0-1234-7abc-8def-0123456789ab'), Buffer.from('half'))
  return driver
}

t.test('a healthy registry is found healthy, and stays as it is when repaired', async t => {
  const driver = await healthy()
  const before = await stored(driver)
  for (const repair of [false, true]) {
    const { result, lines } = await verified(driver, { repair })
    t.same(lines, [])
    t.match(result, { repositories: 2, manifests: 4, tags: 3, corrupt: 0, missing: 0, orphaned: 0, odd: 0, repaired: 0, young: 0, errors: 0, quarantine: null })
    t.equal(result.blobs, new Set(before.filter(path => path.endsWith('/data') && path.includes('/blobs/'))).size)
    t.ok(result.bytes > 500)
  }
  t.same(await stored(driver), before)
})

t.test('an empty storage is healthy', async t => {
  const { result, lines } = await verified(new MemoryDriver())
  t.same(lines, [])
  t.match(result, { repositories: 0, blobs: 0, corrupt: 0 })
})

t.test('a corrupt blob is named, with every manifest that needs it; repair sets it aside, and its links wait for a new push', async t => {
  const driver = await healthy()
  await driver.write(blobPath(LAYER), Buffer.from('rotten'))
  const expected = [
    `corrupt: ${LAYER}: its 6 bytes are those of ${sha256('rotten')}`,
    `missing: team/app@${first.digest}: content that the manifest refers to is not there: ${LAYER}`,
    `missing: team/other@${first.digest}: content that the manifest refers to is not there: ${LAYER}`
  ].map(short)
  const { lines, result } = await verified(driver)
  t.same(lines, expected)
  t.match(result, { corrupt: 1, missing: 2, repaired: 0 })
  t.equal((await driver.read(blobPath(LAYER))).toString(), 'rotten', 'nothing is touched without repair')

  const forgotten: string[] = []
  const repaired = await verified(driver, { repair: true, forget: async digest => { forgotten.push(digest) } })
  t.same(forgotten, [LAYER], 'caches forget it')
  t.same(repaired.lines, [`${expected[0] ?? ''} (set aside)`, ...expected.slice(1)])
  await t.rejects(driver.stat(blobPath(LAYER)))
  const { quarantine } = repaired.result
  t.match(quarantine, /^\/oci-registry\/quarantine\/verify-\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z-[0-9a-f]{8}$/)
  t.equal((await driver.read(`${quarantine ?? ''}${blobPath(LAYER)}`)).toString(), 'rotten', 'it can be put back')
  t.same((await verified(driver)).lines, expected.slice(1))

  await pushBlob(open(driver, OTHER), layer?.bytes ?? Buffer.alloc(0), LAYER)
  t.same((await verified(driver)).lines, [], 'pushed to one repository it is there for all that link to it')
})

t.test('a corrupt manifest: its links and its tags are named, and set aside by repair', async t => {
  const driver = await healthy()
  await open(driver).tags.delete(parseTag('index'))
  await open(driver).manifests.delete(parseReference(index([first, referrer]).digest))
  await driver.write(blobPath(first.digest), Buffer.from('{}'))
  const { lines } = await verified(driver, { repair: true })
  t.same(lines.filter(line => !line.startsWith('orphaned')), [
    `corrupt: ${first.digest}: its 2 bytes are those of ${sha256('{}')} (set aside)`,
    `missing: team/app@${first.digest}: the content of the manifest is not there (set aside)`,
    `missing: team/app:latest: the manifest that the tag points to is not there: ${first.digest} (set aside)`,
    `missing: team/other@${first.digest}: the content of the manifest is not there (set aside)`,
    `missing: team/other:latest: the manifest that the tag points to is not there: ${first.digest} (set aside)`
  ].map(short))
  await t.rejects(driver.stat(tagPath(NAME, LATEST)))
  t.same((await verified(driver, { repair: true })).lines.filter(line => !line.startsWith('orphaned')), [], 'the second run finds nothing more')
  await push(open(driver), first)
  t.match((await open(driver).manifests.get({ tag: LATEST })).descriptor, { digest: first.digest })
})

t.test('a manifest that an index needs keeps its link', async t => {
  const driver = await healthy()
  await driver.delete(blobPath(referrer.digest))
  const { lines } = await verified(driver, { repair: true })
  t.ok(lines.includes(short(`missing: team/app@${referrer.digest}: the content of the manifest is not there`)), lines.join('\n'))
  t.ok(lines.includes(short(`missing: team/app@${index([first, referrer]).digest}: content that the manifest refers to is not there: ${referrer.digest}`)))
  t.equal((await driver.read(linkPath(NAME, REVISIONS, referrer.digest))).toString(), referrer.digest)
})

t.test('links that nothing needs and that lead nowhere are left over: docker\'s garbage collection leaves such', async t => {
  const driver = await healthy()
  const path = linkPath(NAME, '_layers', sha256('gone'))
  await driver.write(path, Buffer.from(sha256('gone')))
  await driver.write(linkPath(NAME, '_layers', sha256('empty directory')), Buffer.from(''))
  await driver.delete(linkPath(NAME, '_layers', sha256('empty directory')))
  const line = short(`orphaned: team/app@${sha256('gone')}: a link to content that is not there, and that nothing needs`)
  t.same((await verified(driver)).lines, [line])
  t.same((await verified(driver, { repair: true })).lines, [`${line} (set aside)`])
  await t.rejects(driver.stat(path))
  t.same((await verified(driver)).lines, [])
})

for (const [what, content] of [['empty', ''], ['nonsense', 'sha256:zz'], ['too long', 'x'.repeat(2000)], ['of another digest', sha256('other')]] as const) {
  t.test(`a link whose content is ${what} is written again where what it names is there`, async t => {
    const driver = await healthy()
    const paths = [linkPath(NAME, '_layers', LAYER), linkPath(NAME, REVISIONS, first.digest), tagIndexPath(NAME, LATEST, first.digest)]
    for (const path of paths.slice(0, what === 'of another digest' ? 2 : 3)) await driver.write(path, Buffer.from(content))
    const { result } = await verified(driver, { repair: true })
    t.equal(result.corrupt, what === 'of another digest' ? 2 : 3)
    for (const path of paths) t.match((await driver.read(path)).toString(), /^sha256:/)
    t.same((await verified(driver)).lines, [])
    const { bytes } = await open(driver).manifests.get({ tag: LATEST })
    t.ok(bytes.equals(first.bytes))
  })
}

t.test('a broken link to what is not there is set aside', async t => {
  const driver = await healthy()
  await driver.write(linkPath(NAME, '_layers', sha256('gone')), Buffer.from(''))
  const { lines } = await verified(driver, { repair: true })
  t.same(lines, [short(`corrupt: team/app@${sha256('gone')}: the link says nothing that could be understood (set aside)`)])
  t.same((await verified(driver)).lines, [])
})

for (const [what, content, line] of [
  ['broken', '', 'corrupt: team/app:bad: the tag says nothing that could be understood'],
  ['dangling', sha256('gone'), `missing: team/app:bad: the manifest that the tag points to is not there: ${sha256('gone')}`]
] as const) {
  t.test(`a tag that is ${what} is set aside as a whole, and can be put back`, async t => {
    const driver = await healthy()
    const bad = parseTag('bad')
    await driver.write(tagCurrentPath(NAME, bad), Buffer.from(content))
    await driver.write(tagIndexPath(NAME, bad, first.digest), Buffer.from(first.digest))
    t.same((await verified(driver)).lines, [short(line)])
    const { lines, result: { quarantine } } = await verified(driver, { repair: true })
    t.same(lines, [short(`${line} (set aside)`)])
    t.notOk((await open(driver).tags.list({})).items.includes(bad))
    t.equal((await driver.read(`${quarantine ?? ''}${tagIndexPath(NAME, bad, first.digest)}`)).toString(), first.digest)
    t.same((await verified(driver)).lines, [])
  })
}

t.test('a tag that has only a history is left over', async t => {
  const driver = await healthy()
  await driver.write(tagIndexPath(NAME, parseTag('bad'), first.digest), Buffer.from(first.digest))
  t.same((await verified(driver, { repair: true })).lines, ['orphaned: team/app:bad: a tag that points to nothing (set aside)'])
  t.same((await verified(driver)).lines, [])
})

t.test('names under sha512: one of what is not linked, one of other content, one that says nothing', async t => {
  const driver = await healthy()
  const [a, b, c] = [sha512('a'), sha512('b'), sha512('c')]
  await driver.write(linkPath(NAME, '_layers', a), Buffer.from(sha256('a')))
  await driver.write(linkPath(NAME, '_layers', b), Buffer.from(LAYER))
  await driver.write(linkPath(NAME, REVISIONS, c), Buffer.from(''))
  const { lines } = await verified(driver, { repair: true })
  t.same(lines.sort(), [
    `corrupt: team/app@${b}: ${LAYER}, of which it is another name, has ${sha512(layer?.bytes ?? '')} (set aside)`,
    `corrupt: team/app@${c}: the link names no sha256 digest (set aside)`,
    `orphaned: team/app@${a}: ${sha256('a')}, of which it is another name, is not linked here (set aside)`
  ].map(short).sort())
  t.same((await verified(driver)).lines, [])
})

t.test('referrers: one that is gone, one of another subject, one that is not listed', async t => {
  const driver = await healthy()
  await driver.write(referrerLinkPath(NAME, first.digest, sha256('gone')), Buffer.from(sha256('gone')))
  await driver.write(referrerLinkPath(NAME, sha256('other'), referrer.digest), Buffer.from(referrer.digest))
  await driver.delete(referrerLinkPath(NAME, first.digest, referrer.digest))
  const { lines } = await verified(driver, { repair: true })
  t.same(lines.sort(), [
    `odd: team/app@${referrer.digest}: not among the referrers of its subject (written again)`,
    `orphaned: team/app@${referrer.digest}: listed as a referrer of ${sha256('other')}, and is none: ${sha256('other')} (set aside)`,
    `orphaned: team/app@${sha256('gone')}: listed as a referrer of ${first.digest}, and gone: ${first.digest} (set aside)`
  ].map(short).sort())
  t.same((await verified(driver)).lines, [])
  t.match(await open(driver).referrers.list(first.digest), [{ digest: referrer.digest }])
})

t.test('the history of a tag may name what is gone: left over', async t => {
  const driver = await healthy()
  await push(open(driver), image('second'))
  const { lines } = await verified(driver)
  t.same(lines, [], 'the first is still there')
  await driver.write(tagIndexPath(NAME, LATEST, sha256('gone')), Buffer.from(sha256('gone')))
  t.same((await verified(driver, { repair: true })).lines, [short(`orphaned: team/app:latest@${sha256('gone')}: the tag once pointed to a manifest that is gone (set aside)`)])
})

t.test('sizes that are not those of the content, and manifests that would not be accepted, are odd', async t => {
  const driver = await healthy()
  const content = JSON.parse(image('sized').bytes.toString()) as { layers: Array<{ size: number }> }
  const [entry] = content.layers
  if (entry === undefined) throw new Error('no layer')
  entry.size = 7
  const sized = { ...blob(JSON.stringify(content), first.mediaType), blobs: image('sized').blobs }
  await push(open(driver), sized, 'sized')
  const old = blob('{"schemaVersion":1,"mediaType":"application/vnd.docker.distribution.manifest.v1+prettyjws"}')
  await driver.write(blobPath(old.digest), old.bytes)
  await driver.write(linkPath(NAME, REVISIONS, old.digest), Buffer.from(old.digest))
  const { lines, result } = await verified(driver)
  t.same(lines.sort(), [
    `odd: team/app@${old.digest}: a manifest that would not be accepted now: unsupported manifest media type: application/vnd.docker.distribution.manifest.v1+prettyjws`,
    `odd: team/app@${sized.digest}: content has another size than the manifest says: ${sized.blobs[1]?.digest ?? ''}`
  ].map(short).sort())
  t.match(result, { corrupt: 0, missing: 0, odd: 2 })
})

t.test('children that the configuration does not ask for are not missed', async t => {
  const driver = await healthy()
  const sparse = index([image('nowhere')])
  await driver.write(blobPath(sparse.digest), sparse.bytes)
  await driver.write(linkPath(NAME, REVISIONS, sparse.digest), Buffer.from(sparse.digest))
  t.match((await verified(driver)).result, { missing: 1 })
  t.match((await verified(driver, { validation: { disabled: false, platforms: 'none', platformlist: [] } })).result, { missing: 0 })
})

t.test('content that no repository links to is left over, and stays where it is', async t => {
  const driver = await healthy()
  await driver.write(blobPath(sha256('orphan')), Buffer.from('orphan'))
  t.same((await verified(driver, { repair: true })).lines, [short(`orphaned: ${sha256('orphan')}: 6 B that no repository links to`)])
  t.equal((await driver.read(blobPath(sha256('orphan')))).toString(), 'orphan')
})

t.test('what a garbage collection has put aside is not missed', async t => {
  const driver = await healthy()
  const aside = '/oci-registry/quarantine/2026-01-01T000000.000Z-01234567'
  const hex = LAYER.slice(7)
  await driver.move(blobPath(LAYER), `${aside}/blobs/sha256/${hex.slice(0, 2)}/${hex}`)
  await driver.move(linkPath(NAME, REVISIONS, referrer.digest), `${aside}/manifests/${referrer.digest.slice(7)}/team.app`)
  t.same((await verified(driver, { repair: true })).lines, [])
})
