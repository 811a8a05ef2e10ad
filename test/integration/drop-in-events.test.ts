import { join } from 'node:path'
import t from 'tap'
import type { RegistryEvent } from '../../services/notifications/event.js'
import { needs } from '../helpers/clients.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { startProduct } from '../helpers/product.js'
import { Receiver } from '../helpers/receiver.js'
import { RECORDED } from '../helpers/recorded.js'

/**
 * Where the events of a request are others than those of docker's registry 2.8, and why. Registry 3 is as we are, where
 * it says so.
 */
const DIFFERENT: Readonly<Record<string, string>> = {
  'blob beyond its end': 'the client got nothing of it: no pull',
  'manifest by a sha512 digest': 'refused there',
  'delete by tag': 'refused there; registry 3 takes it, and tells of it'
}

/** Sends all requests, and waits for the events of the last one: those of all others have arrived then. */
async function send (url: string, receiver: Receiver): Promise<void> {
  let location = ''
  for (const { name, method, path, headers, body } of RECORDED) {
    const target = path.replace('{location}', location.includes('?') ? location : `${location}?`)
    const response = await fetch(target.startsWith('http') ? target : `${url}${target}`, {
      method,
      // The name travels with the request, and comes back in its events.
      headers: { ...headers, 'user-agent': name },
      redirect: 'manual',
      ...(body === undefined ? {} : { body: new Uint8Array(Buffer.from(body)) })
    })
    await response.arrayBuffer().catch(() => {})
    location = response.headers.get('location') ?? location
  }
  const last = RECORDED.at(-1)?.name
  await receiver.until(() => receiver.events.some(({ request }) => request.useragent === last))
}

/** Without what is another one every time, which is looked at on its own. */
function comparable ({ id, timestamp, source: { addr, instanceID }, request, target: { url, ...target }, ...rest }: RegistryEvent): object {
  const form = {
    id: /^[0-9a-f-]{36}$/.test(id),
    timestamp: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/.test(timestamp),
    source: addr.replace(/:\d+$/, ':port'),
    instanceID: instanceID.length,
    request: typeof request.id,
    addr: request.addr?.replace(/:\d+$/, ':port'),
    host: request.host?.replace(/:\d+$/, ':port')
  }
  return { ...rest, form, method: request.method, target, path: url === undefined ? undefined : new URL(url).pathname }
}

t.test('the same requests lead to the same events as in docker\'s registry', needs('docker-registry'), async t => {
  const directory = t.testdir()
  const [theirs, ours] = [await Receiver.start(t), await Receiver.start(t)]
  const events = { includereferences: true }
  const endpoint = { name: 'recorder', timeout: '5s', threshold: 3, backoff: '1s', headers: { 'X-Key': ['one', 'two'] } }
  const docker = await startDockerRegistry(t, directory, join(directory, 'docker'), {}, { notifications: { events, endpoints: [{ ...endpoint, url: theirs.url }] } })
  const product = await startProduct(t, directory, { notifications: { events, endpoints: [{ ...endpoint, url: ours.url, format: 'v1' }] } })
  await send(docker.url, theirs)
  await send(product.url, ours)
  t.ok(theirs.events.length > 20)
  for (const { name } of RECORDED) {
    const of = (receiver: Receiver): object[] => receiver.events.filter(({ request }) => request.useragent === name).map(comparable)
    if (DIFFERENT[name] === undefined) t.same(of(ours), of(theirs), name)
    else t.notSame(of(ours), of(theirs), `${name}: ${DIFFERENT[name]}`)
  }
  const envelope = (receiver: Receiver): unknown[] => receiver.deliveries.slice(0, 1).map(({ method, url, headers, body }) =>
    [method, url, headers['content-type'], headers['x-key'], body.slice(0, body.indexOf('"id"'))])
  t.same(envelope(ours), envelope(theirs))
})
