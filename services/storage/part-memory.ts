/** Grown three times it is the 5 MiB that stores take as a part, so that an upload need not wait for more. */
const FIRST_BYTES = 80 * 1024
/** By how much a buffer grows when it is full. */
const GROWTH = 4
/** Parts of all uploads that are in memory at a time. */
const PARTS = 6
/** Who gathers one part for longer than this must let go of it when others wait. */
const PATIENCE_MS = 5000

/** An upload that gathers a part. */
export interface PartHolder {
  readonly bytes: number
  /** When it began to hold memory, as `performance.now()` tells it. */
  readonly since: number
  /** False while it cannot be interrupted; it takes no memory of others then, and soon gives its own back. */
  readonly isIdle: boolean
  /** Stores what was gathered, and gives its memory back. Does not throw. */
  letGo (): Promise<void>
}

export interface PartMemoryOptions {
  /** What a whole part takes. */
  readonly partBytes: number
  readonly parts?: number
  readonly patienceMs?: number
}

interface Waiter { readonly bytes: number, readonly resolve: (buffer: Buffer) => void }

/**
 * The memory in which all uploads of a driver gather their parts and send them: at most as many bytes as a number of
 * whole parts, used again and again. First come, first served; whoever waits must hold none, so that memory always comes
 * back: from parts that are sent, and from uploads whose clients are slow, which store what they have so far.
 */
export class PartMemory {
  readonly partBytes: number
  readonly #maxBytes: number
  readonly #patienceMs: number
  readonly #free = new Map<number, Buffer[]>()
  readonly #waiting: Waiter[] = []
  readonly #holders = new Set<PartHolder>()
  readonly #leaving = new Set<PartHolder>()
  #usedBytes = 0
  #freeBytes = 0
  #timer: NodeJS.Timeout | undefined

  constructor ({ partBytes, parts = PARTS, patienceMs = PATIENCE_MS }: PartMemoryOptions) {
    this.partBytes = partBytes
    this.#maxBytes = parts * partBytes
    this.#patienceMs = patienceMs
  }

  /** Bytes that are in use, and uploads that wait for some. */
  get state (): { readonly bytes: number, readonly waiting: number } {
    return { bytes: this.#usedBytes, waiting: this.#waiting.length }
  }

  /** How long a buffer is into which so many bytes go: most uploads are far smaller than a part. */
  sizeFor (bytes: number): number {
    let size = FIRST_BYTES
    while (size < bytes && size < this.partBytes) size *= GROWTH
    return Math.min(size, this.partBytes)
  }

  /** A buffer of a length that `sizeFor` gave, at once; undefined when none is left beside the bytes that are given back for it, or others wait. */
  tryTake (size: number, instead = 0): Buffer | undefined {
    return this.#waiting.length === 0 && this.#usedBytes + size - instead <= this.#maxBytes ? this.#allocate(size) : undefined
  }

  /** Waits for one. Only for who holds none. */
  async take (size: number): Promise<Buffer> {
    return this.tryTake(size) ?? await new Promise<Buffer>(resolve => {
      this.#waiting.push({ bytes: size, resolve })
      this.#reclaim()
    })
  }

  give (buffer: Buffer): void {
    this.#usedBytes -= buffer.length
    // Kept: each one that is allocated anew brings the next collection of the whole heap nearer.
    this.#freeBytes += buffer.length
    const free = this.#free.get(buffer.length)
    if (free === undefined) this.#free.set(buffer.length, [buffer])
    else free.push(buffer)
    this.#serve()
  }

  hold (holder: PartHolder): void {
    this.#holders.add(holder)
  }

  release (holder: PartHolder): void {
    this.#holders.delete(holder)
  }

  #allocate (size: number): Buffer {
    this.#usedBytes += size
    const free = this.#free.get(size)?.pop()
    if (free === undefined) this.#makeRoom()
    else this.#freeBytes -= size
    return free ?? Buffer.allocUnsafeSlow(size)
  }

  /** Buffers of lengths that nobody wants now count too. */
  #makeRoom (): void {
    for (const [size, buffers] of this.#free) {
      while (this.#usedBytes + this.#freeBytes > this.#maxBytes && buffers.pop() !== undefined) this.#freeBytes -= size
    }
  }

  #serve (): void {
    for (let first = this.#waiting[0]; first !== undefined && this.#usedBytes + first.bytes <= this.#maxBytes; first = this.#waiting[0]) {
      this.#waiting.shift()
      first.resolve(this.#allocate(first.bytes))
    }
    if (this.#waiting.length > 0) this.#reclaim()
  }

  /** Has slow uploads let go of as much as the first waiter lacks; looks again when more of them are slow. */
  #reclaim (): void {
    clearTimeout(this.#timer)
    let missing = (this.#waiting[0]?.bytes ?? 0) - (this.#maxBytes - this.#usedBytes)
    for (const { bytes } of this.#leaving) missing -= bytes
    if (missing <= 0) return
    const now = performance.now()
    for (const holder of this.#holders) {
      if (missing <= 0) return
      if (!holder.isIdle || this.#leaving.has(holder) || now - holder.since < this.#patienceMs) continue
      missing -= holder.bytes
      this.#leaving.add(holder)
      void holder.letGo().finally(() => {
        this.#leaving.delete(holder)
        this.#serve()
      })
    }
    this.#timer = setTimeout(() => { this.#serve() }, Math.max(1, this.#patienceMs / 10))
  }
}
