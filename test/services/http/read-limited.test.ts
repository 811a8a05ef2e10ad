import { Readable } from 'node:stream'
import t from 'tap'
import { OciError } from '../../../services/errors/oci-error.js'
import { readLimited } from '../../../services/http/read-limited.js'
import { ClientAborted } from '../../../services/http/receive.js'
import { errorOf, pushable } from '../../helpers/bodies.js'

const read = (body: Readable, limit: number, declared?: number): Promise<Buffer> => readLimited(body, { limit, declared })
const TOO_LARGE = { code: 'MANIFEST_INVALID', status: 413, message: 'manifest too large', detail: 'a manifest may have 10 bytes' }

t.test('readLimited reads a body up to and including the limit', async t => {
  for (const [parts, declared] of [[['12345', '67890'], 10], [['12345', '67890'], undefined], [['1', '2'], 2], [[], 0], [[], undefined]] as const) {
    t.equal(String(await read(Readable.from(parts.map(part => Buffer.from(part))), 10, declared)), parts.join(''))
  }
})

t.test('readLimited joins many batches', async t => {
  const source = pushable()
  for (let i = 0; i < 1000; i++) source.push(`${i},`)
  source.push(null)
  t.equal(String(await read(source, 10_000)), Array.from({ length: 1000 }, (_, i) => `${i},`).join(''))
})

t.test('readLimited copies what it keeps: the network reuses its buffers', async t => {
  const network = Buffer.from('content')
  const bytes = await read(Readable.from([network]), 10)
  network.fill('x')
  t.equal(String(bytes), 'content')
})

t.test('readLimited refuses a declared length above the limit before it reads anything (R-178)', async t => {
  const source = Readable.from(['1'])
  const error = await errorOf(read(source, 10, 11))
  t.ok(OciError.is(error))
  t.match(error, TOO_LARGE)
  t.equal(source.readableFlowing, null)
  t.equal(source.destroyed, false)
})

t.test('readLimited refuses a body above the limit although it never ends, whatever it declared (R-178)', async t => {
  for (const declared of [undefined, 5, 10]) {
    const source = pushable()
    source.push('12345')
    source.push('678901')
    const error = await errorOf(read(source, 10, declared))
    t.ok(OciError.is(error))
    t.match(error, TOO_LARGE)
    t.equal(source.destroyed, false, 'the answer can still be sent')
  }
})

t.test('readLimited passes on that the client went away', async t => {
  const source = pushable()
  source.push('123')
  source.destroy()
  t.ok(await errorOf(read(source, 10)) instanceof ClientAborted)
})
