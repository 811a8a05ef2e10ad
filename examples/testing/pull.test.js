// A client that pulls a manifest and tries again when the registry is busy or spoils it; and its tests.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { image, startRegistry } from 'fastify-oci-registry/testing'

async function pull (url, repository, reference, tries = 3) {
  for (;;) {
    tries--
    try {
      const response = await fetch(`${url}/v2/${repository}/manifests/${reference}`)
      if (response.status === 404) return undefined
      const bytes = Buffer.from(await response.arrayBuffer())
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
      if (response.ok && digest === response.headers.get('docker-content-digest')) return bytes
      throw new Error(`status ${response.status}, digest ${digest}`)
    } catch (error) {
      if (tries === 0) throw error
    }
  }
}

let registry, full
const app = image({ layers: [{ 'etc/motd': 'hello' }] })

before(async () => {
  registry = await startRegistry()
  await registry.seed(app, 'team/app:1.0')
  full = registry.snapshot()
})
beforeEach(async () => {
  registry.heal()
  registry.requests.length = 0
  await registry.restore(full)
})
after(() => registry.close())

test('a manifest is pulled, and the registry tells of it', async () => {
  assert.deepEqual(await pull(registry.url, 'team/app', '1.0'), app.bytes)
  const { target } = await registry.events.next('pull')
  assert.equal(target.digest, app.digest)
})

for (const fault of [{ as: 429, retryAfter: 0 }, { as: 'reset' }, { as: 'truncate', after: 10 }, { as: 'corrupt' }, { as: 'wrong-digest' }]) {
  test(`it is tried again after ${fault.as}`, async () => {
    const injected = registry.fail({ ...fault, times: 2 })
    assert.deepEqual(await pull(registry.url, 'team/app', '1.0'), app.bytes)
    assert.equal(injected.hits, 2)
    assert.equal(registry.requests.length, 3)
  })
}

test('it gives up', async () => {
  registry.fail({ as: 500, times: Infinity })
  await assert.rejects(pull(registry.url, 'team/app', '1.0'), /status 500/)
})

test('what is deleted is not there, for this test alone', async () => {
  await fetch(`${registry.url}/v2/team/app/manifests/${app.digest}`, { method: 'DELETE' })
  assert.equal(await pull(registry.url, 'team/app', '1.0'), undefined)
})
