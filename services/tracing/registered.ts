import { Tracing } from './tracing.js'
import type { TracingApi } from './tracing.js'

/** Where version 1 of the API keeps what is registered in the process, for all copies of it. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

/** Spans go to the SDK that somebody registered in this process. Undefined when nobody did. */
export async function registeredTracing (): Promise<Tracing | undefined> {
  if (!(REGISTERED in globalThis)) return undefined
  let api
  try {
    api = await import('@opentelemetry/api')
  } catch (error) {
    // A host may trace without our knowing the API: an optional package that was left out.
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
  return hasProvider(api) ? new Tracing(api) : undefined
}

/** The API is asked for its global provider, of which only this tells whether there is one behind it. */
export function hasProvider ({ ProxyTracerProvider, trace }: TracingApi): boolean {
  const provider = trace.getTracerProvider()
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer('fastify-oci-registry') !== undefined
}
