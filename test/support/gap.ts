/** A one-way gap between two folders, for tests: as bad as it is told to be. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Copies what is new in one folder into another. */
export class Gap {
  /** Share of batch files lost, doubled under a name in capital letters, and seen half written for a while. */
  faults = { lost: 0, doubled: 0, halved: 0 }
  /** Nothing passes. */
  closed = false
  lost = 0
  readonly #from: string
  readonly #to: string
  readonly #random: () => number
  readonly #seen = new Map<string, number>()
  readonly #ending = new AbortController()
  readonly #done: Promise<void>

  constructor(from: string, to: string, random: () => number) {
    this.#from = from
    this.#to = to
    this.#random = random
    mkdirSync(from, { recursive: true })
    mkdirSync(to, { recursive: true })
    this.#done = this.#run()
  }

  async end(): Promise<void> {
    this.#ending.abort()
    await this.#done
  }

  async #run(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      if (!this.closed) for (const file of this.#news()) await this.#carry(file)
      await sleep(20, undefined, { signal: this.#ending.signal }).catch(() => undefined)
    }
  }

  /** Files that are new, or other than before, in any order. */
  #news(): string[] {
    const files = readdirSync(this.#from, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
      .map((entry) => join(entry.parentPath, entry.name))
    const fresh = files.filter((file) => {
      const { mtimeMs } = statSync(file, { throwIfNoEntry: false }) ?? {}
      if (mtimeMs === undefined || this.#seen.get(file) === mtimeMs) return false
      this.#seen.set(file, mtimeMs)
      return true
    })
    return fresh
      .map((file) => ({ file, at: this.#random() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ file }) => file)
  }

  async #carry(file: string): Promise<void> {
    const name = relative(this.#from, file)
    const batch = name.endsWith('.qzb')
    const happens = (share: number) => batch && this.#random() < share
    if (happens(this.faults.lost)) return void this.lost++
    let bytes
    try {
      bytes = readFileSync(file)
    } catch {
      return
    }
    if (happens(this.faults.halved)) {
      this.#write(name, bytes.subarray(0, bytes.length >> 1))
      await sleep(100)
    }
    this.#write(name, bytes)
    if (happens(this.faults.doubled)) this.#write(name.toUpperCase(), bytes)
  }

  #write(name: string, bytes: Uint8Array): void {
    const path = join(this.#to, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
  }
}
