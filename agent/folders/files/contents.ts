/** Bytes that a file may have, and all of them together, to be kept from its hashing until it is sent. */
const [mostOfOne, mostInAll] = [256 * 1024, 16 << 20]

/** Contents of small files just hashed: most are sent at once, and need not be read twice. Each is given away once. */
export class RecentContents {
  readonly #held = new Map<string, { print: string; content: Buffer }>()
  #bytes = 0

  keep(name: string, print: string, content: Buffer): void {
    this.take(name, print)
    if (content.length > mostOfOne || this.#bytes + content.length > mostInAll) return
    this.#bytes += content.length
    this.#held.set(name, { print, content })
  }

  /** Undefined where it is not kept, or of another version of the file. */
  take(name: string, print: string): Buffer | undefined {
    const found = this.#held.get(name)
    if (!found) return undefined
    this.#held.delete(name)
    this.#bytes -= found.content.length
    return found.print === print ? found.content : undefined
  }

  clear(): void {
    this.#held.clear()
    this.#bytes = 0
  }
}
