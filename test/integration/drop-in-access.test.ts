import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { basic, htpasswd } from '../helpers/auth.js'
import { needs } from '../helpers/clients.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { blob, image, sha256 } from '../helpers/images.js'
import { startProduct } from '../helpers/product.js'

interface Asked { readonly name: string, readonly method: string, readonly path: string, readonly authorization?: string, readonly body?: string | Buffer, readonly type?: string }

const ANN = basic('ann', 'secret')
const N = '/v2/team/app'
const manifest = image('access')
const content = blob('access')

const PATHS: ReadonlyArray<readonly [string, string]> = [
  ['GET', '/v2/'], ['HEAD', '/v2/'], ['GET', '/v2/_catalog'], ['GET', `${N}/tags/list`], ['GET', `${N}/manifests/1.0`], ['HEAD', `${N}/manifests/1.0`],
  ['PUT', `${N}/manifests/1.0`], ['DELETE', `${N}/manifests/${manifest.digest}`], ['GET', `${N}/blobs/${content.digest}`], ['DELETE', `${N}/blobs/${content.digest}`],
  ['POST', `${N}/blobs/uploads/`], ['POST', `${N}/blobs/uploads/?mount=${content.digest}&from=team/base`],
  ['GET', `${N}/blobs/uploads/00000000-0000-4000-8000-000000000000`]
]

const HEADERS: ReadonlyArray<readonly [string, string | undefined]> = [
  ['none', undefined], ['a wrong password', basic('ann', 'wrong')], ['an unknown user', basic('nobody', 'secret')], ['another scheme', 'Bearer abc'],
  ['no base64', 'Basic !!!'], ['no colon', `Basic ${Buffer.from('ann').toString('base64')}`], ['an MD5 hash', basic('old', 'secret')], ['nothing in it', basic('', '')]
]

const REFUSED: readonly Asked[] = HEADERS.flatMap(([what, authorization]) => PATHS.map(([method, path]) => ({ name: `${method} ${path} with ${what}`, method, path, ...(authorization === undefined ? {} : { authorization }) })))

const LET_IN: readonly Asked[] = [
  { name: 'ping', method: 'GET', path: '/v2/' },
  ...manifest.blobs.map(({ digest, bytes }) => ({ name: `start of ${digest}`, method: 'POST', path: `${N}/blobs/uploads/`, body: bytes, type: digest })),
  { name: 'manifest', method: 'PUT', path: `${N}/manifests/1.0`, body: manifest.bytes, type: manifest.mediaType },
  { name: 'pull', method: 'GET', path: `${N}/manifests/1.0` },
  { name: 'tags', method: 'GET', path: `${N}/tags/list` },
  { name: 'catalog', method: 'GET', path: '/v2/_catalog' },
  { name: 'missing', method: 'GET', path: `/v2/team/missing/blobs/${sha256('missing')}` },
  { name: 'delete', method: 'DELETE', path: `${N}/manifests/${manifest.digest}` }
].map(asked => ({ ...asked, authorization: ANN }))

/** What of an answer tells one registry from another. */
async function answer (url: string, { method, path, authorization, body, type }: Asked): Promise<object> {
  const headers = { accept: manifest.mediaType, ...(authorization === undefined ? {} : { authorization }), ...(type === undefined || type.startsWith('sha256:') ? {} : { 'content-type': type }) }
  const response = await fetch(`${url}${path}`, { method, headers, ...(body === undefined || type?.startsWith('sha256:') === true ? {} : { body: body as Uint8Array<ArrayBuffer> }) })
  const text = await response.text()
  if (type?.startsWith('sha256:') === true) {
    const location = new URL(response.headers.get('location') ?? '', url)
    location.searchParams.set('digest', type)
    const closed = await fetch(location, { method: 'PUT', headers, body: body as Uint8Array<ArrayBuffer> })
    return { started: response.status, closed: closed.status }
  }
  const about = Object.fromEntries(['www-authenticate', 'docker-distribution-api-version', 'docker-content-digest', 'retry-after'].map(name => [name, response.headers.get(name)]))
  // How other errors are worded is compared elsewhere.
  return { status: response.status, ...about, body: response.status === 404 && text !== '' ? (JSON.parse(text) as { errors: Array<{ code: string }> }).errors[0]?.code : text.trim() }
}

t.test('htpasswd answers as docker\'s registry does with the same file: statuses, challenges, bodies', needs('docker-registry'), async t => {
  const directory = t.testdir({ htpasswd: `${htpasswd({ ann: 'secret' })}# a comment\n\nold:$apr1$x$abc\n` })
  const auth = { htpasswd: { realm: 'My "own" registry', path: join(directory, 'htpasswd') } }
  const oracle = await startDockerRegistry(t, directory, join(directory, 'theirs'), {}, { auth })
  const product = await startProduct(t, directory, { auth: { htpasswd: { ...auth.htpasswd, throttle: { free: 1000 } } } })
  for (const asked of [...REFUSED, ...LET_IN]) {
    const theirs = await answer(oracle.url, asked)
    t.same(await answer(product.url, asked), theirs, asked.name)
  }
  t.equal(REFUSED.length, PATHS.length * HEADERS.length)
})

t.test('silly answers as docker\'s registry does', needs('docker-registry'), async t => {
  const directory = t.testdir()
  const auth = { silly: { realm: 'https://auth.example/token', service: 'My "own" service' } }
  const oracle = await startDockerRegistry(t, directory, join(directory, 'theirs'), {}, { auth })
  const product = await startProduct(t, directory, { auth })
  for (const [method, path] of PATHS) {
    for (const authorization of [undefined, 'anything']) {
      const asked = { name: `${method} ${path} with ${authorization ?? 'none'}`, method, path, ...(authorization === undefined ? {} : { authorization }) }
      const [theirs, ours] = [await answer(oracle.url, asked), await answer(product.url, asked)]
      if (authorization === undefined) t.same(ours, theirs, asked.name)
      else t.notMatch(ours, { status: 401 }, asked.name)
    }
  }
})

t.test('the recipe with environment variables works here and there, with the same file', needs('docker-registry'), async t => {
  const directory = t.testdir({ htpasswd: htpasswd({ ann: 'secret' }) })
  const variables = { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_REALM: 'Registry Realm', REGISTRY_AUTH_HTPASSWD_PATH: join(directory, 'htpasswd') }
  const file = join(directory, 'config.yml')
  await writeFile(file, JSON.stringify({ version: 0.1, storage: { filesystem: { rootdirectory: join(directory, 'data') } }, http: { addr: '127.0.0.1:0' } }))
  const cli = new URL('../../cli.js', import.meta.url).pathname
  for (const [command, args, listens] of [[process.execPath, [cli, 'serve', file], /listens on http:\/\/([\d.:]+)/], ['docker-registry', ['serve', file], /listening on ([\d.:]+)/]] as const) {
    const child = spawn(command, args, { env: { ...process.env, ...variables }, stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = once(child, 'exit')
    t.teardown(async () => { child.kill('SIGTERM'); await ended })
    let log = ''
    const host = await new Promise<string>((resolve, reject) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        log += text
        const found = listens.exec(log)?.[1]
        if (found !== undefined) resolve(found)
      })
      ended.then(() => { reject(new Error(log)) }, reject)
    })
    const stranger = await fetch(`http://${host}/v2/`)
    t.equal(stranger.status, 401, command)
    t.equal(stranger.headers.get('www-authenticate'), 'Basic realm="Registry Realm"')
    t.equal(await stranger.text(), '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}' + (command === 'docker-registry' ? '\n' : ''))
    t.equal((await fetch(`http://${host}/v2/`, { headers: { authorization: ANN } })).status, 200)
  }
})
