/** A hook that took too long. */
export class PolicyTimeout extends Error {
  constructor (ms: number) {
    super(`no answer within ${ms} ms`)
    this.name = 'PolicyTimeout'
  }
}

function isThenable (value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** What it returns, if it comes in time. */
export async function within<T> (ms: number, call: (signal: AbortSignal) => T | Promise<T>): Promise<T> {
  const controller = new AbortController()
  const result = call(controller.signal)
  if (!isThenable(result)) return result
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const timeout = new PolicyTimeout(ms)
      controller.abort(timeout)
      reject(timeout)
    }, ms)
  })
  try {
    return await Promise.race([result, late])
  } finally {
    clearTimeout(timer)
  }
}
