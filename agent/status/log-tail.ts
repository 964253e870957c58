/** Lines of the log that are kept for whoever asks (asks.ts). */
const most = 500
const longest = 4_000

/** Texts in which a server's message tells a value of a row: what stands before the value, and behind it. */
const told = [
  /(Duplicate entry ).*?( for key)/g,
  /(Key \([^)]*\)=\().*?(\))/g,
  /(duplicate key value is \().*?(\))/g,
  /(Failing row contains \().*?(\))/g,
]

export function withoutValues(text: string): string {
  return told.reduce((left, pattern) => left.replace(pattern, '$1…$2'), text)
}

/** The newest lines of the log, in memory: a second stream of the logger. */
export class LogTail {
  readonly #lines: string[] = []

  write(line: string): void {
    this.#lines.push(withoutValues(line.trimEnd()).slice(0, longest))
    if (this.#lines.length > most) this.#lines.shift()
  }

  /** Oldest first. */
  last(lines: number): string[] {
    return this.#lines.slice(-lines)
  }
}
