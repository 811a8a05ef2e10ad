import { orIfMissing } from '../errors/driver-error.js'
import { digestOf } from '../reference/reference.js'
import { BLOBS } from '../registry/layout.js'
import type { Namespace } from '../registry/types.js'
import type { StorageDriver } from '../storage/driver.js'

/** Makes caches forget all content there is: storage is about to be, or was, exchanged under them. */
export async function forgetContent (driver: StorageDriver, namespace: Namespace): Promise<void> {
  const directory = `${BLOBS}/sha256`
  for (const prefix of await orIfMissing(driver.list(directory), [])) {
    for (const hex of await driver.list(`${directory}/${prefix}`)) await namespace.forget(digestOf('sha256', hex))
  }
}
