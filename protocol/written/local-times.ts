/** A zone's local times as UTC: files seldom say which zone they mean. */
export class TimeZone {
  readonly #clock: Intl.DateTimeFormat
  /** Milliseconds ahead of UTC in an hour of local time: asking the clock costs more than all else. */
  readonly #offsets = new Map<string, number>()

  /** `name`: of the IANA database. */
  constructor(name: string) {
    this.#clock = new Intl.DateTimeFormat('sv-SE', { timeZone: name, dateStyle: 'short', timeStyle: 'medium' })
  }

  /**
   * `2026-11-22T08:30:00.5` of the zone's clocks as `2026-11-22T00:30:00.5`. A time that clocks set back show twice is the first of the two; one
   * that clocks set forward skip is as much later as they were set (the rule of RFC 5545, 3.3.5).
   */
  toUtc(local: string): string {
    const hour = local.slice(0, 13)
    let offset = this.#offsets.get(hour)
    if (offset === undefined) {
      // Within an hour in which clocks are set, times differ.
      const [first, last] = [this.#offsetOf(`${hour}:00:00`), this.#offsetOf(`${hour}:59:59`)]
      if (first !== last) return shifted(local, this.#offsetOf(local.slice(0, 19)))
      if (this.#offsets.size >= maxHours) this.#offsets.clear()
      this.#offsets.set(hour, (offset = first))
    }
    return shifted(local, offset)
  }

  #offsetOf(local: string): number {
    const as = Date.parse(`${local}Z`)
    const before = this.#ahead(as - day)
    return this.#ahead(as - before) === before ? before : this.#settled(as, before)
  }

  /** Clocks were set in between: the later offset, where the time is one of its own. */
  #settled(as: number, before: number): number {
    const after = this.#ahead(as + day)
    return this.#ahead(as - after) === after ? after : before
  }

  /** How far the zone is ahead at a moment. */
  #ahead(at: number): number {
    const moment = Math.max(at, firstFourDigits)
    return Date.parse(`${this.#clock.format(moment).replace(' ', 'T')}Z`) - moment
  }
}

const day = 86_400_000
const maxHours = 20_000
/** Earlier years are shown with fewer digits; zones had no changes yet. */
const firstFourDigits = Date.UTC(1000, 0, 2)

/** The same text so many milliseconds earlier; its fraction stays. */
export function shifted(local: string, offset: number): string {
  const moment = new Date(Date.parse(`${local.slice(0, 19)}Z`) - offset)
  return moment.toISOString().slice(0, -5) + local.slice(19)
}
