import type { RegistryConfig } from '../../schemas/config/index.js'
import type { StorageDriver } from './driver.js'
import { FilesystemDriver } from './filesystem.js'
import { MemoryDriver } from './memory.js'

/** Opens the driver a validated configuration names. @throws {ConfigError} when it cannot be opened */
export async function createDriver ({ filesystem }: RegistryConfig['storage']): Promise<StorageDriver> {
  return filesystem === undefined ? new MemoryDriver() : await FilesystemDriver.open(filesystem)
}
