type Write = () => Promise<unknown>

interface Slot {
  next: Write | undefined
  pause: (() => void) | undefined
}

/**
 * For what is told often and of which only the newest matters (reports, times): writes each key at most once per `every` milliseconds,
 * the first at once, and always the newest in the end.
 */
export class CoalescingWriter {
  readonly #slots = new Map<string, Slot>()
  readonly #working = new Set<Promise<void>>()
  readonly #every: number
  readonly #failed: (error: unknown) => void
  #closed = false

  constructor(every: number, failed: (error: unknown) => void) {
    this.#every = every
    this.#failed = failed
  }

  put(key: string, write: Write): void {
    const slot = this.#slots.get(key)
    if (slot) slot.next = write
    else this.#start(key, { next: write, pause: undefined })
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    this.#closed = true
    for (const slot of this.#slots.values()) slot.pause?.()
    await Promise.all(this.#working)
  }

  #start(key: string, slot: Slot): void {
    this.#slots.set(key, slot)
    const work = this.#work(slot).finally(() => {
      this.#slots.delete(key)
      this.#working.delete(work)
    })
    this.#working.add(work)
  }

  async #work(slot: Slot): Promise<void> {
    while (slot.next) {
      const write = slot.next
      slot.next = undefined
      await write().catch(this.#failed)
      if (!this.#closed) await this.#pause(slot)
    }
  }

  #pause(slot: Slot): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#every).unref()
      slot.pause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
