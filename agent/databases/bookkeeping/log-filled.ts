/** Queues that a log fills: what is said of them means the same as where triggers do, for the log is first read up to where it ended. */
import type { SourceTable } from '../../database.ts'

interface Reading {
  /** Grows with everything that is queued. */
  readonly written: number
  reads(source: SourceTable): boolean
  close(): Promise<void>
}

export class LogFilled<Reader extends Reading> {
  readonly #open: () => Promise<Reader | undefined>
  readonly #readOn: (reader: Reader) => Promise<void>
  #reader: Reader | undefined

  /** `open` gives nothing where no source is captured by its log. `readOn` returns when all is queued that was committed when it was called. */
  constructor(open: () => Promise<Reader | undefined>, readOn: (reader: Reader) => Promise<void>) {
    this.#open = open
    this.#readOn = readOn
  }

  get reader(): Reader | undefined {
    return this.#reader
  }

  async open(): Promise<void> {
    await this.close()
    this.#reader = await this.#open()
  }

  /** What the queues say; they are asked again where the log brought something meanwhile. `enough`: an answer that more would not change. */
  async ask<T>(question: () => Promise<T>, enough: (answer: T) => boolean = () => false): Promise<T> {
    const [reader, before] = [this.#reader, this.#reader?.written]
    const answer = await question()
    if (!this.#reader || enough(answer)) return answer
    await this.#readOn(this.#reader)
    return this.#reader === reader && reader.written === before ? answer : question()
  }

  /** What `look` finds to cover a source; undefined where that would be its log, which is not read. */
  async coverage(source: SourceTable, look: () => Promise<string>): Promise<string | undefined> {
    const found = await look()
    if (source.capture !== 'log' || this.#reader?.reads(source)) return found
    // It was set up under this capture, or the reading has ended.
    await this.open()
    return this.#reader?.reads(source) ? look() : undefined
  }

  async close(): Promise<void> {
    const reader = this.#reader
    this.#reader = undefined
    await reader?.close()
  }
}
