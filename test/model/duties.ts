/**
 * What an agency owes, by when, and what an evaluation counts: the regulation's part on supervision reckoned once more, without the product
 * (Art. 7, 14, 18, 20, 24, 26, 27; the readings are those of docs/supervision.md). Moments are milliseconds, days texts like 2026-11-22 in
 * Dongguan. Everything is found by looking at every hour and every day, one after the other.
 */

import { beginning, dayAt, next, periodCalled, periodsBetween, type Cycle, type Day, type Period } from './periods.ts'

const hour = 3_600_000
const dayLength = 24 * hour

/** A year as the State Council publishes it. */
export interface Year {
  year: number
  holidays: readonly string[]
  workdays: readonly string[]
}

/** What is in force of a resource from a moment on. */
interface Force {
  from: number
  cycle: Cycle
  state: 'active' | 'stopped' | 'withdrawn'
  secret: boolean
}

interface Resource {
  code: string
  agency: string
  published: number
  force: Force[]
  /** Days on which anything came, and the most that did: rows that stood so before, a whole load, rows that changed. */
  supplied: Map<Day, 'changed' | 'repeated' | 'loaded'>
  /** Periods that were explained, and when. */
  explained: Map<string, number>
}

/** 不可抗力通知, 不能提供报告. */
interface Told {
  kind: 'force-majeure' | 'cannot-supply'
  agency: string
  resource: string | null
  signed: number
  until: Day | null
}

export interface Deadline {
  kind: 'correction' | 'rectification' | 'delivery' | 'application-reply'
  object: string
  agency: string
  resource: string | null
  begun: number
  /** Working days, or the day that was given. */
  length: number | Day
  /** The receiver's machine has never asked. */
  awaitsReceiver: boolean
  /** When it lay with whoever asked for it: nobody else could act then. `over`: the day was known, and over. */
  away: { from: number; to: number | null; over: boolean }[]
  /** The calendar came when the day was waited for: not before the next working day. */
  knownFrom: Day | null
  ended: number | null
  needless: boolean
  /** As it stood when it ended. */
  due: Day | null
}

interface Grant {
  id: string
  resource: string
  /** From when on it is in which state. */
  states: { from: number; state: 'active' | 'suspended' | 'revoked' }[]
}

export interface Duty {
  resource: string
  period: string
  state: 'upcoming' | 'running' | 'updated' | 'explained' | 'overdue' | 'excused'
  excuse: string | null
}

export class Supervision {
  readonly resources = new Map<string, Resource>()
  readonly deadlines: Deadline[] = []
  readonly grants: Grant[] = []
  readonly #told: Told[] = []
  readonly #free = new Set<Day>()
  readonly #worked = new Set<Day>()
  readonly #years = new Set<number>()

  constructor(years: readonly Year[]) {
    for (const year of years) this.#publishYear(year)
  }

  // Acts.

  publish(code: string, agency: string, now: number, force: Omit<Force, 'from' | 'state'>): void {
    const known = this.resources.get(code)
    if (known) return this.#force(code, now, force)
    const begun = { ...force, from: now, state: 'active' as const }
    this.resources.set(code, { code, agency, published: now, force: [begun], supplied: new Map(), explained: new Map() })
  }

  setState(code: string, now: number, state: Force['state']): void {
    this.#force(code, now, { state })
  }

  supply(code: string, day: Day, what: 'changed' | 'repeated' | 'loaded'): void {
    const { supplied } = this.resources.get(code)!
    const strength = ['repeated', 'loaded', 'changed']
    if (strength.indexOf(what) > strength.indexOf(supplied.get(day) ?? '')) supplied.set(day, what)
  }

  tell(told: Told): void {
    this.#told.push(told)
  }

  /** @returns whether the agency may say now that nothing changed in this period. */
  explain(code: string, key: string, now: number): boolean {
    const resource = this.resources.get(code)!
    const period = periodCalled(key)
    const duty = this.#duty(resource, period, now)
    if (!duty || (duty.state !== 'running' && duty.state !== 'overdue') || now < this.#explainable(period)) return false
    resource.explained.set(key, now)
    return true
  }

  begin(deadline: Pick<Deadline, 'kind' | 'object' | 'agency' | 'resource' | 'begun' | 'length'>, awaitsReceiver = false): void {
    this.deadlines.push({ ...deadline, awaitsReceiver, away: [], knownFrom: null, ended: null, needless: false, due: null })
  }

  /** The open one of an object. */
  open(object: string): Deadline | undefined {
    return this.deadlines.find((one) => one.object === object && one.ended === null)
  }

  end(object: string, now: number, needless = false): void {
    const deadline = this.open(object)
    if (!deadline) return
    deadline.due = this.due(deadline, now)
    Object.assign(deadline, { ended: now, needless })
  }

  /** An application goes back to its applicant, and comes again. */
  giveBack(object: string, now: number): void {
    const deadline = this.open(object)!
    const due = this.due(deadline, now)
    deadline.away.push({ from: now, to: null, over: due !== null && due < dayAt(now) })
  }

  comeAgain(object: string, now: number): void {
    const deadline = this.open(object)!
    const away = deadline.away.at(-1)!
    away.to = now
    if (away.over) return
    const [due, tomorrow] = [this.due(deadline, now), this.#count(dayAt(now), 1, () => false)]
    if (due !== null && tomorrow !== null && due < tomorrow) deadline.knownFrom = tomorrow
  }

  /** The answer to an order was sent back: the days that were left begin anew. */
  sendBack(object: string, now: number): void {
    const last = this.deadlines.findLast((one) => one.object === object)!
    let left = 0
    if (last.due !== null) for (let day = next(dayAt(last.ended!)); day <= last.due; day = next(day)) if (this.#works(day)) left++
    this.begin({ ...last, begun: now, length: Math.max(1, left) })
  }

  receiverAsks(object: string, now: number): void {
    const deadline = this.open(object)
    if (deadline) Object.assign(deadline, { awaitsReceiver: false, begun: now })
  }

  calendarComes(year: Year, now: number): void {
    const waiting = this.deadlines.filter((one) => one.ended === null && !one.awaitsReceiver && this.due(one, now) === null)
    this.#publishYear(year)
    for (const deadline of waiting) {
      if (this.due(deadline, now) !== null) deadline.knownFrom = this.#count(dayAt(now), 1, () => false)
    }
  }

  // What follows.

  duties(first: Day, now: number): Duty[] {
    return [...this.resources.values()].flatMap((resource) =>
      periodsBetween(first, dayAt(now)).flatMap((period) => this.#duty(resource, period, now) ?? []),
    )
  }

  #duty(resource: Resource, period: Period, now: number): Duty | null {
    const { first, last, key } = period
    const [start, end] = [Math.max(beginning(first), resource.published), beginning(next(last))]
    let [asked, usable] = [0, 0]
    const lost = new Map<string, number>()
    for (let moment = start; moment < end; moment += hour) {
      const force = resource.force.findLast(({ from }) => from <= moment) ?? resource.force[0]!
      if (!period.cycles.includes(force.cycle) || force.state === 'withdrawn' || force.secret) continue
      asked++
      const why = force.state === 'stopped' ? 'stopped' : this.#unable(resource, moment)
      if (why === null) usable++
      else lost.set(why, (lost.get(why) ?? 0) + 1)
    }
    const hours = (end - start) / hour
    const owed = resource.published < beginning(last) && asked >= hours / 2
    const explained = resource.explained.has(key)
    if (!owed) return explained ? { resource: resource.code, period: key, state: 'explained', excuse: null } : null
    const today = dayAt(now)
    const updated = this.#updates(resource).some((day) => first <= day && day <= last)
    const excused = usable < asked / 2
    const state = updated
      ? 'updated'
      : explained
        ? 'explained'
        : first > today
          ? 'upcoming'
          : last >= today
            ? 'running'
            : excused
              ? 'excused'
              : 'overdue'
    // The reason that took the most time; of as long ones the first of these.
    const [most] = ['stopped', 'force-majeure', 'cannot-supply'].toSorted((a, b) => (lost.get(b) ?? 0) - (lost.get(a) ?? 0))
    return { resource: resource.code, period: key, state, excuse: state === 'excused' ? most! : null }
  }

  /** Days on which rows changed; the first of all by whatever came. */
  #updates({ supplied }: Resource): Day[] {
    const days = [...supplied.keys()].toSorted()
    return days.filter((day, i) => supplied.get(day) === 'changed' || (i === 0 && supplied.get(day) === 'loaded'))
  }

  #unable(resource: Resource, moment: number): string | null {
    const said = this.#told.find(
      (told) =>
        (told.resource === resource.code || (told.resource === null && told.agency === resource.agency)) &&
        told.signed <= moment &&
        moment < this.#endOf(told, this.#updates(resource)),
    )
    return said?.kind ?? null
  }

  /** To the end of its last day, else until the first update on a later day. */
  #endOf({ until, signed }: Told, updates: readonly Day[]): number {
    if (until !== null) return beginning(next(until))
    const update = updates.find((day) => day > dayAt(signed))
    return update === undefined ? Infinity : beginning(update)
  }

  /** What is said before knows nothing of what comes after. */
  #explainable({ first, last, warned }: Period): number {
    let day = last
    while (day > first && !this.#works(day)) day = next(day, -1)
    const noon = beginning(this.#works(day) ? day : last) + dayLength / 2
    return Math.max(beginning(first), Math.min(noon, beginning(next(last)) - warned * hour))
  }

  /** Null while nobody can know it. */
  due(deadline: Deadline, now: number): Day | null {
    if (deadline.awaitsReceiver) return null
    const begun = dayAt(deadline.begun)
    const lost = (day: Day) => this.#lost(deadline, day, now)
    let due: Day | null
    if (typeof deadline.length === 'number') due = this.#count(begun, deadline.length, lost)
    else {
      let more = 0
      for (let day = next(begun); day <= deadline.length; day = next(day)) if (this.#works(day) && lost(day)) more++
      due = this.#count(deadline.length, more, lost)
    }
    // Nobody waits for a day while it is away, unless that was over before.
    const away = deadline.away.at(-1)
    if (away?.to === null && !away.over) return null
    return due !== null && deadline.knownFrom !== null && due < deadline.knownFrom ? deadline.knownFrom : due
  }

  outcome(deadline: Deadline, now: number): 'waiting' | 'running' | 'missed' | 'met' | 'dropped' {
    const { ended } = deadline
    const due = ended === null ? this.due(deadline, now) : deadline.due
    if (due !== null && due < dayAt(ended ?? now)) return 'missed'
    if (ended !== null) return deadline.needless ? 'dropped' : 'met'
    return due === null ? 'waiting' : 'running'
  }

  #count(from: Day, days: number, lost: (day: Day) => boolean): Day | null {
    let day = from
    for (let counted = 0; counted < days;) {
      day = next(day)
      if (!this.#years.has(Number(day.slice(0, 4)))) return null
      if (this.#works(day) && !lost(day)) counted++
    }
    return day
  }

  /** Twelve hours or more of the day nobody could act. */
  #lost({ kind, agency, resource, object, away }: Deadline, day: Day, now: number): boolean {
    // The days of going and coming are days of it too.
    if (away.some(({ from, to }) => dayAt(from) <= day && (to === null ? beginning(day) + dayLength / 2 <= now : day <= dayAt(to))))
      return true
    let hours = 0
    for (let moment = beginning(day); moment < beginning(next(day)); moment += hour) {
      const told = this.#told.some(
        (one) =>
          one.agency === agency &&
          (one.resource === null || one.resource === resource) &&
          (one.kind === 'force-majeure' || kind === 'delivery') &&
          one.signed <= moment &&
          moment < Math.min(this.#endOf(one, this.#updatesOf(one)), one.until === null ? now : Infinity),
      )
      if (told || (kind === 'delivery' && moment < now && this.#stopped(object, resource!, moment))) hours++
    }
    return hours >= 12
  }

  /** Of the resource that was told of, or of any of the agency. */
  #updatesOf({ resource, agency }: Told): Day[] {
    const all = [...this.resources.values()].filter((one) => (resource === null ? one.agency === agency : one.code === resource))
    return all.flatMap((one) => this.#updates(one)).toSorted()
  }

  #stopped(object: string, resource: string, moment: number): boolean {
    const force = this.resources.get(resource)!.force.findLast(({ from }) => from <= moment)
    const grant = this.grants.find(({ id }) => object === `route ${id}`)
    return (force !== undefined && force.state !== 'active') || grant?.states.findLast(({ from }) => from <= moment)?.state === 'suspended'
  }

  /** What an evaluation counts of an agency, as it stood at the end of its last day. */
  evaluate(agency: string, first: Day, last: Day) {
    const end = beginning(next(last))
    const own = [...this.resources.values()].filter((one) => one.agency === agency)
    const published = own.filter(
      ({ published: at, force }) => at < end && force.every(({ state, from }) => state !== 'withdrawn' || from >= end),
    )
    const duties = own.flatMap((resource) =>
      periodsBetween(next(first, -40), last)
        .filter((period) => first <= period.last && period.last <= last)
        .flatMap((period) => ({ duty: this.#duty(resource, period, end), explained: resource.explained.get(period.key), period })),
    )
    const overdue = duties.filter(
      ({ duty, explained, period }) =>
        duty?.state === 'overdue' || (duty?.state === 'explained' && (explained! >= end || explained! >= beginning(next(period.last)))),
    )
    const due = this.deadlines.flatMap((one) => {
      const day = one.ended === null ? this.due(one, Infinity) : one.due
      return one.agency === agency && day !== null && first <= day && day <= last
        ? [{ ...one, inTime: one.ended !== null && dayAt(one.ended) <= day }]
        : []
    })
    const met = (kinds: readonly string[]) => due.filter(({ kind, inTime, needless }) => kinds.includes(kind) && inTime && !needless).length
    const missed = (kinds: readonly string[]) => due.filter(({ kind, inTime }) => kinds.includes(kind) && !inTime).length
    const late = overdue.filter(({ explained }) => explained !== undefined && explained < end)
    return {
      resources: published.length,
      dutiesUpdated: duties.filter(({ duty }) => duty?.state === 'updated').length,
      dutiesExplained:
        duties.filter(({ duty }) => duty?.state === 'explained').length - overdue.filter(({ duty }) => duty?.state === 'explained').length,
      dutiesExplainedLate: late.length,
      dutiesOverdue: overdue.length - late.length,
      correctionsMet: met(['correction']),
      correctionsMissed: missed(['correction']),
      otherMet: met(['delivery', 'rectification']),
      otherMissed: missed(['delivery', 'rectification']),
      grantsGiven: this.grants.filter(
        ({ resource, states }) =>
          this.resources.get(resource)!.agency === agency && states.findLast(({ from }) => from < end)?.state === 'active',
      ).length,
    }
  }

  #force(code: string, now: number, change: Partial<Force>): void {
    const { force } = this.resources.get(code)!
    force.push({ ...force.at(-1)!, ...change, from: now })
  }

  #publishYear({ year, holidays, workdays }: Year): void {
    this.#years.add(year)
    for (const range of holidays) {
      const [first, last = first] = range.split('/') as [Day, Day?]
      for (let day = first; day <= last; day = next(day)) this.#free.add(day)
    }
    for (const day of workdays) this.#worked.add(day)
  }

  #works(day: Day): boolean {
    const weekend = [0, 6].includes(new Date(`${day}T00:00:00Z`).getUTCDay())
    return this.#worked.has(day) || (!weekend && !this.#free.has(day))
  }
}
