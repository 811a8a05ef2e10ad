import t from 'tap'
import { MemoryQueue } from '../../../services/notifications/memory-queue.js'
import { eventQueueSuite } from '../../suites/event-queue.js'

eventQueueSuite(t, { open: async (_t, limits) => new MemoryQueue(limits), isDurable: false, limitsBytes: true })
