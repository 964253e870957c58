/** Milliseconds for which what was looked up is believed: what was revoked is refused within this time by every process. */
const believedMs = 400
/** Answers that are kept at most. */
const most = 10_000

/** Answers that are looked up again when they are older than an instant; whoever asks meanwhile waits for the same one. */
export class Believed<T> {
  readonly #kept = new Map<string, { answer: Promise<T>; until: number }>()

  of(key: string, look: () => Promise<T>): Promise<T> {
    const now = performance.now()
    const kept = this.#kept.get(key)
    if (kept && kept.until > now) return kept.answer
    if (this.#kept.size > most) this.#kept.clear()
    const answer = look()
    this.#kept.set(key, { answer, until: now + believedMs })
    answer.catch(() => this.#kept.delete(key))
    return answer
  }

  /** The next one looks again. */
  forget(key: string): void {
    this.#kept.delete(key)
  }
}
