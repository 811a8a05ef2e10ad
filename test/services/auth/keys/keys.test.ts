import { createServer } from 'node:http'
import { once } from 'node:events'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportJWK } from 'jose'
import type { JWK } from 'jose'
import t from 'tap'
import type { Test } from 'tap'
import { KeySet, parseKeySet } from '../../../../services/auth/keys/key-set.js'
import { fileLoader, urlLoader } from '../../../../services/auth/keys/load-keys.js'
import { keyIds, trustedKey } from '../../../../services/auth/keys/trusted-key.js'
import { ecKey, libtrustKid, publicJwk } from '../../../helpers/tokens.js'

const setOf = (...keys: unknown[]): string => JSON.stringify({ keys })

t.test('a key is called by its thumbprint and by the name libtrust gives it', async t => {
  for (const { publicKey } of [ecKey(), ecKey('P-521'), generateKeyPairSync('rsa', { modulusLength: 2048 }), generateKeyPairSync('ed25519')]) {
    const [thumbprint = '', libtrust] = await keyIds(publicKey)
    t.match(thumbprint, /^[\w-]{43}$/)
    t.equal(libtrust, libtrustKid(publicKey))
    t.match(libtrust, /^(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}$/)
  }
})

t.test('the thumbprint is that of RFC 7638', async t => {
  const jwk = { kty: 'RSA', e: 'AQAB', alg: 'RS256', kid: '2011-04-29', n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw' }
  const keys = await parseKeySet(setOf(jwk))
  t.same([...keys.keys()].filter(id => !id.includes(':')), ['NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs', '2011-04-29'])
  t.same(keys.get('2011-04-29')?.algorithms, ['RS256'])
})

t.test('a key verifies the signatures it is for, and one that is for none is no key', async t => {
  const algorithms = (key: Parameters<typeof trustedKey>[0]): unknown => trustedKey(key)?.algorithms
  t.same(algorithms(ecKey().publicKey), ['ES256'])
  t.same(algorithms(ecKey('P-384').publicKey), ['ES384'])
  t.same(algorithms(ecKey('P-521').publicKey), ['ES512'])
  t.same(algorithms(generateKeyPairSync('ed25519').publicKey), ['EdDSA'])
  t.same(algorithms(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey), ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])
  t.equal(algorithms(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey), undefined)
  t.equal(algorithms(ecKey('secp256k1').publicKey), undefined)
  t.equal(algorithms(generateKeyPairSync('x25519').publicKey), undefined)
})

t.test('of a key set what can verify is used, and the rest is passed over', async t => {
  const [signing, other] = [ecKey(), ecKey()]
  const strange: unknown[] = [
    { kty: 'oct', k: 'c2VjcmV0', kid: 'oct' }, { kty: 'new', kid: 'new' }, null, 'x', [], { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid: 'broken' },
    await publicJwk(other, { kid: 'enc', use: 'enc' }), await publicJwk(other, { kid: 'ops', key_ops: ['encrypt'] }), await publicJwk(other, { kid: 'alg', alg: 'ES384' })
  ]
  const keys = await parseKeySet(setOf(...strange, await publicJwk(signing, { kid: 'good', use: 'sig', key_ops: ['verify'] })))
  t.same([...keys.keys()].sort(), ['good', ...await keyIds(signing.publicKey)].sort())
  for (const text of [setOf(...strange), setOf(), '{}', 'null', '[]', '{"keys":{}}', 'x']) await t.rejects(parseKeySet(text), Error, text)
})

t.test('of a private key in a set the public half is used', async t => {
  const pair = ecKey()
  const keys = await parseKeySet(setOf({ ...await exportJWK(pair.privateKey), kid: 'k' }))
  t.equal(keys.get('k')?.key.type, 'public')
})

/** A key set whose clock and content the test moves. */
function moved (t: Test): { set: KeySet, clock: { now: number }, content: { text: string | Error | Promise<string> }, counts: { loads: number, changes: number, failures: number } } {
  const clock = { now: 1_000_000 }
  const content: { text: string | Error | Promise<string> } = { text: '' }
  const counts = { loads: 0, changes: 0, failures: 0 }
  const set = new KeySet({
    now: () => clock.now,
    maxAgeMs: 600_000,
    cooldownMs: 10_000,
    changed: () => { counts.changes++ },
    failed: () => { counts.failures++ },
    load: async () => {
      counts.loads++
      if (content.text instanceof Error) throw content.text
      return await content.text
    }
  })
  return { set, clock, content, counts }
}

t.test('however many ask for a key that is not there, the set is read once, and again after the cooldown', async t => {
  const { set, clock, content, counts } = moved(t)
  const one: JWK = await publicJwk(ecKey(), { kid: 'one' })
  let answer: (text: string) => void = () => {}
  content.text = new Promise(resolve => { answer = resolve })
  const asking = Array.from({ length: 1000 }, async () => { await set.refresh() })
  answer(setOf(one))
  await Promise.all(asking)
  t.equal(counts.loads, 1)
  t.ok(set.get('one'))
  content.text = setOf(one, await publicJwk(ecKey(), { kid: 'two' }))
  clock.now += 9_999
  await set.refresh()
  t.equal(counts.loads, 1)
  t.notOk(set.get('two'))
  clock.now += 1
  await set.refresh()
  t.same(counts, { loads: 2, changes: 2, failures: 0 })
  t.ok(set.get('two'))
})

t.test('keys that cannot be read again stay in use, and failures cool down too', async t => {
  const { set, clock, content, counts } = moved(t)
  content.text = setOf(await publicJwk(ecKey(), { kid: 'one' }))
  await set.refresh()
  for (const text of [new Error('down'), 'garbage', setOf()]) {
    content.text = text
    clock.now += 10_000
    await Promise.all([set.refresh(), set.refresh()])
    await set.refresh()
    t.ok(set.get('one'))
  }
  t.same(counts, { loads: 4, changes: 1, failures: 3 })
})

t.test('a set is read again when it is old, without anybody waiting for it', async t => {
  const { set, clock, content, counts } = moved(t)
  content.text = setOf(await publicJwk(ecKey(), { kid: 'one' }))
  await set.refresh()
  clock.now += 599_999
  set.touch()
  t.equal(counts.loads, 1)
  content.text = setOf(await publicJwk(ecKey(), { kid: 'two' }))
  clock.now += 1
  set.touch()
  t.ok(set.get('one'), 'until the new one is there')
  await set.refresh()
  t.notOk(set.get('one'))
  t.ok(set.get('two'))
  clock.now -= 3_600_000
  set.touch()
  t.equal(counts.loads, 3, 'a clock that was set back holds nothing up')
  await set.refresh()
  t.equal(counts.changes, 2, 'the same keys are no change')
})

t.test('a file is read when it is another, also when one is moved over it', async t => {
  const path = join(t.testdir({ keys: 'one' }), 'keys')
  const load = fileLoader(path)
  t.equal(await load(), 'one')
  t.equal(await load(), undefined)
  writeFileSync(path, 'three')
  t.equal(await load(), 'three')
})

t.test('a URL is read within bounds', async t => {
  const stalled: Array<() => void> = []
  const server = createServer((request, response) => {
    if (request.url === '/good') return response.end('{}')
    if (request.url === '/redirect') return response.writeHead(302, { location: '/good' }).end()
    if (request.url === '/large') return response.end(Buffer.alloc(5000))
    if (request.url === '/slow') return stalled.push(() => { response.end() })
    response.writeHead(503).end('no')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  const limits = { timeoutMs: 200, maxBytes: 4096 }
  t.equal(await urlLoader(`${url}/good`, limits)(), '{}')
  await t.rejects(urlLoader(`${url}/large`, limits)(), /more than 4096 bytes/)
  await t.rejects(urlLoader(`${url}/down`, limits)(), /answered 503/)
  await t.rejects(urlLoader(`${url}/redirect`, limits)())
  await t.rejects(urlLoader(`${url}/slow`, limits)(), { name: 'TimeoutError' })
})
