/** Lines of the log that are kept for whoever asks (asks.ts). */
const most = 500
const longest = 4_000

/** Texts in which a server's message tells a value of a row. */
const told = /(Duplicate entry ).*?( for key)|(Key \([^)]*\)=\().*?(\))/g

/** The newest lines of the log, in memory: a second stream of the logger. */
export class LogTail {
  readonly #lines: string[] = []

  write(line: string): void {
    const text = line.trimEnd().replace(told, (_, a = '', b = '', c = '', d = '') => `${a}${c}…${b}${d}`)
    this.#lines.push(text.slice(0, longest))
    if (this.#lines.length > most) this.#lines.shift()
  }

  /** Oldest first. */
  last(lines: number): string[] {
    return this.#lines.slice(-lines)
  }
}
