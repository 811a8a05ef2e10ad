/** Something that must be well for the registry to serve. */
export interface HealthCheck {
  /** As `/debug/health` shows it. */
  readonly name: string
  /** Milliseconds from one run to the next; the first one comes after it. */
  readonly intervalMs: number
  /** Failures in a row after which it counts as failing; 0 and 1 are the first one. */
  readonly threshold: number
  /** Milliseconds that one run may take. */
  readonly timeoutMs: number
  /** Rejects when it is not well, with a message for operators. */
  readonly run: (signal: AbortSignal) => Promise<void>
}
