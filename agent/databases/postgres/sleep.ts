/**
 * When the agent looks at its queues. Triggers send NOTIFY only while the agent has written down that it sleeps, and it does not sleep while
 * there is much to do, because a commit with NOTIFY excludes all others (12.5k → 1.9k transactions/s); and the mark runs out by itself, so that an agent which was killed asleep
 * slows nobody for long. A transaction that did not see the mark sends nothing: hence the look after marking, and looks while asleep.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { channel } from './setup.ts'
import type { Connection } from './connection.ts'

const pollMs = 4
const awakeMs = 500
const firstLookMs = 10
const longestLookMs = 1000
const markMs = 60_000
/** Entries within so many milliseconds from which on traffic is heavy: below, triggers may go on waking the agent, which is quicker than looking. */
const heavy = { entries: 8, ms: 100 }

export class Sleeper {
  readonly #connection: Connection
  readonly #pace: number
  readonly #look: () => Promise<boolean>
  /** False where prepared transactions are possible: NOTIFY would make them fail. */
  readonly #mayNotify: boolean
  readonly #woken: boolean
  #lastWork = -Infinity
  /** Entries of the last batches. */
  #lately: { at: number; entries: number }[] = []
  #markedUntil = 0
  #nextLook = firstLookMs
  #notified = false
  #wake: (() => void) | undefined

  private constructor(
    connection: Connection,
    pace: number,
    look: () => Promise<boolean>,
    { mayNotify, woken }: { mayNotify: boolean; woken: boolean },
  ) {
    this.#connection = connection
    this.#pace = pace
    this.#look = look
    this.#mayNotify = mayNotify
    this.#woken = woken
    connection.client.on('notification', () => this.wake())
    connection.onLost = () => this.#wake?.()
  }

  /** Something is queued. */
  wake(): void {
    this.#notified = true
    this.#wake?.()
  }

  /** `look`: whether any queue holds entries. `woken`: all that fills them calls `wake`. */
  static async open(connection: Connection, pace: number, look: () => Promise<boolean>, woken: boolean): Promise<Sleeper> {
    const [row] = await connection.query(`select current_setting('max_prepared_transactions'), to_regclass('qianzhi.sleeper')`)
    const mayNotify = !woken && row![0] === '0' && row![1] !== null
    const sleeper = new Sleeper(connection, pace, look, { mayNotify, woken })
    if (mayNotify) {
      await connection.script(`listen ${channel}`)
      await sleeper.#write(undefined)
    }
    return sleeper
  }

  async idle(busy: boolean, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    if (this.#woken) {
      await this.#sleep(signal)
      if (this.#connection.lost) throw this.#connection.lost
      return
    }
    if (busy && !this.#mayNotify) await this.#stayAwake()
    const now = performance.now()
    if (now - this.#lastWork < awakeMs) return pause(pollMs, signal)
    if (!this.#mayNotify) return pause(this.#pace, signal)
    if (this.#notified) {
      this.#notified = false
      return
    }
    if (now > this.#markedUntil - markMs / 2) {
      await this.#write(markMs)
      this.#markedUntil = now + markMs
      if (await this.#look()) return
    }
    await this.#sleep(signal)
    if (this.#connection.lost) throw this.#connection.lost
  }

  /** So many entries were recorded. */
  async worked(entries: number): Promise<void> {
    if (this.#woken) return
    const now = performance.now()
    this.#nextLook = firstLookMs
    this.#lately = [...this.#lately.filter(({ at }) => at > now - heavy.ms), { at: now, entries }]
    const sum = this.#lately.reduce((sum, { entries }) => sum + entries, 0)
    if (!this.#mayNotify || sum >= heavy.entries) await this.#stayAwake()
  }

  /** While there is much work nobody needs to be woken. Cheap when already awake. */
  async #stayAwake(): Promise<void> {
    this.#lastWork = performance.now()
    this.#nextLook = firstLookMs
    if (this.#markedUntil === 0) return
    this.#markedUntil = 0
    await this.#write(undefined)
  }

  async #sleep(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#connection.lost) return
    if (this.#notified) {
      this.#notified = false
      return
    }
    const wait = this.#nextLook
    this.#nextLook = Math.min(wait * 2, longestLookMs)
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', wake)
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(wake, wait)
      signal.addEventListener('abort', wake)
      this.#wake = wake
    })
    if (this.#notified) this.#nextLook = firstLookMs
    this.#notified = false
  }

  /** Not flushed to disk: forgetting it costs one late look. */
  async #write(milliseconds: number | undefined): Promise<void> {
    const until = milliseconds === undefined ? 'null' : `clock_timestamp() + interval '${milliseconds} ms'`
    await this.#connection.script(`begin; set local synchronous_commit = off; update qianzhi.sleeper set asleep_until = ${until}; commit`)
  }
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal }).catch(() => {})
}
