import { setFlagsFromString } from 'node:v8'

const FLAG = '--heap-growing-percent'
/** Of what was in use after V8 last looked at all of it. */
const PERCENT = 200

/**
 * Lets the heap of this process grow further before V8 looks at all of it. Bodies that pass through count as growth, and
 * by default some 8 MB of them are enough: a quarter of the CPU time of large transfers was the garbage collector's. With
 * this they stay below the limit until the next collection of what is new, which is cheap. V8 of Node 24 does not look
 * at the flag any more. For who owns the process, at its start; whoever started it may have said otherwise.
 */
export function letHeapGrow (): void {
  if (!process.execArgv.some(argument => argument.replaceAll('_', '-').startsWith(FLAG))) setFlagsFromString(`${FLAG}=${PERCENT}`)
}
