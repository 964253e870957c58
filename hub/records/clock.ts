import { QianzhiError } from '../../protocol/errors.ts'

/**
 * The hub's one clock. It is the machine's, as long as that agrees with the time that was reckoned on with a monotonic counter from the last
 * moment at which it was known. Where it does not, the reckoned time goes on: grants, decisions, deadlines and sessions end by it, what is
 * delivered is removed by it and logs are trimmed by it, so nothing ends for ever because somebody set a clock. The machine's time counts
 * again when it agrees, when most of the agents agree with it, or when a person says that it is right.
 *
 * What is given is never ahead of the last known time by more than what has passed since, an hour, and a thousandth of what has passed.
 * Only a start cannot know how long the program was away: there a week is believed, until agents say otherwise. All times are milliseconds.
 */
export class HubClock {
  readonly #wall: () => number
  readonly #ticks: () => number
  /** The machine's time is believed while it is within `allowed` of this. */
  #anchor: { time: number; at: number }
  #allowed = hour
  #heldSince: Date | undefined
  /** Since when most agents do not agree: of the counter. */
  #contradicted: number | undefined
  /** How far the store's clock is ahead; 0 where it is near enough. */
  #storeApart = 0

  /** `last`: the time that was saved last; undefined in a new store. */
  constructor(
    last: number | undefined,
    { wall = Date.now, ticks = () => performance.now() }: { wall?: () => number; ticks?: () => number } = {},
  ) {
    this.#wall = wall
    this.#ticks = ticks
    const now = wall()
    const believed = last === undefined || (now >= last - hour && now <= last + longestAway)
    this.#anchor = { time: believed ? now : last, at: ticks() }
  }

  now(): Date {
    const wall = this.#wall()
    const reckoned = this.#reckoned()
    const slack = this.#allowed + (this.#ticks() - this.#anchor.at) / 1000
    const trusted = Math.abs(wall - reckoned) <= slack
    if (trusted) this.#heldSince = undefined
    else this.#heldSince ??= new Date(reckoned)
    return new Date(trusted ? wall : reckoned)
  }

  /** What the machine's clock says. */
  wall(): Date {
    return new Date(this.#wall())
  }

  /** What holds everything that would end by time, or undefined. */
  fault(): { error: QianzhiError; since: Date } | undefined {
    const now = this.now()
    if (!this.#heldSince) return undefined
    const details = { wall: new Date(this.#wall()).toISOString(), reckoned: now.toISOString() }
    return { error: new QianzhiError('QZ-CLOCK-JUMPED', details), since: this.#heldSince }
  }

  /** What PostgreSQL's clock says, which stamps what is on record. */
  compareStore(store: Date): void {
    const apart = store.getTime() - this.now().getTime()
    this.#storeApart = Math.abs(apart) > farApart ? apart : 0
  }

  /** Where the store's clock is another than the hub's: nothing ends by it, but what is on record is told with wrong times. */
  storeFault(): QianzhiError | undefined {
    if (this.#storeApart === 0) return undefined
    return new QianzhiError('QZ-CLOCK-STORE', { seconds: String(Math.round(this.#storeApart / 1000)) })
  }

  /** A person says that the machine's time is right. */
  confirm(): void {
    this.#anchor = { time: this.#wall(), at: this.#ticks() }
    this.#contradicted = undefined
  }

  /**
   * Takes up what the clocks of the agents heard of just now show. More than half of at least two that agree with the machine: it is right.
   * More than half of at least three that do not, for longer than what they said last may be old: its time counts no more, theirs does
   * where it is earlier.
   */
  compare(clocks: readonly number[]): void {
    const wall = this.#wall()
    const agree = clocks.filter((clock) => Math.abs(clock - wall) <= hour).length
    if (clocks.length >= 2 && agree > clocks.length / 2) return this.confirm()
    const contradicted = clocks.length >= 3 && clocks.length - agree > clocks.length / 2
    this.#contradicted = contradicted ? (this.#contradicted ?? this.#ticks()) : undefined
    if (!contradicted || this.#ticks() - this.#contradicted! < longestSilence) return
    const middle = clocks.toSorted((a, b) => a - b)[Math.floor((clocks.length - 1) / 2)]!
    this.#anchor = { time: Math.min(middle, this.now().getTime()), at: this.#ticks() }
  }

  #reckoned(): number {
    return Math.floor(this.#anchor.time + this.#ticks() - this.#anchor.at)
  }
}

const hour = 3_600_000
/** More than a slow answer makes out. */
const farApart = hour / 60
const longestAway = 7 * 24 * hour
/** An agent's poll is held for a minute at most, and what it says may be from before the one before. */
const longestSilence = hour / 30
