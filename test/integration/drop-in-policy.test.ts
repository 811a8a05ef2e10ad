import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryConfigInput } from '../../schemas/config/index.js'
import { needs } from '../helpers/clients.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { blob } from '../helpers/images.js'
import type { Blob } from '../helpers/images.js'
import { startProduct } from '../helpers/product.js'

const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'
const OCI = 'application/vnd.oci.image.manifest.v1+json'
const FOREIGN = { [DOCKER]: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', [OCI]: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip' }
const CONFIG = { [DOCKER]: 'application/vnd.docker.container.image.v1+json', [OCI]: 'application/vnd.oci.image.config.v1+json' }

/** A manifest with one layer that is kept elsewhere, and the config it needs. */
function manifestOf (mediaType: typeof DOCKER | typeof OCI, url: string, configType: string = CONFIG[mediaType]): { config: Blob, bytes: string, mediaType: string } {
  const config = blob('{}', configType)
  const layer = { mediaType: FOREIGN[mediaType], digest: blob('far away').digest, size: 8, urls: [url] }
  return { config, mediaType, bytes: JSON.stringify({ schemaVersion: 2, mediaType, config: { mediaType: configType, digest: config.digest, size: config.size }, layers: url === '' ? [] : [layer] }) }
}

async function push (base: string, { config, bytes, mediaType }: ReturnType<typeof manifestOf>): Promise<{ status: number, body: string }> {
  const { headers } = await fetch(`${base}/v2/a/blobs/uploads/`, { method: 'POST' })
  const location = headers.get('location') ?? ''
  await fetch(`${location}${location.includes('?') ? '&' : '?'}digest=${config.digest}`, { method: 'PUT', body: config.bytes, headers: { 'content-type': 'application/octet-stream' } })
  const answer = await fetch(`${base}/v2/a/manifests/1`, { method: 'PUT', body: bytes, headers: { 'content-type': mediaType } })
  return { status: answer.status, body: await answer.text() }
}

async function both (t: Test, config: RegistryConfigInput): Promise<{ theirs: string, ours: string }> {
  const directory = t.testdir({ theirs: {}, ours: {} })
  const { url: theirs } = await startDockerRegistry(t, directory, join(directory, 'theirs'), {}, { ...config })
  const { url: ours } = await startProduct(t, join(directory, 'ours'), config)
  return { theirs, ours }
}

t.test('the URLs of foreign layers are judged as by docker\'s registry, which answers 500 where we answer 400', needs('docker-registry'), async t => {
  const lists = [
    { allow: ['^https?://good\\.example\\.com/'] },
    { allow: ['^https://'], deny: ['evil'] },
    { deny: ['evil', 'bad$'] }
  ]
  const urls = ['https://good.example.com/l', 'http://good.example.com/l', 'https://evil/l', 'https://x/bad', 'ftp://good.example.com/l', 'https://good.example.com/#f', 'good.example.com']
  for (const rules of lists) {
    const { theirs, ours } = await both(t, { validation: { manifests: { urls: rules } } })
    for (const mediaType of [DOCKER, OCI] as const) {
      for (const url of urls) {
        const manifest = manifestOf(mediaType, url)
        const [expected, { status }] = [await push(theirs, manifest), await push(ours, manifest)]
        t.ok(expected.status === 201 || expected.status === 500, expected.body)
        t.equal(status, expected.status === 201 ? 201 : 400, `${JSON.stringify(rules)} ${mediaType} ${url}`)
      }
    }
  }
})

t.test('classes are refused with the same status, code and message', needs('docker-registry'), async t => {
  for (const classes of [['image'], ['plugin']]) {
    const { theirs, ours } = await both(t, { policy: { repository: { classes } } })
    for (const type of [CONFIG[DOCKER], 'application/vnd.docker.plugin.v1+json', 'application/x-other']) {
      const manifest = manifestOf(DOCKER, '', type)
      const [expected, answer] = [await push(theirs, manifest), await push(ours, manifest)]
      t.equal(answer.status, expected.status)
      if (expected.status !== 201) t.same(JSON.parse(answer.body), JSON.parse(expected.body))
    }
  }
})
