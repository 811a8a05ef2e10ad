import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import t from 'tap'
import { basic, htpasswd } from '../helpers/auth.js'
import { needs } from '../helpers/clients.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { image } from '../helpers/images.js'
import { startProduct } from '../helpers/product.js'

const ANN = basic('ann', 'secret')
const manifest = image('logs')

/** The fields of a line of logfmt. */
function fieldsOf (line: string): Record<string, string> {
  return Object.fromEntries([...line.matchAll(/([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)/g)].map(([, key = '', value = '']) => [key, value.startsWith('"') ? JSON.parse(value) as string : value]))
}

/** What differs between any two servers and any two requests. */
const VARYING: ReadonlySet<string> = new Set(['time', 'http.request.id', 'http.request.host', 'http.request.remoteaddr', 'http.response.duration', 'http.response.written', 'instance.id', 'go.version', 'version', 'vars.uuid'])
/** Ours, and messages and details of errors, which are not those of docker's registry. */
const NOT_COMPARED: ReadonlySet<string> = new Set(['http.request.proto', 'err.detail', 'err.message', 'service'])

function comparable (log: string, message: string): Array<Record<string, string>> {
  return log.split('\n').map(fieldsOf).filter(({ msg }) => msg === message).map(fields => Object.fromEntries(Object.entries(fields)
    .filter(([key]) => !NOT_COMPARED.has(key))
    .map(([key, value]): [string, string] => [key, VARYING.has(key) ? 'varies' : key.endsWith('contenttype') ? value.replace(/;.*/, '') : key === 'http.request.uri' ? value.replace(/uploads\/.+/, 'uploads/…') : value])
    .sort()))
}

/**
 * Of each line of the access log what does not vary. Bodies of errors and lists are not the same, byte for byte; and
 * docker's registry counts those of HEAD, which are not sent.
 */
function accessLines (out: string): string[] {
  return out.trimEnd().split('\n').map(line => line.replace(/\[[^\]]*\]/, '[…]').replace(/uploads\/\S+/, 'uploads/…').replace(/(?<=tags\/list .*|HEAD .*|" [45]\d\d )\d+(?= ")/, '…'))
}

t.test('requests have the lines and fields in both logs that docker\'s registry writes', needs('docker-registry'), async t => {
  const directory = t.testdir({ theirs: {} })
  const path = join(directory, 'htpasswd')
  await writeFile(path, htpasswd({ ann: 'secret' }))
  const auth = { htpasswd: { realm: 'Test', path } }
  const log = { fields: { service: 'registry' } }
  const theirs = await startDockerRegistry(t, directory, join(directory, 'theirs'), {}, { auth, log: { ...log, level: 'debug' } })
  const ours = await startProduct(t, directory, { auth, log: { ...log, level: 'debug' } })

  for (const { url } of [theirs, ours]) {
    const send = async (method: string, path: string, { headers = {}, body, authorization = ANN }: { headers?: Record<string, string>, body?: Buffer, authorization?: string } = {}): Promise<Response> => {
      const response = await fetch(new URL(path, url), { method, headers: { 'user-agent': 'test/1.0', ...(authorization === '' ? {} : { authorization }), ...headers }, ...(body === undefined ? {} : { body }) })
      await response.arrayBuffer()
      return response
    }
    await send('GET', '/v2/', { authorization: '' })
    await send('GET', '/v2/', { headers: { referer: 'http://somewhere/' } })
    for (const { bytes, digest } of manifest.blobs) {
      const started = await send('POST', '/v2/team/app/blobs/uploads/')
      const sent = await send('PATCH', started.headers.get('location') ?? '', { body: bytes, headers: { 'content-type': 'application/octet-stream' } })
      const location = sent.headers.get('location') ?? ''
      t.equal((await send('PUT', `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`)).status, 201)
    }
    t.equal((await send('PUT', '/v2/team/app/manifests/1.0', { body: manifest.bytes, headers: { 'content-type': manifest.mediaType } })).status, 201)
    await send('GET', '/v2/team/app/manifests/1.0', { headers: { accept: manifest.mediaType } })
    await send('HEAD', `/v2/team/app/manifests/${manifest.digest}`, { headers: { accept: manifest.mediaType } })
    await send('GET', `/v2/team/app/blobs/${manifest.blobs[0]?.digest ?? ''}`)
    await send('GET', '/v2/team/app/tags/list')
    await send('GET', '/v2/team/app/manifests/nothing')
    await send('GET', '/v2/nowhere/tags/list')
    await send('GET', '/v2/', { authorization: basic('ann', 'wrong') })
  }
  await Promise.all([theirs.stop(), ours.stop()])

  const { stdout, stderr } = await ours.ended
  t.same(accessLines(stdout), accessLines(theirs.out))
  for (const message of ['authorizing request', 'authorized request', 'response completed']) {
    const expected = comparable(theirs.log, message)
    t.ok(expected.length > 10, message)
    // There are more of them here: 2.8 forgets repository and user of a request that was answered well.
    t.match(comparable(stderr, message), expected)
  }
  // 2.8 has no such line for a request it does not let in; the first of a login is no error, the last is.
  const [challenge, ...errors] = comparable(stderr, 'response completed with error')
  const refused = errors.pop()
  t.match([challenge, refused], [{ level: 'info', 'err.code': 'unauthorized' }, { level: 'error', 'err.code': 'unauthorized' }])
  const expected = comparable(theirs.log, 'response completed with error')
  t.equal(expected.length, 2)
  t.match(errors, expected)
  t.match(theirs.log, /level=warning msg="error authorizing context: /)
  t.equal(stderr.match(/level=warning msg="error authorizing context: /g)?.length, 1, 'a first request without credentials is none')
})
