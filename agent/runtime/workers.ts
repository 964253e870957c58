/** One loop that runs for a set of tables until those change. */
interface Worker {
  signature: string
  controller: AbortController
  done: Promise<void>
}

export interface WantedWorker {
  name: string
  signature: string
  /** Undefined where there is nothing to do. */
  run: ((signal: AbortSignal) => Promise<void>) | undefined
}

/** The loops that run, by name: each is replaced by another one where what it is for has changed. */
export class Workers {
  readonly #running = new Map<string, Worker>()

  /** Stops those that are to be others, and waits for none. */
  abortChanged(wanted: readonly WantedWorker[]): void {
    for (const { name, signature } of wanted) {
      const line = this.#running.get(name)
      if (line && line.signature !== signature) line.controller.abort()
    }
  }

  /** Begins a line; the old one of its name has ended before. */
  async replace({ name, signature, run }: WantedWorker): Promise<void> {
    const old = this.#running.get(name)
    if (old?.signature === signature && !old.controller.signal.aborted) return
    old?.controller.abort()
    await old?.done
    this.#running.delete(name)
    if (!run) return
    const controller = new AbortController()
    this.#running.set(name, { signature, controller, done: run(controller.signal) })
  }

  async stop(which: (name: string) => boolean): Promise<void> {
    const lines = [...this.#running].filter(([name]) => which(name))
    for (const [, line] of lines) line.controller.abort()
    await Promise.allSettled(lines.map(([, line]) => line.done))
    for (const [name] of lines) this.#running.delete(name)
  }
}
