import { DriverError } from '../errors/driver-error.js'

/** Wraps what node:fs threw. ENOTDIR too means not found: a file lies where the path needs a directory. */
export function filesystemError (path: string, error: unknown): DriverError {
  if (DriverError.is(error)) return error
  const code = (error as NodeJS.ErrnoException).code
  const kind = code === 'ENOENT' || code === 'ENOTDIR' ? 'path-not-found' : 'failed'
  return new DriverError(kind, { driver: 'filesystem', path, cause: error, detail: code ?? (error as Error).message })
}
