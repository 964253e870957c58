import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import { localDay } from '../../protocol/local-time.ts'
import { steadyClock } from '../runtime/steady-clock.ts'

export interface LogFileOptions {
  file: string
  /** Bytes after which it rolls. */
  size: number
  /** Rolled files are kept for so many days, and so many of them. */
  days: number
  files: number
  timezone: string
  now: () => Date
}

/** Milliseconds until a file that could not be renamed (a virus scanner holds it) is tried again. */
const retryAfter = 60_000
const day = 86_400_000

/**
 * The log as a file that rolls by size and at midnight: `agent.log` is the newest, `agent.2026-11-24.1.log` the first one that was rolled
 * on the lines of that day. Each line is written before `write` returns, so that none is lost when the program ends, however it does.
 * Nothing here throws after the start: a full disk must not stop the agent. Lines that could not be written are counted, and told by the
 * next one that can.
 */
export class LogFile {
  readonly #options: LogFileOptions
  #handle: number
  #size: number
  /** Day of the lines in the file. */
  #day: string
  #mayRollAt = 0
  #lost = 0
  /** A write ended amid a line. */
  #torn = false

  /** Throws what the file system says where it cannot be opened. */
  constructor(options: LogFileOptions) {
    this.#options = options
    mkdirSync(dirname(options.file), { recursive: true })
    this.#handle = openSync(options.file, 'a', 0o640)
    const { size, mtime } = fstatSync(this.#handle)
    this.#size = size
    this.#day = localDay(size > 0 ? mtime : options.now(), options.timezone)
    this.#removeOld()
  }

  write(line: string): void {
    const bytes = Buffer.from(line)
    const today = localDay(this.#options.now(), this.#options.timezone)
    const full = this.#size + bytes.length > this.#options.size || today !== this.#day
    if (full && this.#size > 0) this.#roll(today)
    if (this.#size === 0) this.#day = today
    this.#append(this.#lost > 0 ? Buffer.concat([this.#lostLine(), bytes]) : bytes)
  }

  #append(bytes: Buffer): void {
    const whole = this.#torn ? Buffer.concat([Buffer.from('\n'), bytes]) : bytes
    let written = 0
    try {
      while (written < whole.length) written += writeSync(this.#handle, whole, written)
      this.#lost = 0
      this.#torn = false
    } catch {
      this.#lost++
      this.#torn ||= written > 0
    }
    this.#size += written
  }

  #lostLine(): Buffer {
    const time = this.#options.now().toISOString()
    return Buffer.from(`${JSON.stringify({ level: 40, time, lost: this.#lost, msg: 'log lines could not be written' })}\n`)
  }

  /** Where another program holds the file, it goes on being written, and is rolled later. */
  #roll(today: string): void {
    const now = this.#options.now().getTime()
    // A clock that was put back must not keep it from rolling.
    if (now < this.#mayRollAt && this.#mayRollAt - now <= retryAfter) return
    const { file } = this.#options
    try {
      renameSync(file, this.#nextName())
    } catch (error) {
      // Not there: somebody moved it, or it could not be opened after the last renaming.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
        this.#mayRollAt = now + retryAfter
        return
      }
    }
    try {
      const handle = openSync(file, 'a', 0o640)
      closeSync(this.#handle)
      this.#handle = handle
      this.#size = fstatSync(handle).size
      this.#day = today
    } catch {
      // The renamed file is still open: lines go on into it.
      this.#mayRollAt = now + retryAfter
    }
    this.#removeOld()
  }

  #nextName(): string {
    const numbers = this.#rolled().flatMap(({ day: of, number }) => (of === this.#day ? [number] : []))
    const { dir, stem, extension } = this.#parts()
    return join(dir, `${stem}.${this.#day}.${Math.max(0, ...numbers) + 1}${extension}`)
  }

  #parts(): { dir: string; stem: string; extension: string } {
    const { file } = this.#options
    const extension = extname(file)
    return { dir: dirname(file), stem: basename(file, extension), extension }
  }

  /** Newest first. */
  #rolled(): { path: string; day: string; number: number }[] {
    const { dir, stem, extension } = this.#parts()
    const found = readdirSync(dir).flatMap((name) => {
      if (!name.startsWith(`${stem}.`) || !name.endsWith(extension)) return []
      const match = /^(\d{4}-\d{2}-\d{2})\.(\d{1,9})$/.exec(name.slice(stem.length + 1, name.length - extension.length))
      return match ? [{ path: join(dir, name), day: match[1]!, number: Number(match[2]) }] : []
    })
    return found.toSorted((a, b) => (a.day === b.day ? b.number - a.number : a.day < b.day ? 1 : -1))
  }

  #removeOld(): void {
    const { days, files, timezone, now } = this.#options
    const oldest = localDay(new Date(Math.min(now().getTime(), steadyClock.now()) - days * day), timezone)
    try {
      const old = this.#rolled().filter(({ day: of }, i) => i >= files || of < oldest)
      for (const { path } of old) rmSync(path, { force: true })
    } catch {
      // Somebody reads it: next time.
    }
  }

  close(): void {
    closeSync(this.#handle)
  }
}
