import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { needs } from '../helpers/clients.js'
import { freePort } from '../helpers/docker-registry.js'
import { blob } from '../helpers/images.js'
import { runCli, startProduct } from '../helpers/product.js'
import { startRedis } from '../helpers/redis.js'

const LAYER = blob('a layer')
const ROTTEN = blob('a layer that rots')

t.test('what a command takes away is not remembered in Redis: servers that share it answer 404', needs('redis-server'), async t => {
  const directory = t.testdir()
  const redis = await startRedis(t)
  const product = await startProduct(t, directory, {
    redis: { addr: redis.addr }, storage: { filesystem: { rootdirectory: join(directory, 'data') }, cache: { blobdescriptor: 'redis' } }
  })
  const head = async (digest: string): Promise<number> => (await fetch(`${product.url}/v2/team/app/blobs/${digest}`, { method: 'HEAD' })).status
  for (const { bytes, digest } of [LAYER, ROTTEN]) {
    const pushed = await fetch(`${product.url}/v2/team/app/blobs/uploads/?digest=${digest}`, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: new Uint8Array(bytes) })
    t.equal(pushed.status, 201)
    t.equal(await head(digest), 200)
  }
  const hex = ROTTEN.digest.slice(7)
  await writeFile(join(directory, 'data/docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data'), 'rotten')
  t.equal((await runCli(t, ['verify', '--repair', '--grace', '0s', 'config.yml'], directory)).status, 1)
  t.same([await head(LAYER.digest), await head(ROTTEN.digest)], [200, 404], 'the repair')

  t.equal((await runCli(t, ['garbage-collect', '--dry-run', 'config.yml'], directory)).status, 0)
  t.equal(await head(LAYER.digest), 200, 'nothing was taken away')
  const collected = await runCli(t, ['garbage-collect', 'config.yml'], directory)
  t.equal(collected.status, 0, collected.stderr)
  t.equal(collected.stderr, '')
  t.equal(await head(LAYER.digest), 404, 'the collection')
  await product.stop()
})

t.test('a command does without a Redis that is away, and says so', async t => {
  const port = await freePort()
  const directory = t.testdir({ 'c.yml': `version: 0.1\nstorage: { filesystem: { rootdirectory: ./data }, cache: { blobdescriptor: redis } }\nredis: { addr: "127.0.0.1:${port}" }\n` })
  const { status, stderr } = await runCli(t, ['garbage-collect', 'c.yml'], directory)
  t.equal(status, 0, stderr)
  t.match(stderr, /redis could not be told what is gone/)
})
