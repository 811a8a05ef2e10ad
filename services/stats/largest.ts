/** The few largest of many things that come one after the other. */
export class Largest<T> {
  readonly #count: number
  readonly #sizeOf: (item: T) => number
  #items: T[] = []

  constructor (count: number, sizeOf: (item: T) => number) {
    this.#count = count
    this.#sizeOf = sizeOf
  }

  /** The largest first; of equal ones the one that came first. */
  get items (): readonly T[] {
    this.#cut()
    return this.#items
  }

  offer (item: T): void {
    this.#items.push(item)
    // Sorted once for as many as are kept, not for every one.
    if (this.#items.length >= 2 * this.#count) this.#cut()
  }

  #cut (): void {
    this.#items = this.#items.sort((a, b) => this.#sizeOf(b) - this.#sizeOf(a)).slice(0, this.#count)
  }
}
