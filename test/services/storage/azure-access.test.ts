import * as sdk from '@azure/storage-blob'
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { parseConfig } from '../../../services/config/parse.js'
import { azureCredential, azureService } from '../../../services/storage/azure-access.js'

t.test('a connection that is used again may be silent for longer than the store keeps unused ones', async t => {
  // Tells its clients that it keeps connections for two seconds, and thinks about the second request for longer.
  let requests = 0
  const server = createServer((_incoming, outgoing) => { setTimeout(() => { outgoing.end('answer') }, ++requests === 2 ? 2500 : 0) })
  server.keepAliveTimeout = 2000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a`
  const { azure } = parseConfig({ storage: { azure: { accountname: 'a', accountkey: 'aa==', container: 'c', serviceurl: url } } }).storage
  if (azure === undefined) throw new Error('no azure')
  const { agent } = azureService(sdk, azure, await azureCredential(sdk, azure))
  t.teardown(() => { agent.destroy(); server.close() })
  const ask = async (): Promise<[string, boolean]> => {
    const request = get(url, { agent })
    const [answer] = await once(request, 'response') as [IncomingMessage]
    const body = await text(answer)
    await new Promise(resolve => { setImmediate(resolve) }) // the connection is free then
    return [body, request.reusedSocket]
  }
  t.same(await ask(), ['answer', false])
  t.same(await ask(), ['answer', true])
})
