import { join } from 'node:path'
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { needs } from '../helpers/clients.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { startProduct } from '../helpers/product.js'
import { CA, ISSUER, SERVICE, access, certificate, ecKey, libtrustKid, publicJwk, signToken } from '../helpers/tokens.js'
import type { Claims } from '../helpers/tokens.js'

const REALM = 'https://auth.example/token'

interface Answer { readonly status: number, readonly challenge: string | null, readonly body: string }

async function ask (url: string, path: string, method: string, authorization?: string): Promise<Answer> {
  const response = await fetch(`${url}${path}`, { method, headers: authorization === undefined ? {} : { authorization } })
  return { status: response.status, challenge: response.headers.get('www-authenticate'), body: await response.text() }
}

t.test('docker\'s registry and ours take the same tokens and answer the others alike', needs('docker-registry', 'openssl'), async t => {
  const directory = t.testdir({ theirs: {}, ours: {} })
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const signer = certificate(directory, 'signer', ecKey())
  const rsaSigner = certificate(directory, 'rsa-signer', rsa)
  const root = certificate(directory, 'root', ecKey(), { extensions: CA })
  const leaf = certificate(directory, 'leaf', ecKey(), { issuer: root })
  const stranger = certificate(directory, 'stranger', ecKey())
  const bundle = join(t.testdir({ 'bundle.pem': `${signer.pem}${rsaSigner.pem}${root.pem}` }), 'bundle.pem')
  const auth = { token: { realm: REALM, service: SERVICE, issuer: ISSUER, rootcertbundle: bundle } }
  const theirs = await startDockerRegistry(t, directory, join(directory, 'theirs'), {}, { auth })
  const ours = await startProduct(t, directory, { auth })

  const kid = libtrustKid(signer.key.publicKey)
  const scope = access('repository:team/app:pull,push')
  const sign = async (claims: Claims = scope, header = {}): Promise<string> => `Bearer ${await signToken(signer.key, { kid, ...header }, claims)}`
  const seconds = Math.floor(Date.now() / 1000)
  const PULL = ['GET', '/v2/team/app/tags/list'] as const
  const both = async (name: string, [method, path]: readonly [string, string], authorization: string | undefined, status: number): Promise<void> => {
    const [theirAnswer, ourAnswer] = await Promise.all([theirs, ours].map(async ({ url }) => await ask(url, path, method, authorization)))
    t.equal(theirAnswer?.status, status, `${name}: docker's registry`)
    t.equal(ourAnswer?.status, status, `${name}: ours`)
    if (status !== 401) return
    t.equal(ourAnswer?.challenge, inOrder(theirAnswer?.challenge ?? ''), name)
    t.same(JSON.parse(ourAnswer?.body ?? ''), JSON.parse(theirAnswer?.body ?? ''), name)
  }

  const requests = [
    ['GET', '/v2/'], PULL, ['PUT', '/v2/team/app/manifests/1'], ['DELETE', '/v2/team/app/manifests/1'], ['GET', '/v2/_catalog'], ['POST', '/v2/team/app/blobs/uploads/'],
    ['POST', `/v2/team/app/blobs/uploads/?mount=sha256:${'a'.repeat(64)}&from=team/base`]
  ] as const
  for (const request of requests) await both(request.join(' '), request, undefined, 401)

  await both('libtrust key id, EC', PULL, await sign(), 404)
  await both('libtrust key id, RSA', PULL, `Bearer ${await signToken({ privateKey: rsa.privateKey }, { alg: 'RS256', kid: libtrustKid(rsa.publicKey) }, scope)}`, 404)
  await both('the base needs no scope', ['GET', '/v2/'], await sign({}), 200)
  await both('a chain', PULL, `Bearer ${await signToken(leaf.key, { x5c: [leaf.der] }, scope)}`, 404)
  await both('a chain with its root', PULL, `Bearer ${await signToken(leaf.key, { x5c: [leaf.der, root.der] }, scope)}`, 404)
  await both('a key in the header, with its libtrust id', PULL, `Bearer ${await signToken(signer.key, { jwk: await publicJwk(signer.key, { kid }) }, scope)}`, 404)
  await both('any action', PULL, await sign(access('repository:team/app:*')), 404)
  await both('expired, within the leeway', PULL, await sign({ ...scope, exp: seconds - 30 }), 404)
  await both('a push', ['POST', '/v2/team/app/blobs/uploads/'], await sign(), 202)

  await both('expired', PULL, await sign({ ...scope, exp: seconds - 90 }), 401)
  await both('not valid yet', PULL, await sign({ ...scope, nbf: seconds + 90 }), 401)
  await both('another issuer', PULL, await sign({ ...scope, iss: 'other' }), 401)
  await both('another audience', PULL, await sign({ ...scope, aud: 'other' }), 401)
  await both('too little', ['PUT', '/v2/team/app/manifests/1'], await sign(access('repository:team/app:pull')), 401)
  await both('another repository', PULL, await sign(access('repository:team/other:pull')), 401)
  await both('a key of nobody', PULL, `Bearer ${await signToken(stranger.key, { kid: libtrustKid(stranger.key.publicKey) }, scope)}`, 401)
  await both('a chain to nowhere', PULL, `Bearer ${await signToken(stranger.key, { x5c: [stranger.der] }, scope)}`, 401)
  await both('garbage', PULL, 'Bearer garbage', 401)
  await both('another scheme', PULL, 'Basic dXNlcjpwYXNz', 401)

  // Registry 3 does not call a forged signature invalid; 2.8 does. Here it is as in registry 3.
  const forged = `Bearer ${await signToken(stranger.key, { kid }, scope)}`
  const [theirAnswer, ourAnswer] = await Promise.all([theirs, ours].map(async ({ url }) => await ask(url, PULL[1], 'GET', forged)))
  t.equal(`${ourAnswer?.challenge},error="invalid_token"`, theirAnswer?.challenge)
})

/** Docker's registry lists the actions of a resource in random order. */
function inOrder (challenge: string): string {
  return challenge.replace(/:(push,pull)(?=[ "])/g, ':pull,push')
}
