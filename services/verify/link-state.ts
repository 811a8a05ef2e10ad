import { DriverError, isPathNotFound } from '../errors/driver-error.js'
import { isDigest } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'

const MAX_LINK_BYTES = 1024

/** What a link file says: nothing, because there is none; nothing that could be understood; or a digest. */
export type LinkState = 'absent' | 'broken' | { readonly target: Digest }

export async function linkState (driver: StorageDriver, path: string): Promise<LinkState> {
  try {
    const text = (await driver.read(path, { maxBytes: MAX_LINK_BYTES })).toString('latin1').trim()
    return isDigest(text) ? { target: text } : 'broken'
  } catch (error) {
    if (isPathNotFound(error)) return 'absent'
    if (DriverError.is(error) && error.kind === 'too-large') return 'broken'
    throw error
  }
}
