import type { BaseLogger } from 'pino'

/** Where maintenance says what it does; Fastify's logger and pino's are such. */
export type Log = Pick<BaseLogger, 'info' | 'warn' | 'error'>
