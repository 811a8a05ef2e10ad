import type { RegistryEvent } from './event.js'

export type EnvelopeFormat = 'v2' | 'v1' | 'cloudevents'

/** One event as it goes over the wire. */
export interface Envelope { readonly contentType: string, readonly body: string }

const MEDIA_TYPE: Readonly<Record<'v1' | 'v2', string>> = {
  v1: 'application/vnd.docker.distribution.events.v1+json',
  v2: 'application/vnd.docker.distribution.events.v2+json'
}

/** Writes the event in its envelope: docker's, under the media type of registry 3 or of registry 2, or a CloudEvent. */
export function envelope (event: RegistryEvent, format: EnvelopeFormat): Envelope {
  if (format === 'cloudevents') return { contentType: 'application/cloudevents+json; charset=utf-8', body: JSON.stringify(cloudEvent(event)) }
  // Three spaces, as docker's registry has them: some receivers keep the text as it came.
  return { contentType: MEDIA_TYPE[format], body: JSON.stringify({ events: [format === 'v1' ? version1(dockerEvent(event)) : dockerEvent(event)] }, null, 3) }
}

/** The event with the fields that docker's registry has. */
function dockerEvent ({ traceparent: _traceparent, tracestate: _tracestate, ...event }: RegistryEvent): RegistryEvent {
  return event
}

/** Registry 2 leaves out what is empty, which is what a deletion does not tell. */
function version1 (event: RegistryEvent): object {
  const { mediaType, digest, size, ...target } = event.target
  return { ...event, target: { ...(mediaType === '' ? {} : { mediaType }), ...(size === 0 ? {} : { size }), ...(digest === '' ? {} : { digest }), ...target } }
}

/** CloudEvents 1.0 in structured mode: `source` and `id` together name the event, `data` is docker's event. */
function cloudEvent (event: RegistryEvent): object {
  const { id, timestamp, action, target: { repository, tag, digest }, source, traceparent, tracestate } = event
  return {
    specversion: '1.0',
    id,
    source: `//${source.addr}`,
    type: `ociregistry.${action}`,
    subject: `${repository}${tag === undefined ? '' : `:${tag}`}${digest === '' ? '' : `@${digest}`}`,
    time: timestamp,
    datacontenttype: 'application/json',
    // The extension for distributed tracing.
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(tracestate === undefined ? {} : { tracestate }),
    data: dockerEvent(event)
  }
}
