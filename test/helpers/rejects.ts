import type { Test } from 'tap'
import { DriverError } from '../../services/errors/driver-error.js'
import type { DriverErrorKind } from '../../services/errors/driver-error.js'

/** Checks what an operation of a driver throws, and returns it. */
export async function rejects (t: Test, operation: Promise<unknown>, kind: DriverErrorKind, path: string, driver?: string): Promise<DriverError | undefined> {
  const error = await operation.then(() => undefined, (error: unknown) => error)
  if (!DriverError.is(error)) {
    t.fail(`expected a DriverError ${kind} for ${path}`, { found: error })
    return undefined
  }
  t.equal(error.kind, kind, `${path}: kind`)
  t.equal(error.path, path, `${path}: path`)
  if (driver !== undefined) t.equal(error.driver, driver, `${path}: driver`)
  return error
}
