/**
 * What went wrong in storage: `changed` is a file that is no longer the version that was meant, `failed` is everything
 * the driver could not foresee (I/O, network, a full disk).
 */
export type DriverErrorKind = 'path-not-found' | 'too-large' | 'invalid-path' | 'invalid-offset' | 'unsupported' | 'changed' | 'failed'

export interface DriverErrorContext { driver: string, path: string, cause?: unknown, detail?: string }

const brand = Symbol.for('fastify-oci-registry.DriverError')

/**
 * The only error a storage driver throws. It never knows about HTTP: the registry services translate
 * `path-not-found` into the OCI code that fits what was asked; every other kind reaches the client as UNKNOWN (500).
 */
export class DriverError extends Error {
  readonly [brand] = true
  readonly kind: DriverErrorKind
  readonly driver: string
  readonly path: string

  constructor (kind: DriverErrorKind, { driver, path, cause, detail }: DriverErrorContext) {
    const reason = detail ?? (cause instanceof Error ? cause.message : undefined)
    super(`${driver}: ${kind.replaceAll('-', ' ')}: ${path}${reason === undefined ? '' : ` (${reason})`}`, { cause })
    this.name = 'DriverError'
    this.kind = kind
    this.driver = driver
    this.path = path
  }

  static is (value: unknown): value is DriverError {
    return typeof value === 'object' && value !== null && brand in value
  }
}

/** True when storage said that nothing lies at the path. */
export function isPathNotFound (error: unknown): boolean {
  return DriverError.is(error) && error.kind === 'path-not-found'
}

/** True when storage said that the file is not the version that was meant. */
export function isChanged (error: unknown): boolean {
  return DriverError.is(error) && error.kind === 'changed'
}

/** Reads a small file of the registry's own. Undefined when it is missing, or too large to be what it should be. */
export async function readSmall (reading: Promise<Buffer>): Promise<Buffer | undefined> {
  try {
    return await reading
  } catch (error) {
    if (DriverError.is(error) && (error.kind === 'path-not-found' || error.kind === 'too-large')) return undefined
    throw error
  }
}

/** Awaits `operation`; a missing path becomes `fallback`, every other error passes. */
export async function orIfMissing<T> (operation: Promise<T>, fallback: NoInfer<T>): Promise<T>
export async function orIfMissing<T, F> (operation: Promise<T>, fallback: F): Promise<T | F>
export async function orIfMissing<T, F> (operation: Promise<T>, fallback: F): Promise<T | F> {
  try {
    return await operation
  } catch (error) {
    if (isPathNotFound(error)) return fallback
    throw error
  }
}
