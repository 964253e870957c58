import pg from 'pg'
import type { Logger } from 'pino'

/**
 * Tells waiting requests that there is something to look at. Topics: `stream:<resource>` (a batch was stored), `snapshot:<resource>` (one is wanted)
 * and `agent:<id>` (its policy, or something else that its next poll answer should carry, changed). `event:…` says what happened, for whoever
 * watches (events/feed.ts): acts by triggers of the store when they are committed, what lines do by the exchange.
 *
 * To lose no wake between looking and waiting, listen first, then look, then wait:
 *
 *     using heard = wakeups.listen(['agent:a', 'stream:r'])
 *     for (;;) {
 *       if (look()) return
 *       if (!(await heard.wait(1000, signal))) return   // time-out or abort
 *     }
 *
 * A wake-up is a hint and carries nothing: who is woken looks again. Between hub processes on one store it can get lost (a broken
 * connection), so waits have a time-out.
 */
export class Wakeups {
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #followers = new Map<Follower, string>()
  #relay: ((topic: string) => void) | undefined

  wake(topic: string): void {
    this.wakeHere(topic)
    this.#relay?.(topic)
  }

  /** Hears every wake of these topics from now on, until closed. */
  listen(topics: readonly string[]): Listener {
    const listener = new Listener(() => {
      for (const topic of topics) {
        const set = this.#listeners.get(topic)
        set?.delete(listener)
        if (set?.size === 0) this.#listeners.delete(topic)
      }
    })
    for (const topic of topics) {
      let set = this.#listeners.get(topic)
      if (!set) this.#listeners.set(topic, (set = new Set()))
      set.add(listener)
    }
    return listener
  }

  /** Tells of every wake of a topic that begins so; of undefined where some may have been missed. @returns what ends it. */
  follow(prefix: string, follower: Follower): () => void {
    this.#followers.set(follower, prefix)
    return () => void this.#followers.delete(follower)
  }

  /** Wakes the listeners of this process only. */
  wakeHere(topic: string): void {
    for (const [follower, prefix] of this.#followers) if (topic.startsWith(prefix)) follower(topic)
    for (const listener of this.#listeners.get(topic) ?? []) listener.wake()
  }

  /** Every listener of this process looks again: wakes of other processes may have been missed. */
  wakeAll(): void {
    for (const set of this.#listeners.values()) for (const listener of set) listener.wake()
    for (const follower of this.#followers.keys()) follower(undefined)
  }

  /** From now on wakes also go to other hub processes. */
  relayTo(relay: ((topic: string) => void) | undefined): void {
    this.#relay = relay
  }
}

type Follower = (topic: string | undefined) => void

export class Listener {
  #heard = false
  #resolve: ((heard: boolean) => void) | undefined
  readonly #release: () => void

  constructor(release: () => void) {
    this.#release = release
  }

  wake(): void {
    if (this.#resolve) this.#resolve(true)
    else this.#heard = true
  }

  /** True at a wake since listening began or the last wait returned true; false at the time-out or abort. One wait at a time. */
  async wait(ms: number, signal?: AbortSignal): Promise<boolean> {
    if (!this.#heard && !signal?.aborted) this.#heard = await this.#next(ms, signal)
    const heard = this.#heard
    this.#heard = false
    return heard
  }

  #next(ms: number, signal: AbortSignal | undefined): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (heard: boolean) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        this.#resolve = undefined
        resolve(heard)
      }
      const abort = () => done(false)
      const timer = setTimeout(done, ms, false)
      signal?.addEventListener('abort', abort)
      this.#resolve = done
    })
  }

  close(): void {
    this.#release()
    this.#resolve?.(false)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

const channel = 'qianzhi_wake'
/** Says that wakes may have been missed. */
const everybody = '*'

/**
 * Relays wakes between the hub processes that share a store, by LISTEN and NOTIFY on a connection of its own. When the connection is
 * lost it is made again, and everybody looks once. Topics that wake together go as one message.
 */
export class WakeupRelay {
  readonly #url: string
  readonly #wakeups: Wakeups
  readonly #logger: Logger
  readonly #pending = new Set<string>()
  #client: pg.Client | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false
  #sent: Promise<unknown> = Promise.resolve()

  constructor(url: string, wakeups: Wakeups, logger: Logger) {
    this.#url = url
    this.#wakeups = wakeups
    this.#logger = logger
  }

  /** `send`: whether there may be other processes to tell; what the store itself tells is heard in any case. */
  async start({ send = true }: { send?: boolean } = {}): Promise<void> {
    await this.#connect()
    if (send) this.#wakeups.relayTo((topic) => this.#send(topic))
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({ connectionString: this.#url, application_name: 'qianzhi-hub wake-ups', keepAlive: true })
    client.on('error', (error) => this.#logger.warn({ err: error }, 'wake-up connection lost'))
    client.on('end', () => this.#reconnect(client))
    client.on('notification', ({ payload, processId }) => {
      if (processId === (client as unknown as { processID: number }).processID) return
      if (payload === everybody) this.#wakeups.wakeAll()
      else for (const topic of (payload ?? '').split('\n')) this.#wakeups.wakeHere(topic)
    })
    await client.connect()
    await client.query(`listen ${channel}`)
    this.#client = client
    // What was said while there was no connection is lost on both sides.
    this.#wakeups.wakeAll()
    this.#notify([everybody])
  }

  #reconnect(lost: pg.Client): void {
    if (this.#client === lost) this.#client = undefined
    if (this.#closed || this.#client) return
    this.#timer = setTimeout(() => {
      this.#connect().catch((error: unknown) => this.#logger.warn({ err: error }, 'wake-up connection not made'))
    }, 1000)
    this.#timer.unref()
  }

  #send(topic: string): void {
    this.#pending.add(topic)
    if (this.#pending.size > 1) return
    setImmediate(() => {
      const topics = [...this.#pending]
      this.#pending.clear()
      this.#notify(messages(topics))
    })
  }

  /** One statement at a time on a connection. */
  #notify(parts: readonly string[]): void {
    for (const part of parts) {
      this.#sent = this.#sent
        .then(() => this.#client?.query('select pg_notify($1, $2)', [channel, part]))
        .catch((error: unknown) => this.#logger.warn({ err: error }, 'wake-up not sent'))
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wakeups.relayTo(undefined)
    clearTimeout(this.#timer)
    await this.#sent
    await this.#client?.end().catch(() => {})
  }
}

/** Topics joined into messages below the 8,000 bytes that NOTIFY carries. */
function messages(topics: readonly string[]): string[] {
  const parts: string[] = []
  for (const topic of topics) {
    const last = parts.at(-1)
    if (last !== undefined && last.length + topic.length < 7000) parts[parts.length - 1] = `${last}\n${topic}`
    else parts.push(topic)
  }
  return parts
}
