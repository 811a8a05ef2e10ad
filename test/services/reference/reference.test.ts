import { createHash } from 'node:crypto'
import t from 'tap'
import type { Test } from 'tap'
import { OciError } from '../../../services/errors/oci-error.js'
import type { OciCode } from '../../../services/errors/oci-error.js'
import * as reference from '../../../services/reference/reference.js'

const { isDigest, isRepositoryName, isTag, parseAlgorithm, parseDigest, parseReference, parseRepositoryName, parseTag } = reference

const HEX64 = 'abcdef0123456789'.repeat(4)
const HEX128 = HEX64.repeat(2)
const BLANKS_AND_STRANGERS = [' ', '\n', '\r', '\t', '\0', '\u00a0', '\u200b', '\\', '%2f', 'é', 'ａ', '\u{1f4a9}', '\ud800']

function refusal (run: () => unknown): OciError | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    return OciError.is(error) ? error : undefined
  }
}

function refused (t: Test, run: () => unknown, code: OciCode, status: number, name: string): OciError | undefined {
  const error = refusal(run)
  t.match(error, { code, status }, `${JSON.stringify(name.slice(0, 80))} is refused`)
  return error
}

const GOOD_NAMES = [
  'a', '0', 'library/alpine', 'a/b/c/d/e/f', 'a.b', 'a_b', 'a__b', 'a-b', 'a--b', 'a-----b', '1.2.3', 'a.b_c__d-e---f/0',
  'blobs', 'manifests', 'tags', 'uploads', 'referrers', 'list', 'v2', 'blobs/uploads', 'tags/list', 'v2/manifests/v2',
  'a'.repeat(255), `${'a/'.repeat(127)}a`, `a${'-'.repeat(253)}b`, 'a'.repeat(229)
]
const BAD_NAMES = [
  '', '/', 'A', 'UPPER/x', 'x/UPPER', 'aB', '/a', 'a/', 'a//b', '.', '..', 'a/../b', 'a/./b', '.a', 'a.', '_a', 'a_', '-a', 'a-',
  'a..b', 'a___b', 'a.-b', 'a-.b', 'a._b', 'a_-b', 'a-_b', 'a/.b', 'a/-b', 'a/b_', 'a:b', 'a@b', 'a+b', 'a*b', 'a?b', 'a#b', 'a%b', 'a~b', 'a,b',
  ...BLANKS_AND_STRANGERS.flatMap(text => [text, `a${text}`, `${text}a`, `a${text}b`]), 'a'.repeat(256), `${'a/'.repeat(128)}a`
]

t.test('names in the grammar are taken as they are (R-026, R-027, R-029)', async t => {
  for (const name of GOOD_NAMES) {
    t.equal(parseRepositoryName(name), name)
    t.equal(isRepositoryName(name), true, name)
  }
})

t.test('names outside the grammar or longer than 255 are NAME_INVALID (R-026, R-027, R-028)', async t => {
  for (const name of BAD_NAMES) {
    const error = refused(t, () => parseRepositoryName(name), 'NAME_INVALID', 400, name)
    t.same(error?.detail, { name: name.slice(0, 255) })
    t.equal(isRepositoryName(name), false, name)
  }
})

const GOOD_TAGS = [
  'latest', 'a', 'A', '0', '_', '__', '_.-', '1.0', 'v1.2.3-rc.1_build', 'UPPER', 'a..b', 'a--', 'a.', 'x'.repeat(128),
  `sha256-${HEX64}`, `sha256-${HEX64}.sig`, `sha512-${HEX128.slice(0, 121)}`, 'list', 'uploads'
]
const BAD_TAGS = [
  '', '.', '-', '.a', '-a', '..', '.INVALID_MANIFEST_NAME', 'a/b', '/a', 'a:b', 'a@b', 'a+b', 'a*', 'a~', 'x'.repeat(129), `sha512-${HEX128}`,
  ...BLANKS_AND_STRANGERS.flatMap(text => [text, `a${text}`, `${text}a`])
]

t.test('tags in the grammar are taken, upper and lower case kept (R-030)', async t => {
  for (const tag of GOOD_TAGS) {
    t.equal(parseTag(tag), tag)
    t.equal(isTag(tag), true, tag)
  }
})

t.test('tags outside the grammar or longer than 128 are TAG_INVALID (R-030, R-032)', async t => {
  for (const tag of BAD_TAGS) {
    refused(t, () => parseTag(tag), 'TAG_INVALID', 400, tag)
    t.equal(isTag(tag), false, tag)
  }
})

const GOOD_DIGESTS = [`sha256:${HEX64}`, `sha512:${HEX128}`, `sha256:${'0'.repeat(64)}`, `sha512:${'f'.repeat(128)}`]
const BAD_DIGESTS: Array<[string, string]> = [
  ['', 'invalid checksum digest format'],
  [':', 'invalid checksum digest format'],
  [`:${HEX64}`, 'invalid checksum digest format'],
  [HEX64, 'invalid checksum digest format'],
  ['sha256', 'invalid checksum digest format'],
  ['sha256:', 'invalid checksum digest length'],
  ['sha256:baddigeststring', 'invalid checksum digest length'],
  [`sha256:${HEX64.slice(1)}`, 'invalid checksum digest length'],
  [`sha256:${HEX64}0`, 'invalid checksum digest length'],
  [`sha256:${HEX64}\n`, 'invalid checksum digest length'],
  [`sha256:${HEX128}`, 'invalid checksum digest length'],
  [`sha512:${HEX64}`, 'invalid checksum digest length'],
  [`sha512:${HEX128}0`, 'invalid checksum digest length'],
  [`sha256:${HEX64.toUpperCase()}`, 'invalid checksum digest format'],
  [`sha256:${HEX64.slice(1)}A`, 'invalid checksum digest format'],
  [`sha256:${HEX64.slice(1)}g`, 'invalid checksum digest format'],
  [`sha256:${HEX64.slice(1)}\n`, 'invalid checksum digest format'],
  [`sha256:${HEX64.slice(1)} `, 'invalid checksum digest format'],
  [`sha256:${HEX64.slice(3)}/..`, 'invalid checksum digest format'],
  [`sha512:${'../'.repeat(42)}ab`, 'invalid checksum digest format'],
  [`sha256:${'٣'.repeat(64)}`, 'invalid checksum digest format'],
  [`SHA256:${HEX64}`, 'unsupported digest algorithm: SHA256'],
  [` sha256:${HEX64}`, 'unsupported digest algorithm:  sha256'],
  [`sha384:${HEX64}${HEX64.slice(32)}`, 'unsupported digest algorithm: sha384'],
  [`md5:${HEX64.slice(32)}`, 'unsupported digest algorithm: md5'],
  [`blake3:${HEX64}`, 'unsupported digest algorithm: blake3'],
  [`sha256+b64:${HEX64}`, 'unsupported digest algorithm: sha256+b64'],
  [`name@sha256:${HEX64}`, 'unsupported digest algorithm: name@sha256'],
  ['toString:a', 'unsupported digest algorithm: toString'],
  ['constructor:x', 'unsupported digest algorithm: constructor'],
  ['__proto__:x', 'unsupported digest algorithm: __proto__'],
  [`${'x'.repeat(65)}:a`, `unsupported digest algorithm: ${'x'.repeat(64)}`]
]

t.test('sha256 and sha512 digests are taken (R-033, R-034)', async t => {
  for (const digest of GOOD_DIGESTS) {
    t.equal(parseDigest(digest), digest)
    t.equal(isDigest(digest), true, digest)
  }
})

t.test('anything else is DIGEST_INVALID, never normalised, with the reason (R-034 … R-036)', async t => {
  for (const [text, detail] of BAD_DIGESTS) {
    const error = refused(t, () => parseDigest(text), 'DIGEST_INVALID', 400, text)
    t.equal(error?.detail, detail, JSON.stringify(text.slice(0, 80)))
    t.equal(error?.message, 'invalid digest')
    t.equal(isDigest(text), false, text)
  }
})

t.test('a reference with a colon is a digest or nothing (R-037, R-038)', async t => {
  for (const digest of GOOD_DIGESTS) t.same(parseReference(digest), { digest })
  for (const [text] of BAD_DIGESTS.filter(([text]) => text.includes(':'))) refused(t, () => parseReference(text), 'DIGEST_INVALID', 400, text)
  refused(t, () => parseReference('a:b'), 'DIGEST_INVALID', 400, 'a:b')
})

t.test('a reference without a colon is a tag, also when it looks like a digest (R-039)', async t => {
  for (const tag of GOOD_TAGS) t.same(parseReference(tag), { tag })
  for (const tag of BAD_TAGS.filter(tag => !tag.includes(':'))) refused(t, () => parseReference(tag), 'TAG_INVALID', 400, tag)
  t.same(parseReference(HEX64), { tag: HEX64 })
})

t.test('a digest comes apart into algorithm and hex, and together again', async t => {
  for (const [algorithm, hex] of [['sha256', HEX64], ['sha512', HEX128]] as const) {
    const digest = reference.digestOf(algorithm, hex)
    t.equal(digest, `${algorithm}:${hex}`)
    t.equal(reference.algorithmOf(digest), algorithm)
    t.equal(reference.hexOf(digest), hex)
    t.equal(reference.isCanonical(digest), algorithm === 'sha256')
  }
  t.equal(reference.CANONICAL, 'sha256')
})

t.test('what node:crypto hashes is a digest for every algorithm', async t => {
  for (const algorithm of ['sha256', 'sha512'] as const) {
    t.equal(parseAlgorithm(algorithm), algorithm)
    t.ok(isDigest(reference.digestOf(algorithm, createHash(algorithm).update('x').digest('hex'))))
  }
})

t.test('an algorithm that cannot be verified is DIGEST_INVALID (R-078)', async t => {
  for (const text of ['', 'sha1', 'md5', 'SHA256', 'sha256 ', 'blake3', 'toString', '__proto__', 'hasOwnProperty']) {
    t.equal(refused(t, () => parseAlgorithm(text), 'DIGEST_INVALID', 400, text)?.detail, `unsupported digest algorithm: ${text}`)
  }
  t.equal(refusal(() => parseAlgorithm('x'.repeat(1000)))?.detail, `unsupported digest algorithm: ${'x'.repeat(64)}`)
})

t.test('hostile texts of 100 kB are refused at once, and what is said about them is short', async t => {
  const parsers: Array<[(text: string) => unknown, (text: string) => boolean]> = [
    [parseRepositoryName, isRepositoryName], [parseTag, isTag], [parseDigest, isDigest]
  ]
  const parts = ['a', 'a-', '-', 'a/', 'a__b', 'a.b_', '0', ':', 'sha256:', '\u{1f4a9}']
  for (const part of parts) {
    const text = `${part.repeat(Math.ceil(100_000 / part.length))}!`
    for (const [parse, is] of parsers) {
      const start = performance.now()
      const error = refusal(() => parse(text))
      t.equal(is(text), false)
      t.ok(performance.now() - start < 250, `${part}: ${performance.now() - start} ms`)
      t.ok(error !== undefined && JSON.stringify(error.entries()).length < 2000, 'the answer does not repeat it all')
    }
  }
})

t.test('the longest names of hostile shape are judged in no time', async t => {
  const start = performance.now()
  for (const part of ['a', 'a-', 'a--', 'a.', 'a_', 'a__', 'a/', 'a-a_', '0-0/']) {
    t.equal(isRepositoryName(`${part.repeat(254 / part.length)}!`), false, part)
  }
  t.ok(performance.now() - start < 2000, 'no backtracking that grows faster than the text')
})
