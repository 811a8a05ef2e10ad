import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { exportJWK } from 'jose'
import t from 'tap'
import { SharedSigningKey, fileSigningKey, readPublicKeys } from '../../../../services/auth/keys/signing-key.js'
import type { Message, Workers } from '../../../../services/workers/workers.js'
import { certificate, ecKey, publicJwk, thumbprint } from '../../../helpers/tokens.js'

type Handler = (message: Message) => Message | Promise<Message>

/** Several processes of a server in one: messages go from one to the other, and the leader may die. */
class Cluster {
  readonly #members: Array<{ workers: Workers, topics: Map<string, Handler>, served: Map<string, Handler> }> = []

  join (): Workers {
    const [topics, served] = [new Map<string, Handler>(), new Map<string, Handler>()]
    const members = this.#members
    const workers: Workers = {
      id: members.length + 1,
      get count () { return members.length },
      get leads () { return members[0]?.workers === workers },
      onLead () {},
      async broadcast (topic, message) {
        const answers = await Promise.all(members.filter(member => member.workers !== workers).map(async member => await member.topics.get(topic)?.(structuredClone(message))))
        return answers.filter(answer => answer !== undefined)
      },
      subscribe (topic, handler) { topics.set(topic, handler) },
      async ask (topic, message) {
        const handler = members[0]?.served.get(topic)
        if (handler === undefined) throw new Error('there is no leader')
        return structuredClone(await handler(structuredClone(message)))
      },
      serve (topic, handler) { served.set(topic, handler) }
    }
    members.push({ workers, topics, served })
    return workers
  }

  leaderDies (): void {
    this.#members.shift()
  }
}

t.test('all processes of a server sign with one key, also when the leader that made it has died', async t => {
  const cluster = new Cluster()
  const keys = [1, 2, 3, 4].map(() => new SharedSigningKey(cluster.join()))
  const kids = async (of = keys): Promise<Set<string>> => new Set(await Promise.all(of.map(async key => (await key.get()).kid)))
  const [first, second, third, fourth] = keys as [SharedSigningKey, SharedSigningKey, SharedSigningKey, SharedSigningKey]
  const [kid] = await kids([second, third])
  cluster.leaderDies()
  t.same([...await kids([second, third, fourth])], [kid], 'the new leader had it')
  t.ok(first)
  const late = new SharedSigningKey(cluster.join())
  cluster.leaderDies()
  cluster.leaderDies()
  t.equal((await late.get()).kid, kid)
})

t.test('a new leader that was never asked has the key from the others', async t => {
  const cluster = new Cluster()
  const [, second, third] = [1, 2, 3].map(() => new SharedSigningKey(cluster.join())) as [SharedSigningKey, SharedSigningKey, SharedSigningKey]
  const { kid } = await third.get()
  cluster.leaderDies()
  t.equal((await second.get()).kid, kid)
})

t.test('without a leader the key is unavailable, and there when there is one', async t => {
  const leader: { answer?: Handler } = {}
  const key = new SharedSigningKey({
    id: 1,
    count: 2,
    leads: false,
    onLead () {},
    subscribe () {},
    serve () {},
    async broadcast () { return [] },
    async ask (_topic, message) {
      if (leader.answer === undefined) throw new Error('there is no leader')
      return await leader.answer(message)
    }
  })
  await t.rejects(key.get(), { code: 'UNAVAILABLE', status: 503 })
  leader.answer = async () => await exportJWK(ecKey().privateKey)
  t.ok((await key.get()).kid)
})

t.test('processes that start at once end up with one key in the file', async t => {
  const directory = t.testdir({})
  const path = join(directory, 'key.pem')
  const module = fileURLToPath(new URL('../../../../services/auth/keys/signing-key.js', import.meta.url))
  const script = `import(${JSON.stringify(module)}).then(async ({ fileSigningKey }) => { process.stdout.write((await fileSigningKey('k', ${JSON.stringify(path)})).kid) })`
  const kids = await Promise.all(Array.from({ length: 4 }, async () => (await promisify(execFile)(process.execPath, ['-e', script])).stdout))
  t.equal(new Set(kids).size, 1)
  t.match(kids[0], /^[\w-]{43}$/)
  t.same(readdirSync(directory), ['key.pem'], 'nothing else is left')
})

t.test('a key may be PEM or JWK, of every kind that signs', async t => {
  const directory = t.testdir({})
  const file = (content: string | Buffer): string => {
    const path = join(directory, `${readdirSync(directory).length}`)
    writeFileSync(path, content)
    return path
  }
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const kinds = [[ecKey(), 'ES256'], [ecKey('P-384'), 'ES384'], [ecKey('P-521'), 'ES512'], [rsa, 'RS256'], [generateKeyPairSync('ed25519'), 'EdDSA']] as const
  for (const [pair, algorithm] of kinds) {
    const kid = await thumbprint(pair.publicKey)
    t.match(await fileSigningKey('k', file(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }))), { kid, algorithm })
    t.match(await fileSigningKey('k', file(`\n${JSON.stringify(await exportJWK(pair.privateKey))}`)), { kid, algorithm })
  }
  t.match(await fileSigningKey('k', file(rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }))), { algorithm: 'RS256' })
  for (const content of ['', 'x', '{}', '{', ecKey().publicKey.export({ type: 'spki', format: 'pem' }), ecKey('secp256k1').privateKey.export({ type: 'pkcs8', format: 'pem' }), generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' })]) {
    await t.rejects(fileSigningKey('a.key', file(content)), { name: 'ConfigError', message: /^a\.key: / })
  }
})

t.test('older keys may be certificates, public or private keys, a JWK or a set', async t => {
  const directory = t.testdir({})
  const [one, two, three] = [ecKey(), ecKey(), ecKey()]
  const path = join(directory, 'keys')
  const ids = async (content: string): Promise<string[]> => {
    writeFileSync(path, content)
    return [...(await readPublicKeys('k', path)).keys()].filter(id => id.length === 43)
  }
  const pems = [certificate(directory, 'one', one).pem, two.publicKey.export({ type: 'spki', format: 'pem' }), three.privateKey.export({ type: 'pkcs8', format: 'pem' })]
  const expected = await Promise.all([one, two, three].map(async ({ publicKey }) => await thumbprint(publicKey)))
  t.same(await ids(pems.join('\n')), expected)
  t.same(await ids(JSON.stringify(await publicJwk(one))), expected.slice(0, 1))
  t.same(await ids(JSON.stringify({ keys: [await publicJwk(one), await publicJwk(two)] })), expected.slice(0, 2))
  t.notMatch(readFileSync(path, 'utf8'), /"d":/)
  for (const content of ['', '{}', 'x', ecKey('secp256k1').publicKey.export({ type: 'spki', format: 'pem' }) as string]) await t.rejects(ids(content), { name: 'ConfigError', message: /^k: / })
})
