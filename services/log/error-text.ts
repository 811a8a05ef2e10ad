/** Errors refer to causes, and nobody says that they end. */
const MAX_CAUSES = 5
const MAX_LENGTH = 8192

/** What an error says in a log, and the errors it comes from: stacks, without what else an error may carry along. */
export function errorText (error: unknown): string {
  const parts: string[] = []
  for (let cause = error; cause !== undefined && cause !== null && parts.length < MAX_CAUSES; cause = cause instanceof Error ? cause.cause : undefined) {
    parts.push(cause instanceof Error ? cause.stack ?? String(cause) : String(cause))
  }
  return withoutSecrets(parts.join('\ncaused by: ')).slice(0, MAX_LENGTH)
}

/** pino's serializer of `err`. */
export function errorRecord (error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = 'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? { code: error.code } : {}
  return { type: error.name, message: withoutSecrets(error.message), ...code, stack: errorText(error) }
}

/** A URL in a message may be signed, or have a password. */
export function withoutSecrets (text: string): string {
  return text.replace(/:\/\/[^\s/"'@]*@/g, '://***@').replace(/\?\S+/g, '?***')
}
