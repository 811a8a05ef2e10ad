import t from 'tap'
import { OCI_MANIFEST } from '../../../schemas/media-types.js'
import { parseTag } from '../../../services/reference/reference.js'
import { blobPath, tagCurrentPath } from '../../../services/registry/layout.js'
import { image, index, sha512 } from '../../helpers/images.js'
import { get, LATEST, MANIFESTS, NAME, open, push, pushBlobs, put, remove, tagsOf, unknown } from '../../helpers/manifest-store.js'

t.test('deleting a tag leaves the manifest and its other tags (R-190)', async t => {
  const { driver, repository } = open()
  const manifest = image()
  for (const tag of ['one', 'two']) await push(repository, manifest, tag)
  await remove(repository, 'one')
  t.same(await tagsOf(repository), ['two'])
  await t.rejects(get(repository, 'one'), unknown)
  for (const reference of ['two', manifest.digest]) t.ok((await get(repository, reference)).bytes.equals(manifest.bytes))
  await t.rejects(driver.stat(`${MANIFESTS}/tags/one`), { message: /path not found/ }, 'with its history')
  await t.rejects(remove(repository, 'one'), unknown, 'R-194')
})

t.test('deleting by digest takes every tag on it, and only those (R-191, R-192)', async t => {
  const { repository } = open()
  const [gone, kept] = [image('gone'), image('kept')]
  for (const tag of ['a', 'b', 'moved']) await push(repository, gone, tag)
  for (const tag of ['c', 'moved']) await push(repository, kept, tag)
  await remove(repository, gone.digest)
  t.same(await tagsOf(repository), ['c', 'moved'])
  for (const reference of ['a', 'b', gone.digest]) await t.rejects(get(repository, reference), unknown)
  t.ok((await get(repository, 'moved')).bytes.equals(kept.bytes))
  await t.rejects(remove(repository, gone.digest), unknown, 'R-194')
})

t.test('a deleted manifest can be pushed again (R-141)', async t => {
  const { repository } = open()
  const manifest = image()
  for (let i = 0; i < 3; i++) {
    await push(repository, manifest, 'latest')
    t.ok((await get(repository, 'latest')).bytes.equals(manifest.bytes))
    await remove(repository, manifest.digest)
    await t.rejects(get(repository, manifest.digest), unknown)
  }
})

t.test('a manifest under two digests goes under both, with all their tags (R-200)', async t => {
  const manifest = image()
  const alias = sha512(manifest.bytes)
  for (const deleted of [manifest.digest, alias]) {
    for (const pushed of [[manifest.digest, alias], [alias]]) {
      const { repository } = open()
      await pushBlobs(repository, manifest.blobs)
      for (const digest of pushed) {
        await repository.manifests.put(manifest.bytes, { mediaType: OCI_MANIFEST, reference: { digest }, tags: [parseTag(digest.slice(0, 6))] })
      }
      await remove(repository, deleted)
      for (const reference of [manifest.digest, alias, 'sha256', 'sha512']) await t.rejects(get(repository, reference), unknown)
      t.same(await tagsOf(repository), [])
      await t.rejects(remove(repository, manifest.digest), unknown)
    }
  }
})

t.test('deleting a child leaves its index alone (R-196, R-197)', async t => {
  const { repository } = open()
  const child = image('child')
  await push(repository, child)
  await put(repository, index([child]), 'latest')
  await remove(repository, child.digest)
  t.ok((await get(repository, 'latest')).bytes.equals(index([child]).bytes))
})

t.test('damaged bytes are never served as a manifest', async t => {
  const manifest = image()
  for (const damage of [manifest.bytes.subarray(1), Buffer.alloc(manifest.size, 'x'), Buffer.alloc(0), Buffer.from('{}')]) {
    const { driver, repository } = open()
    await push(repository, manifest, 'latest')
    await driver.write(blobPath(manifest.digest), damage)
    for (const reference of ['latest', manifest.digest]) await t.rejects(get(repository, reference), /damaged/)
  }
})

t.test('a manifest whose bytes are gone is unknown, and can be deleted', async t => {
  const { driver, repository } = open()
  const manifest = image()
  await push(repository, manifest, 'latest')
  await driver.delete(blobPath(manifest.digest))
  for (const reference of ['latest', manifest.digest]) await t.rejects(get(repository, reference), unknown)
  await remove(repository, manifest.digest)
  t.same(await tagsOf(repository), [])
})

t.test('a broken tag is none', async t => {
  const { driver, repository } = open()
  const manifest = image()
  await push(repository, manifest, 'latest')
  for (const text of ['', 'garbage', manifest.digest.slice(1)]) {
    await driver.write(tagCurrentPath(NAME, LATEST), Buffer.from(text))
    await t.rejects(get(repository, 'latest'), unknown)
    t.equal(await repository.tags.get(LATEST), undefined)
  }
  await driver.write(tagCurrentPath(NAME, LATEST), Buffer.from(`${manifest.digest}\n`))
  t.equal((await get(repository, 'latest')).descriptor.digest, manifest.digest)
})
