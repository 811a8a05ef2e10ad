import { createHmac } from 'node:crypto'
import t from 'tap'
import { envelope } from '../../../services/notifications/envelope.js'
import { sign } from '../../../services/notifications/signature.js'
import type { RegistryEvent } from '../../../services/notifications/event.js'
import { event } from '../../helpers/events.js'

const DIGEST = `sha256:${'a'.repeat(64)}`

t.test('the envelope is that of docker\'s registry, to the byte', async t => {
  const { contentType, body } = envelope(event('0198', 'push', 'latest'), 'v2')
  t.equal(contentType, 'application/vnd.docker.distribution.events.v2+json')
  t.equal(body, `{
   "events": [
      {
         "id": "0198",
         "timestamp": "2026-01-02T03:04:05.678Z",
         "action": "push",
         "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": "${DIGEST}",
            "size": 7,
            "length": 7,
            "repository": "team/app",
            "url": "http://registry.example/v2/team/app/manifests/${DIGEST}",
            "tag": "latest"
         },
         "request": {
            "id": "req-1",
            "addr": "10.0.0.1:5000",
            "host": "registry.example",
            "method": "PUT",
            "useragent": "test"
         },
         "actor": {
            "name": "somebody"
         },
         "source": {
            "addr": "node:5000",
            "instanceID": "00000000-0000-4000-8000-000000000000"
         }
      }
   ]
}`)
})

const { length: _, url: __, ...kept } = event('1', 'delete', 'old').target
const deleted: RegistryEvent = { ...event('1', 'delete'), target: { ...kept, mediaType: '', digest: '', size: 0 }, actor: {} }

t.test('a deletion says in v2 that it has no type, digest and size, in v1 it says nothing of them', async t => {
  const v2 = envelope(deleted, 'v2')
  t.match(v2.body, `         "target": {
            "mediaType": "",
            "digest": "",
            "size": 0,
            "repository": "team/app",
            "tag": "old"
         },`)
  t.match(v2.body, '         "actor": {},')
  const v1 = envelope(deleted, 'v1')
  t.equal(v1.contentType, 'application/vnd.docker.distribution.events.v1+json')
  t.match(v1.body, `         "target": {
            "repository": "team/app",
            "tag": "old"
         },`)
})

t.test('a CloudEvent 1.0 in structured mode holds the event', async t => {
  const made = event('0198', 'push', 'latest')
  const { contentType, body } = envelope(made, 'cloudevents')
  t.equal(contentType, 'application/cloudevents+json; charset=utf-8')
  t.strictSame(JSON.parse(body), {
    specversion: '1.0',
    id: '0198',
    source: '//node:5000',
    type: 'ociregistry.push',
    subject: `team/app:latest@${DIGEST}`,
    time: '2026-01-02T03:04:05.678Z',
    datacontenttype: 'application/json',
    data: made
  })
  t.equal((JSON.parse(envelope(deleted, 'cloudevents').body) as { subject: string }).subject, 'team/app:old')
})

t.test('the trace of an event is for receivers of CloudEvents, in the extension for it; docker\'s envelopes have their own fields', async t => {
  const trace = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'vendor=value' }
  const plain = event('0198', 'push', 'latest')
  for (const format of ['v1', 'v2'] as const) t.equal(envelope({ ...plain, ...trace }, format).body, envelope(plain, format).body)
  t.match(JSON.parse(envelope({ ...plain, ...trace }, 'cloudevents').body), { ...trace, data: plain })
  t.notMatch(JSON.stringify((JSON.parse(envelope({ ...plain, ...trace }, 'cloudevents').body) as { data: object }).data), /trace/)
})

t.test('a signature is that of Standard Webhooks: over id, time and body', async t => {
  // The example that standardwebhooks.com verifies its libraries with.
  t.strictSame(sign('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', seconds: 1614265330, body: '{"test": 2432232314}' }), {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
  })
  const { 'webhook-signature': signature } = sign('a secret', { id: 'i', seconds: 1, body: '{}' })
  t.equal(signature, `v1,${createHmac('sha256', 'a secret').update('i.1.{}').digest('base64')}`)
})
