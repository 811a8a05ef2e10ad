import t from 'tap'
import { OCI_INDEX, OCI_MANIFEST } from '../../../schemas/media-types.js'
import { OciErrors } from '../../../services/errors/oci-error.js'
import { hexOf, parseTag } from '../../../services/reference/reference.js'
import { blobPath, linkPath, mediaTypePath, tagCurrentPath, tagIndexPath } from '../../../services/registry/layout.js'
import { FilesystemDriver } from '../../../services/storage/filesystem.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { blob, image, index, sha256, sha512 } from '../../helpers/images.js'
import { descriptorOf, DOCKER_LIST, DOCKER_MANIFEST, get, LATEST, MANIFESTS, NAME, open, push, pushBlobs, put, remove, silent, tagsOf, unknown } from '../../helpers/manifest-store.js'

t.test('a manifest comes back byte by byte, by tag and by digest (R-144, R-155)', async t => {
  const { repository } = open()
  const plain = image()
  await pushBlobs(repository, plain.blobs)
  const bytes = Buffer.from(`\r\n  ${plain.bytes.toString().replace('{', '{ "x-unknown" : [1.0, "\\u00e9"],\t')} \n`)
  const manifest = { ...plain, ...blob(bytes, OCI_MANIFEST) }
  t.same(await put(repository, manifest, 'latest'), { descriptor: descriptorOf(manifest), warnings: [] })
  for (const reference of ['latest', manifest.digest]) {
    const found = await get(repository, reference)
    t.same(found.descriptor, descriptorOf(manifest))
    t.ok(found.bytes.equals(bytes))
  }
})

t.test('a manifest lies where docker\'s registry looks for it', async t => {
  const { driver, repository } = open(await FilesystemDriver.open({ rootdirectory: t.testdir({}), fsync: false }))
  const manifest = image()
  await push(repository, manifest, 'latest')
  const hex = hexOf(manifest.digest)
  t.equal((await driver.read(`${MANIFESTS}/revisions/sha256/${hex}/link`)).toString(), manifest.digest)
  t.equal((await driver.read(`${MANIFESTS}/tags/latest/current/link`)).toString(), manifest.digest)
  t.equal((await driver.read(`${MANIFESTS}/tags/latest/index/sha256/${hex}/link`)).toString(), manifest.digest)
  t.ok((await driver.read(blobPath(manifest.digest))).equals(manifest.bytes))
  t.same(await driver.list(`${MANIFESTS}/revisions/sha256/${hex}`), ['link'])
  t.same(await driver.list(MANIFESTS), ['revisions', 'tags'])
})

t.test('a manifest is unknown under another name, tag and digest (R-147, R-040)', async t => {
  const { repository, other } = open()
  const manifest = image()
  await push(repository, manifest, 'latest')
  for (const reference of ['Latest', 'late', sha256('x'), sha512(manifest.bytes)]) await t.rejects(get(repository, reference), unknown)
  for (const reference of ['latest', manifest.digest]) {
    await t.rejects(get(other, reference), unknown)
    await t.rejects(remove(other, reference), unknown)
  }
})

t.test('the media type of the push is kept where the bytes do not tell it (R-160)', async t => {
  for (const [mediaType, kept] of [[OCI_MANIFEST, false], [DOCKER_MANIFEST, true]] as const) {
    const driver = new MemoryDriver()
    const { repository } = open(driver)
    const manifest = { ...silent(), mediaType }
    t.equal((await push(repository, manifest, 'latest')).descriptor.mediaType, mediaType)
    for (const { repository: reader } of [{ repository }, open(driver)]) {
      for (const reference of ['latest', manifest.digest]) t.equal((await get(reader, reference)).descriptor.mediaType, mediaType)
    }
    t.equal(await driver.read(mediaTypePath(NAME, manifest.digest)).then(String, () => undefined), kept ? mediaType : undefined)
  }
})

t.test('the same for an index', async t => {
  const { repository } = open()
  const manifest = { ...blob(JSON.stringify({ schemaVersion: 2, manifests: [] }), DOCKER_LIST), blobs: [] }
  await put(repository, manifest)
  t.equal((await get(repository, manifest.digest)).descriptor.mediaType, DOCKER_LIST)
  await put(repository, { ...manifest, mediaType: OCI_INDEX })
  t.equal((await get(repository, manifest.digest)).descriptor.mediaType, OCI_INDEX, 'the last push counts')
})

t.test('a media type that was kept goes with its manifest', async t => {
  const { driver, repository } = open()
  const manifest = { ...silent(), mediaType: DOCKER_MANIFEST }
  await push(repository, manifest)
  await remove(repository, manifest.digest)
  await t.rejects(driver.stat(mediaTypePath(NAME, manifest.digest)), { message: /path not found/ })
  await put(repository, { ...manifest, mediaType: OCI_MANIFEST })
  t.equal((await get(repository, manifest.digest)).descriptor.mediaType, OCI_MANIFEST)
})

t.test('bytes of another digest are refused, and nothing is stored (R-156, R-157)', async t => {
  const { driver, repository } = open()
  const manifest = image()
  await pushBlobs(repository, manifest.blobs)
  const bytes = Buffer.from(`${manifest.bytes.toString()}  `)
  for (const digest of [manifest.digest, sha512(manifest.bytes)]) {
    await t.rejects(put(repository, { ...manifest, bytes }, digest), { code: 'DIGEST_INVALID', status: 400 })
  }
  await t.rejects(driver.stat(MANIFESTS), { message: /path not found/ })
  await t.rejects(driver.stat(blobPath(sha256(bytes))), { message: /path not found/ })
})

t.test('a manifest pushed by sha512 is found by either digest, each as it was asked (R-157, R-145)', async t => {
  const { driver, repository } = open()
  const manifest = image()
  const alias = sha512(manifest.bytes)
  t.equal((await push(repository, manifest, alias)).descriptor.digest, alias)
  for (const digest of [alias, manifest.digest]) {
    const { descriptor, bytes } = await get(repository, digest)
    t.same(descriptor, { ...descriptorOf(manifest), digest })
    t.ok(bytes.equals(manifest.bytes))
  }
  t.equal((await driver.read(linkPath(NAME, '_manifests/revisions', alias))).toString(), manifest.digest)
})

t.test('a tag set with a sha512 push answers with that digest (R-145, R-174)', async t => {
  const { repository } = open()
  const manifest = image()
  const alias = sha512(manifest.bytes)
  await pushBlobs(repository, manifest.blobs)
  const tags = ['one', 'two'].map(parseTag)
  await repository.manifests.put(manifest.bytes, { mediaType: manifest.mediaType, reference: { digest: alias }, tags })
  t.same(await tagsOf(repository), ['one', 'two'])
  for (const tag of tags) t.equal((await get(repository, tag)).descriptor.digest, alias)
})

t.test('a manifest may refer to sha512 content (R-157)', async t => {
  const { repository } = open()
  const child = image('child')
  await push(repository, child, sha512(child.bytes))
  const parent = index([{ ...child, digest: sha512(child.bytes) }])
  t.same((await put(repository, parent)).warnings, [])
})

t.test('every missing reference is named, once (R-169)', async t => {
  const { repository, other } = open()
  const [config, layer, extra] = [blob('config', 'a/config'), blob('layer'), blob('extra')]
  const describe = ({ mediaType, digest, size }: typeof config): object => ({ mediaType, digest, size })
  const manifest = image('x', { config: describe(config), layers: [layer, extra, layer, config].map(describe) })
  await pushBlobs(other, [config, layer, extra])
  await pushBlobs(repository, [extra])
  const error: unknown = await put(repository, manifest, 'latest').then(() => undefined, (error: unknown) => error)
  t.ok(error instanceof OciErrors)
  if (error instanceof OciErrors) {
    t.equal(error.status, 400)
    t.same(error.entries().map(({ code, detail }) => [code, detail]), [['MANIFEST_BLOB_UNKNOWN', config.digest], ['MANIFEST_BLOB_UNKNOWN', layer.digest]])
  }
  await t.rejects(get(repository, 'latest'), unknown)
  await t.rejects(get(repository, manifest.digest), unknown)
  await t.rejects(repository.tags.list({}), { code: 'NAME_UNKNOWN' })
})

t.test('an index needs its children in the same repository (R-169, R-040)', async t => {
  const { repository, other } = open()
  const child = image('child')
  await push(other, child)
  await t.rejects(put(repository, index([child])), { code: 'MANIFEST_BLOB_UNKNOWN', detail: child.digest })
  await push(repository, child)
  await put(repository, index([child]))
})

t.test('an index may list blobs (R-168)', async t => {
  const { repository } = open()
  const layers = [blob('one'), blob('two')]
  await pushBlobs(repository, layers)
  t.same((await put(repository, index(layers), 'cache')).warnings, [])
  t.ok((await get(repository, 'cache')).bytes.equals(index(layers).bytes))
})

t.test('an image may not have a manifest for a layer', async t => {
  const { repository } = open()
  const child = image('child')
  await push(repository, child)
  const manifest = image('parent', { layers: [descriptorOf(child)] })
  await pushBlobs(repository, manifest.blobs)
  await t.rejects(put(repository, manifest), { code: 'MANIFEST_BLOB_UNKNOWN', detail: child.digest })
})

t.test('layers that are kept elsewhere need not be here (R-166)', async t => {
  const { repository } = open()
  const foreign = { ...blob('foreign', 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip') }
  const layers = [{ mediaType: foreign.mediaType, digest: foreign.digest, size: foreign.size, urls: ['https://example.com/l'] }]
  const manifest = image('x', { layers })
  t.match((await push(repository, manifest)).warnings, [/non-distributable/])
})

t.test('what need not be there is the operator\'s choice (R-170)', async t => {
  const manifest = image('sparse')
  const children = index([], {
    manifests: [['amd64', 'linux'], ['arm64', 'linux']].map(([architecture, os]) => ({ mediaType: OCI_MANIFEST, size: 1, digest: sha256(String(architecture)), platform: { architecture, os } }))
  })
  const none = open(undefined, { disabled: false, platforms: 'none', platformlist: [] }).repository
  await put(none, children)
  await t.rejects(put(none, manifest), { code: 'MANIFEST_BLOB_UNKNOWN' }, 'an image is checked all the same')
  const some = open(undefined, { disabled: false, platforms: 'list', platformlist: [{ architecture: 'arm64', os: 'linux' }] }).repository
  const error: unknown = await put(some, children).then(() => undefined, (error: unknown) => error)
  t.same(error instanceof OciErrors ? error.errors.map(({ detail }) => detail) : [], [sha256('arm64')])
  const all = open(undefined, { disabled: true, platforms: 'all', platformlist: [] }).repository
  await put(all, manifest)
  await put(all, children)
})

t.test('what is odd but accepted is said (R-011)', async t => {
  const { repository } = open()
  const manifest = silent()
  t.match((await push(repository, manifest)).warnings, [/does not state its mediaType/])
  const [config] = image('x').blobs
  const sized = image('x', { config: { mediaType: config?.mediaType, digest: config?.digest, size: 1 } })
  t.match((await push(repository, sized)).warnings, [/size given for sha256:[0-9a-f]{64} is not/])
})

t.test('a manifest is refused by its content before anything is stored', async t => {
  const { driver, repository } = open()
  await t.rejects(repository.manifests.put(Buffer.from('{}'), { mediaType: OCI_MANIFEST, reference: { tag: LATEST } }), { code: 'MANIFEST_INVALID' })
  await t.rejects(driver.list('/docker'), { message: /path not found/ })
})

t.test('pushing the same manifest again changes nothing (R-189)', async t => {
  const { driver, repository } = open()
  const manifest = image()
  for (let i = 0; i < 3; i++) await push(repository, manifest, 'latest')
  t.same(await tagsOf(repository), ['latest'])
  t.same(await driver.list(`${MANIFESTS}/tags/latest/index/sha256`), [hexOf(manifest.digest)])
})

t.test('a tag moves, and remembers where it was (R-187)', async t => {
  const { driver, repository } = open()
  const [first, second] = [image('first'), image('second')]
  await push(repository, first, 'latest')
  await push(repository, second, 'latest')
  t.equal((await get(repository, 'latest')).descriptor.digest, second.digest)
  t.ok((await get(repository, first.digest)).bytes.equals(first.bytes))
  t.equal((await driver.read(tagCurrentPath(NAME, LATEST))).toString(), second.digest)
  for (const { digest } of [first, second]) t.equal((await driver.read(tagIndexPath(NAME, LATEST, digest))).toString(), digest)
})
