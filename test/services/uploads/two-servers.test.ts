import { Readable } from 'node:stream'
import t from 'tap'
import { parseRepositoryName } from '../../../services/reference/reference.js'
import type { Digest } from '../../../services/reference/reference.js'
import { blobPath, uploadDataPath } from '../../../services/registry/layout.js'
import { StorageNamespace } from '../../../services/registry/namespace.js'
import type { BlobStore } from '../../../services/registry/types.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { forever } from '../../../services/uploads/locks.js'
import { UploadSessions } from '../../../services/uploads/sessions.js'
import { FaultDriver } from '../../helpers/fault-driver.js'
import { sha256 } from '../../helpers/images.js'
import { ObjectDriver } from '../../helpers/object-driver.js'

// Servers on one object store that have no locks in common. Whatever they do to each other, a blob is what its digest says.

const NAME = parseRepositoryName('team/app')

interface Server { readonly blobs: BlobStore, readonly driver: FaultDriver }

function servers (): { readonly one: Server, readonly two: Server, readonly stored: (digest: Digest) => Promise<string | undefined> } {
  const store = new ObjectDriver(new MemoryDriver())
  const server = (): Server => {
    const driver = new FaultDriver(store)
    return { driver, blobs: new StorageNamespace({ driver, uploads: new UploadSessions({ driver }) }).repository(NAME).blobs }
  }
  return { one: server(), two: server(), stored: async digest => await store.read(blobPath(digest)).then(String, () => undefined) }
}

function body (text: string): Readable {
  return Readable.from([Buffer.from(text)], { objectMode: false })
}

async function start ({ blobs }: Server): Promise<string> {
  await using session = await blobs.startUpload()
  return session.id
}

async function patch ({ blobs }: Server, id: string, text: string): Promise<void> {
  await using session = await blobs.resumeUpload(id, forever())
  await session.append(body(text))
  await session.flush()
}

async function put ({ blobs }: Server, id: string, digest: Digest, text = ''): Promise<void> {
  await using session = await blobs.resumeUpload(id, forever())
  if (text !== '') await session.append(body(text))
  await blobs.commitUpload(session, digest)
}

function readsBack ({ driver }: Server): number {
  return driver.calls.filter(({ operation }) => operation === 'createReadStream').length
}

t.test('what one server has received and hashed, another one closes without reading it', async t => {
  const { one, two, stored } = servers()
  const id = await start(one)
  await patch(one, id, 'content')
  await put(two, id, sha256('content'))
  t.equal(await stored(sha256('content')), 'content')
  t.equal(readsBack(two), 0)
})

t.test('chunks that went to several servers are read once, in the end', async t => {
  const { one, two, stored } = servers()
  const id = await start(one)
  await patch(one, id, 'one,')
  await patch(two, id, 'two,')
  await put(one, id, sha256('one,two,three'), 'three')
  t.equal(await stored(sha256('one,two,three')), 'one,two,three')
  t.equal(readsBack(one), 1)
})

t.test('a hash that a server has kept is worth nothing when another one has put other bytes of the same length there', async t => {
  for (const [closedAs, published] of [['mine', false], ['ours', true]] as const) {
    const { one, two, stored } = servers()
    const id = await start(one)
    const late = await two.blobs.resumeUpload(id, forever())
    await patch(one, id, 'mine')
    await late.append(body('ours'))
    await late[Symbol.asyncDispose]()
    const closing = put(one, id, sha256(closedAs))
    if (published) await closing
    else await t.rejects(closing, { code: 'DIGEST_INVALID' })
    t.equal(await stored(sha256(closedAs)), published ? 'ours' : undefined)
    t.equal(readsBack(one), 0, 'the other one has hashed what is there')
  }
})

t.test('and so is one that another server has kept beside the bytes', async t => {
  const { one, two, stored } = servers()
  const id = await start(one)
  await patch(one, id, 'mine')
  // Its data arrives after everything that the other one wrote, its digests never.
  const late = await two.blobs.resumeUpload(id, forever())
  await late.append(body(''))
  await late[Symbol.asyncDispose]()
  await two.driver.write(uploadDataPath(NAME, id), Buffer.from('ours'))
  await t.rejects(put(two, id, sha256('mine')), { code: 'DIGEST_INVALID' })
  t.equal(await stored(sha256('mine')), undefined)
})

t.test('bytes that change between their verification and their publication are read again', async t => {
  for (const [late, published] of [['other', false], ['bytes', true]] as const) {
    const { one, two, stored } = servers()
    const id = await start(one)
    await patch(one, id, 'byte')
    let moves = 0
    one.driver.before = async ({ operation, path }) => {
      if (operation === 'move' && path === uploadDataPath(NAME, id) && moves++ === 0) await two.driver.write(path, Buffer.from(late))
    }
    const closing = put(one, id, sha256('bytes'), 's')
    if (published) await closing
    else await t.rejects(closing, { code: 'DIGEST_INVALID' })
    t.equal(await stored(sha256('bytes')), published ? 'bytes' : undefined)
    t.ok(moves > 0)
  }
})
