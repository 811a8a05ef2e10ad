import type { Change, StorageDriver } from './driver.js'

/** Makes changes one after the other, in as few steps as the driver can; what follows one that fails is not made. */
export async function inOrder (driver: StorageDriver, changes: readonly Change[]): Promise<void> {
  if (driver.apply === undefined) await oneByOne(driver, changes)
  else await driver.apply(changes)
}

export async function oneByOne (driver: StorageDriver, changes: readonly Change[]): Promise<void> {
  for (const change of changes) {
    if ('content' in change) await driver.write(change.path, change.content, change.options)
    else await driver.move(change.path, change.to, change.options)
  }
}
