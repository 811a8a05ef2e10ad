import type { BaseLogger } from 'pino'

/** What services log with: pino, or the logger of the host. */
export type Log = Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'>
