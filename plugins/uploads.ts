import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { HashThread } from '../services/uploads/hash-thread.js'
import { LocalUploadLocks } from '../services/uploads/locks.js'
import type { UploadLocks } from '../services/uploads/locks.js'
import { RedisUploadLocks } from '../services/uploads/redis-locks.js'
import { UploadSessions } from '../services/uploads/sessions.js'
import { SharedUploadLocks } from '../services/uploads/shared-locks.js'

declare module 'fastify' {
  interface FastifyInstance {
    ociUploads: UploadSessions
  }
}

/** A Redis is what servers on the same storage have in common. */
async function uploadsPlugin (fastify: FastifyInstance): Promise<void> {
  const { ociWorkers: { ownership }, ociRedis: redis, ociDebug, ociDriver: driver, log } = fastify
  const own = ownership === undefined ? new LocalUploadLocks() : new SharedUploadLocks(ownership)
  const hashing = new HashThread()
  fastify.addHook('onClose', async () => { await hashing.close() })
  fastify.decorate('ociUploads', new UploadSessions({ driver, hashing, locks: redis === undefined ? own : common(redis) }))

  function common (redis: NonNullable<FastifyInstance['ociRedis']>): UploadLocks {
    const locks = new RedisUploadLocks({ redis, inner: own, log })
    ociDebug.publish('uploadlocks', () => locks.stats())
    return locks
  }
}

export default fp(uploadsPlugin, { name: 'oci-uploads', fastify: '5.x', dependencies: ['oci-debug', 'oci-redis', 'oci-storage', 'oci-workers'] })
