import * as sdk from '@azure/storage-blob'
import type { Test } from 'tap'
import { Agent, request } from 'undici'
import { AzureContainer } from '../../services/storage/azure-container.js'
import { azuriteOptions, startAzurite } from '../helpers/azurite.js'
import { certify } from '../helpers/certificates.js'

/** A token as Entra has them; Azurite looks at what it says, and not at its signature. */
function token (): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const claims = { aud: 'https://storage.azure.com', iss: 'https://sts.windows.net/11111111-1111-1111-1111-111111111111/', iat: now - 60, nbf: now - 60, exp: now + 3600, oid: 'o', tid: 't', ver: '1.0' }
  return `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.c2ln`
}

/** A container that is reached by an identity of Entra, over TLS, with a certificate nobody knows. */
export function azureIdentity (t: Test): void {
  t.test('an identity stores, copies and signs URLs, with one delegated key for all of them', async t => {
    const azurite = await startAzurite(t, certify(t.testdir({}), 'azurite'))
    const credential = { getToken: async () => ({ token: token(), expiresOnTimestamp: Date.now() + 3_600_000 }) }
    const options = azuriteOptions(azurite, { skipverify: true })
    const container = new AzureContainer(sdk, options, credential)
    t.teardown(() => { container.close() })
    const etag = await container.put('from', Buffer.from('content'))
    await container.copy({ key: 'from', etag }, 'to')
    const [one = '', two = ''] = await Promise.all([container.signedUrl('to'), container.signedUrl('to')])
    const agent = new Agent({ connect: { rejectUnauthorized: false } })
    t.teardown(async () => { await agent.close() })
    t.equal(await (await request(one, { dispatcher: agent })).body.text(), 'content')
    const [key, other] = [one, two].map(url => ['skoid', 'skt', 'ske'].map(name => new URL(url).searchParams.get(name)))
    t.ok(key?.every(value => value !== null))
    t.same(key, other)
    const untrusting = new AzureContainer(sdk, { ...options, skipverify: false }, credential)
    t.teardown(() => { untrusting.close() })
    await t.rejects(untrusting.head('to'), /self-signed/)
  })
}
