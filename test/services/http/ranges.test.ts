import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { OciError } from '../../../services/errors/oci-error.js'
import { parseContentRange } from '../../../services/http/content-range.js'
import { multipartRanges } from '../../../services/http/multipart.js'
import { decideRange, matchesEtag } from '../../../services/http/range.js'
import type { ByteRange } from '../../../services/storage/driver.js'

type Expected = 'full' | 'unsatisfiable' | ByteRange

function check (name: string, table: ReadonlyArray<readonly [header: string | undefined, size: number, expected: Expected]>): void {
  t.test(name, async t => {
    for (const [header, size, expected] of table) {
      t.same(decideRange(header, size), typeof expected === 'string' ? expected : [expected], `${String(header).slice(0, 80)} of ${size}`)
    }
  })
}

check('a range inside the content is exactly that part (R-058)', [
  ['bytes=500-1499', 2048, { start: 500, end: 1499 }],
  ['bytes=0-0', 2048, { start: 0, end: 0 }],
  ['bytes=2047-2047', 2048, { start: 2047, end: 2047 }],
  ['bytes=0-2047', 2048, { start: 0, end: 2047 }],
  ['bytes=000-0009', 2048, { start: 0, end: 9 }],
  ['bytes= 5-9 ', 2048, { start: 5, end: 9 }]
])

check('a range without an end goes to the end (R-059)', [
  ['bytes=500-', 2048, { start: 500, end: 2047 }],
  ['bytes=0-', 1, { start: 0, end: 0 }],
  ['bytes=2047-', 2048, { start: 2047, end: 2047 }]
])

check('a suffix is the last bytes, or all when there are fewer (R-060, R-064)', [
  ['bytes=-500', 2048, { start: 1548, end: 2047 }],
  ['bytes=-1', 2048, { start: 2047, end: 2047 }],
  ['bytes=-2048', 2048, { start: 0, end: 2047 }],
  ['bytes=-5000', 2048, { start: 0, end: 2047 }],
  [`bytes=-${'9'.repeat(400)}`, 2048, { start: 0, end: 2047 }]
])

check('an end behind the content is clamped, however large (R-061, R-066)', [
  ['bytes=2000-5000', 2048, { start: 2000, end: 2047 }],
  ['bytes=0-2048', 2048, { start: 0, end: 2047 }],
  ['bytes=0-9223372036854775808', 2048, { start: 0, end: 2047 }],
  ['bytes=7-99999999999999999999999999', 2048, { start: 7, end: 2047 }],
  [`bytes=1-${'9'.repeat(400)}`, 2048, { start: 1, end: 2047 }]
])

check('a range that runs backwards or begins behind the content is refused (R-062, R-063)', [
  ['bytes=500-0', 2048, 'unsatisfiable'],
  ['bytes=1-0', 2048, 'unsatisfiable'],
  ['bytes=5000-10000', 2048, 'unsatisfiable'],
  ['bytes=2048-', 2048, 'unsatisfiable'],
  ['bytes=2048-2048', 2048, 'unsatisfiable'],
  ['bytes=9223372036854775808-', 2048, 'unsatisfiable'],
  [`bytes=${'9'.repeat(400)}-${'9'.repeat(400)}`, 2048, 'unsatisfiable']
])

check('no bytes at the end, and any byte of nothing, cannot be had (R-065)', [
  ['bytes=-0', 2048, 'unsatisfiable'],
  ['bytes=-000', 2048, 'unsatisfiable'],
  ['bytes=0-', 0, 'unsatisfiable'],
  ['bytes=0-0', 0, 'unsatisfiable'],
  ['bytes=0-1023', 0, 'unsatisfiable'],
  ['bytes=-5', 0, 'unsatisfiable']
])

check('no header, unknown units and what cannot be parsed mean everything (R-066)', [
  undefined, '', ' ', 'bytes', 'bytes=', 'bytes=-', 'bytes=--5', 'bytes=1', 'bytes=a-b', 'bytes=0x1-0x5', 'bytes=1.5-2', 'bytes=+1-5', 'bytes=1-2-3', 'bytes=-1-5',
  'bytes=1 - 5', 'bytes 0-5', 'bytes:0-5', 'Bytes=0-5', 'BYTES=0-5', 'items=0-1', 'items=5-1', ' bytes=0-5', 'xbytes=0-5', 'bytes=0-5;', 'bytes=٣-٥', '0-5'
].map(header => [header, 2048, 'full'] as const))

t.test('of several ranges those that can be had are sent, in the order asked (R-067)', async t => {
  const table: Array<[string, ByteRange[]]> = [
    ['bytes=0-1,3-4', [{ start: 0, end: 1 }, { start: 3, end: 4 }]],
    ['bytes=0-1, -5', [{ start: 0, end: 1 }, { start: 2043, end: 2047 }]],
    ['bytes=100-,0-9', [{ start: 100, end: 2047 }, { start: 0, end: 9 }]],
    ['bytes= 7-8 ,\t2000-9999 ', [{ start: 7, end: 8 }, { start: 2000, end: 2047 }]],
    ['bytes=5000-6000,0-1', [{ start: 0, end: 1 }]],
    ['bytes=0-1,9-8,2048-,-0,5-6', [{ start: 0, end: 1 }, { start: 5, end: 6 }]],
    ['bytes=0-9,5-14', [{ start: 0, end: 9 }, { start: 5, end: 14 }]],
    ['bytes=0-1023,1024-2047', [{ start: 0, end: 1023 }, { start: 1024, end: 2047 }]]
  ]
  for (const [header, expected] of table) t.same(decideRange(header, 2048), expected, header)
})

check('several ranges that all cannot be had are refused', [
  ['bytes=2048-,5000-6000', 2048, 'unsatisfiable'],
  ['bytes=5-4,-0', 2048, 'unsatisfiable'],
  ['bytes=0-1,-5', 0, 'unsatisfiable']
])

check('a list with something that is no range means everything, never a refusal (R-067)', [
  'bytes=0-1,', 'bytes=,0-1', 'bytes=0-1,,3-4', 'bytes=0-1,x', 'bytes=0-1,-', 'bytes=5000-,x', 'bytes=0-1;3-4', 'bytes=0-1 3-4', 'bytes=0-1,bytes=3-4'
].map(header => [header, 2048, 'full'] as const))

check('ranges that together are more than the content are answered with everything, once', [
  ['bytes=0-2047,0-0', 2048, 'full'],
  ['bytes=0-,0-,0-', 2048, 'full'],
  ['bytes=0-1023,1023-2047', 2048, 'full'],
  ['bytes=-2000,-2000', 2048, 'full'],
  [`bytes=${'0-1,'.repeat(20_000)}0-1`, 2048, 'full']
])

/** The parts of a multipart body as a client reads them: head and content. */
function partsOf (body: string, contentType: string): Array<{ head: string, content: string }> {
  const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(contentType)?.[1] ?? 'none'
  const pieces = `\r\n${body}`.split(`\r\n--${boundary}`)
  return pieces.slice(1, -1).map(piece => {
    const end = piece.indexOf('\r\n\r\n')
    return { head: piece.slice(2, end), content: piece.slice(end + 4) }
  })
}

t.test('several parts make a multipart body whose length is known before it is read (R-067)', async t => {
  const content = 'x'.repeat(90) + '0123456789'
  const opened: ByteRange[] = []
  const ranges = [{ start: 95, end: 99 }, { start: 0, end: 0 }, { start: 88, end: 91 }]
  const { contentType, length, stream } = multipartRanges(ranges, 100, async range => {
    opened.push(range)
    return Readable.from([Buffer.from(content.slice(range.start, range.start + 1)), Buffer.from(content.slice(range.start + 1, range.end + 1))])
  })
  t.same(opened, [], 'nothing is opened before it is needed')
  const body = await text(stream)
  t.equal(Buffer.byteLength(body), length)
  t.ok(body.endsWith(`\r\n--${contentType.split('boundary=')[1]}--\r\n`))
  t.same(opened, ranges)
  t.same(partsOf(body, contentType), [
    { head: 'content-type: application/octet-stream\r\ncontent-range: bytes 95-99/100', content: '56789' },
    { head: 'content-type: application/octet-stream\r\ncontent-range: bytes 0-0/100', content: 'x' },
    { head: 'content-type: application/octet-stream\r\ncontent-range: bytes 88-91/100', content: 'xx01' }
  ])
})

t.test('no two multipart bodies have the same boundary', async t => {
  const [one, other] = [1, 2].map(() => multipartRanges([{ start: 0, end: 0 }, { start: 2, end: 2 }], 3, async () => Readable.from([])))
  t.not(one?.contentType, other?.contentType)
})

t.test('a part that cannot be opened fails the multipart body', async t => {
  const failure = new Error('gone')
  const { stream } = multipartRanges([{ start: 0, end: 0 }, { start: 2, end: 2 }], 3, async ({ start }) => {
    if (start === 2) throw failure
    return Readable.from([Buffer.from('x')])
  })
  t.equal(await text(stream).catch((error: unknown) => error), failure)
})

t.test('a multipart body that is given up closes the part it was reading', async t => {
  const part = Readable.from([Buffer.from('x'), Buffer.from('y')])
  const { stream } = multipartRanges([{ start: 0, end: 1 }, { start: 3, end: 3 }], 5, async () => part)
  const chunks = stream[Symbol.asyncIterator]()
  await chunks.next()
  await chunks.next()
  const closed = new Promise(resolve => part.once('close', resolve))
  stream.destroy()
  await closed
  t.equal(part.destroyed, true)
})

const DIGEST = `sha256:${'ab'.repeat(32)}`
const OTHER = `sha256:${'cd'.repeat(32)}`

t.test('If-None-Match names the entity tag: alone, in a list, weak, bare, or as a star (R-057, R-149)', async t => {
  const matching = [
    `"${DIGEST}"`, `W/"${DIGEST}"`, DIGEST, '*', ` "${DIGEST}" `, `"${OTHER}", "${DIGEST}"`, `"${OTHER}","${DIGEST}"`, `"${DIGEST}", "x"`, `W/"x", W/"${DIGEST}"`, '"x", *'
  ]
  for (const header of matching) t.equal(matchesEtag(header, DIGEST), true, header)
})

t.test('If-None-Match that names something else does not match (R-057)', async t => {
  const others = [
    undefined, '', ',', '""', `"${OTHER}"`, OTHER, `W/"${OTHER}"`, `"${DIGEST}`, `${DIGEST}"`, `'${DIGEST}'`, `w/"${DIGEST}"`, `"${DIGEST}0"`, `"${DIGEST.slice(7)}"`,
    `"${DIGEST.toUpperCase()}"`, '"*"', '**', `"${OTHER}" "${DIGEST}"`
  ]
  for (const header of others) t.equal(matchesEtag(header, DIGEST), false, String(header))
})

t.test('Content-Range is start and end, with or without the unit', async t => {
  t.same(parseContentRange('0-9'), { start: 0, end: 9 })
  t.same(parseContentRange('0-0'), { start: 0, end: 0 })
  t.same(parseContentRange('10-19'), { start: 10, end: 19 })
  t.same(parseContentRange('bytes 10-19'), { start: 10, end: 19 })
  t.same(parseContentRange(' 10-19 '), { start: 10, end: 19 })
  t.same(parseContentRange('000010-999999999999999'), { start: 10, end: 999_999_999_999_999 })
})

t.test('a Content-Range that cannot be understood or runs backwards is RANGE_INVALID (R-095)', async t => {
  const headers = [
    '', '-', '0-', '-5', 'a-b', '0-bar', '5-4', '1-0', 'bytes 0-9/10', '0-9/10', '0-9/*', 'bytes */10', 'bytes=0-9', 'Bytes 0-9', 'bytes  0-9', 'items 0-9',
    '0 - 9', '0-9,10-19', '+0-9', '0.5-9', '0x0-0x9', '-1-5', '0--5', '0-9\0', '0\n-9', '٠-٩', '0-9999999999999999', '1'.repeat(100_000)
  ]
  for (const header of headers) {
    let thrown: unknown
    try {
      parseContentRange(header)
    } catch (error) {
      thrown = error
    }
    t.ok(OciError.is(thrown), JSON.stringify(header.slice(0, 40)))
    t.match(thrown, { code: 'RANGE_INVALID', status: 416, detail: `cannot use Content-Range: ${header.slice(0, 64)}` })
  }
})
