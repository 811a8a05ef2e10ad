import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import t from 'tap'
import { DriverError } from '../../../services/errors/driver-error.js'
import type { FlatStore, StoredObject } from '../../../services/storage/flat-store.js'
import { PartMemory } from '../../../services/storage/part-memory.js'
import { MARK, PieceWriter } from '../../../services/storage/piece-writer.js'
import type { Piece, Pieces, Replacing } from '../../../services/storage/piece-writer.js'

const KIB = 1024
const BYTES = randomBytes(700 * KIB)

interface Kept { bytes: Buffer, etag: string, mark: string }
interface SentPiece extends Piece { readonly bytes: Buffer }

/** A store in a map, whose etags count up. */
class PlayedStore implements Pieces<SentPiece> {
  readonly objects = new Map<string, Kept>()
  readonly dropped: SentPiece[] = []
  sending: (body: Buffer) => Promise<void> = async () => {}
  committed: () => void = () => {}
  #etag = 0

  readonly flat: Pick<FlatStore, 'key' | 'head' | 'get' | 'delete'> = {
    key: path => path,
    head: async key => {
      const found = this.objects.get(key)
      return found && this.#about(found)
    },
    get: async (key, { range = '' } = {}) => {
      const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? []
      const found = this.objects.get(key) as Kept
      const bytes = found.bytes.subarray(Number(start), Number(end) + 1)
      return { ...this.#about(found), size: bytes.length, body: Readable.from([bytes], { objectMode: false }) }
    },
    delete: async keys => { for (const key of keys) this.objects.delete(key) }
  }

  put (key: string, bytes: Buffer, mark = ''): string {
    const etag = String(++this.#etag)
    this.objects.set(key, { bytes: Buffer.from(bytes), etag, mark })
    return etag
  }

  async keep (): Promise<SentPiece[]> { return [] }

  async send (_key: string, body: Buffer): Promise<SentPiece> {
    const bytes = Buffer.from(body)
    await this.sending(body)
    return { bytes, size: bytes.length }
  }

  async join (key: string, pieces: readonly SentPiece[], replacing: Replacing): Promise<string> {
    return await this.replace(key, Buffer.concat(pieces.map(({ bytes }) => bytes)), replacing)
  }

  async replace (key: string, body: Buffer, { etag, mark }: Replacing): Promise<string> {
    if (this.objects.get(key)?.etag !== etag) throw new Error('conflict')
    const made = this.put(key, body, mark)
    this.committed()
    return made
  }

  async drop (pieces: readonly SentPiece[]): Promise<void> { this.dropped.push(...pieces) }

  isConflict (error: unknown): boolean { return error instanceof Error && error.message === 'conflict' }

  open (path: string, memory: PartMemory): PieceWriter<SentPiece> {
    const found = this.objects.get(path) ?? { bytes: Buffer.alloc(0), etag: this.put(path, Buffer.alloc(0)), mark: '' }
    const wrap = (path: string, error: unknown): DriverError => DriverError.is(error) ? error : new DriverError('failed', { driver: 'played', path, cause: error })
    return new PieceWriter({ driver: 'played', store: this.flat as FlatStore, pieces: this, path, memory, wrap }, this.#about(found))
  }

  #about ({ bytes, etag, mark }: Kept): StoredObject {
    return { size: bytes.length, etag, modified: new Date(0), metadata: { [MARK]: mark } }
  }
}

t.test('many uploads go on in the memory of two pieces, also when their clients stall', async t => {
  const store = new PlayedStore()
  const memory = new PartMemory({ partBytes: 100 * KIB, parts: 2, patienceMs: 0 })
  const writers = Array.from({ length: 6 }, (_, i) => store.open(`/up${i}`, memory))
  const ends = writers.map(() => 0)
  // One after the other, so that all but one stall with what they gathered; each of other lengths.
  while (ends.some(end => end < BYTES.length)) {
    for (const [i, writer] of writers.entries()) {
      const end = Math.min((ends[i] ?? 0) + (i + 1) * 13_001, BYTES.length)
      await writer.write([BYTES.subarray(ends[i], end)])
      t.equal(writer.size, end)
      t.ok(memory.state.bytes <= 200 * KIB)
      ends[i] = end
    }
  }
  await writers[0]?.truncate(100_001)
  await writers[1]?.cancel()
  await Promise.all(writers.map(async writer => { await writer.close() }))
  t.same(memory.state, { bytes: 0, waiting: 0 })
  t.ok(store.objects.get('/up0')?.bytes.equals(BYTES.subarray(0, 100_001)))
  t.notOk(store.objects.has('/up1'))
  for (let i = 2; i < 6; i++) t.ok(store.objects.get(`/up${i}`)?.bytes.equals(BYTES))
})

t.test('a piece that cannot be sent ends the file before it; what was sent after it is thrown away, and no memory is lost', async t => {
  const store = new PlayedStore()
  const memory = new PartMemory({ partBytes: 100 * KIB })
  const writer = store.open('/up', memory)
  let sent = 0
  store.sending = async () => { if (++sent === 2) throw new Error('refused') }
  await t.rejects(writer.write([BYTES.subarray(0, 400 * KIB)]).then(async () => { await writer.close() }), { message: /refused/ })
  t.equal(writer.size, 100 * KIB)
  t.ok(store.dropped.length > 0)
  await writer.truncate(0)
  t.equal(writer.size, 0)
  t.equal(store.objects.get('/up')?.bytes.length, 0)
  t.same(memory.state, { bytes: 0, waiting: 0 })
})

t.test('a commit whose answer was lost is recognised by its mark, one of somebody else is not', async t => {
  const store = new PlayedStore()
  const memory = new PartMemory({ partBytes: 100 * KIB })
  for (const length of [10, 250 * KIB]) {
    const path = `/up${length}`
    const lucky = store.open(path, memory)
    await lucky.write([BYTES.subarray(0, length)])
    store.committed = () => { throw new Error('conflict') }
    await lucky.close()
    t.ok(store.objects.get(path)?.bytes.equals(BYTES.subarray(0, length)))
    store.committed = () => {}
    const late = store.open(path, memory)
    await late.write([BYTES.subarray(length, length + 10)])
    store.put(path, Buffer.from('another'))
    const error = await late.close().then(() => undefined, (error: unknown) => error)
    t.ok(DriverError.is(error) && error.kind === 'failed', String(error))
    t.equal(String(store.objects.get(path)?.bytes), 'another')
    const gone = store.open(path, memory)
    await gone.write([Buffer.from('x')])
    store.objects.delete(path)
    const missing = await gone.close().then(() => undefined, (error: unknown) => error)
    t.ok(DriverError.is(missing) && missing.kind === 'path-not-found', String(missing))
  }
  t.same(memory.state, { bytes: 0, waiting: 0 })
})
