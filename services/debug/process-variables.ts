import { isSecret } from '../config/schema-node.js'

/** The keys that Go programs show at `/debug/vars` beside their own, as far as Node has them. Sizes are in bytes. */
export function processVariables (args: readonly string[] = process.argv, usage: NodeJS.MemoryUsage = process.memoryUsage()): Record<string, unknown> {
  const { heapUsed, heapTotal, rss, external, arrayBuffers } = usage
  return {
    cmdline: args.map(masked),
    memstats: { Alloc: heapUsed, HeapAlloc: heapUsed, HeapSys: heapTotal, Sys: rss, External: external, ArrayBuffers: arrayBuffers }
  }
}

/** `--set http.secret=…` is shown without its value. */
function masked (argument: string): string {
  const [, path] = /^(?:--set=)?([\w.]+)=/s.exec(argument) ?? []
  return path !== undefined && isSecret(path.split('.')) ? argument.replace(/(\.\w+)=.*$/s, '$1=***') : argument
}
