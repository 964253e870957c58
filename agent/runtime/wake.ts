/** Lets one loop wake another. A wake that comes while nobody waits is kept for the next wait. */
export class Wake {
  #pending = false
  #resolve: (() => void) | undefined

  fire(): void {
    this.#pending = true
    this.#resolve?.()
  }

  /** Resolves at the next (or a kept) wake, after `milliseconds`, or when aborted. */
  async wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (!this.#pending && !signal.aborted) await this.#sleep(milliseconds, signal)
    this.#pending = false
  }

  async #sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const done = () => resolve()
    const timer = setTimeout(done, milliseconds)
    this.#resolve = done
    signal.addEventListener('abort', done)
    await promise
    clearTimeout(timer)
    signal.removeEventListener('abort', done)
    this.#resolve = undefined
  }
}
