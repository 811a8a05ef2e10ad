import { join } from 'node:path'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { ConfigError } from '../errors/config-error.js'
import type { Log } from '../log/log.js'
import type { Clock } from './delivery.js'
import { lockDirectory } from './directory-lock.js'
import type { JournalSync } from './disk-queue.js'
import { MemoryQueue } from './memory-queue.js'
import type { EventQueue, QueueLimits } from './queue.js'
import type { RedisCommands } from './redis-queue.js'
import { journalDirectory } from './settings.js'

/** The queues of one registry. */
export interface Queues {
  /** Opens the queue of an endpoint. @throws {ConfigError} when there cannot be one */
  open (name: string): Promise<EventQueue>
  /** Called when all of them are closed. */
  close (): Promise<void>
}

export interface QueueParts { readonly limits: QueueLimits, readonly clock: Clock, readonly log: Log }

/**
 * The queues of the kind that is configured; nothing is opened yet, and what the others need is never loaded.
 *
 * @throws {ConfigError} for queues in Redis without Redis
 */
export function configuredQueues (config: RegistryConfig, parts: QueueParts, redis: RedisCommands | undefined): Queues {
  const { queue = 'memory', fsync } = config.notifications
  if (queue === 'memory') return memoryQueues(parts)
  if (queue === 'disk') return diskQueues(journalDirectory(config), fsync, parts)
  if (redis === undefined) throw new ConfigError('notifications.queue: redis needs redis to be configured')
  return redisQueues(redis, parts)
}

function memoryQueues ({ limits }: QueueParts): Queues {
  return {
    open: async () => new MemoryQueue(limits),
    async close () {}
  }
}

function redisQueues (redis: RedisCommands, parts: QueueParts): Queues {
  return {
    open: async name => new (await import('./redis-queue.js')).RedisQueue({ ...parts, redis, name }),
    async close () {}
  }
}

/** A directory that belongs to this process while its queues are open, and in it one for each endpoint. */
function diskQueues (directory: string, fsync: JournalSync, { limits, log }: QueueParts): Queues {
  let lock: Promise<() => Promise<void>> | undefined
  return {
    async open (name) {
      lock ??= lockDirectory(directory)
      await lock
      const { DiskQueue } = await import('./disk-queue.js')
      try {
        return await DiskQueue.open({ directory: join(directory, fileName(name)), limits, fsync, log })
      } catch (error) {
        throw new ConfigError(`notifications.directory: cannot be used: ${(error as Error).message}`, { cause: error })
      }
    },
    async close () {
      await (await lock?.catch(() => undefined))?.()
    }
  }
}

/** Names are free; those of files are not. */
function fileName (name: string): string {
  return encodeURIComponent(name).replaceAll('.', '%2E').replaceAll('*', '%2A')
}
