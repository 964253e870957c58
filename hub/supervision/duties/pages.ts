/**
 * Pages of duties. Most duties stand nowhere, but are reckoned from what is known of their resources (reckoning.ts): of a whole city no more
 * of them than a page and its count ask for. They are walked in the order of the page, slice by slice (duties that have in common what the
 * order is by), and each slice resource by resource.
 */
import {
  filter,
  linePage,
  maxCounted,
  placeAsked,
  totalOf,
  usualLimit,
  type Asked,
  type Listing,
  type Page,
} from '../../records/listing.ts'
import { requireDay, type Day } from '../../records/calendar.ts'
import type { Query } from '../../store/store.ts'
import { dutiesOf, dutyStates, greatest, isJudged, least, periodsOf, readKnown, type Duty, type DutyState, type Known } from './duties.ts'
import { cyclesOwing, parsePeriod, type Period } from './periods.ts'

export const dutyList = {
  filters: {
    state: filter.among('state', dutyStates),
    agency: filter.equal('agency'),
    resource: filter.equal('resource'),
    text: filter.holds('title', 'resource'),
    period: filter.equal('period'),
    from: filter.from('from'),
    to: filter.to('to'),
  },
  sorts: { to: 'date', from: 'date', title: 'text', resource: 'text', agency: 'text', state: 'text', updatedOn: 'date' },
  first: '-to',
  id: ['id', 'text'],
} as const satisfies Omit<Listing, 'select'>

type Line = Duty & { id: string }
type By = keyof typeof dutyList.sorts

/** So many duties are reckoned at once, at most. */
const usualAtOnce = 10_000

/** Of one agency, or all; `id` is `<resource> <period>`. Throws QZ-REQUEST-INVALID. */
export async function pageDuties(
  query: Query,
  agencyScope: string | null,
  asked: Asked,
  now: Date,
  atOnce = usualAtOnce,
): Promise<Page<Line>> {
  // PostgreSQL keeps no U+0000, so that nothing holds it.
  const [resource, text, own] = ['resource', 'text', 'agency'].map((name) => asked[name]?.replaceAll('\0', '') ?? null) as [
    string | null,
    string | null,
    string | null,
  ]
  const { period, state } = asked
  const known = await readKnown(query, now)
  const { from, to } = period === undefined ? asked : parsePeriod(period)
  const days = { ...(from && { from: requireDay(from) }), ...(to && { to: requireDay(to) }) }
  const place = placeAsked(dutyList, asked)
  const agency = agencyScope ?? own
  if (own !== null && own !== agency) return linePage<Line>([], dutyList, asked)
  const walk = new Walk(query, known, {
    periods: periodsOf(days, known).filter((one) => period === undefined || one.period === period),
    states: state?.split(',') as DutyState[] | undefined,
    resource,
    agency,
    text,
    atOnce,
  })
  const few = await walk.few()
  if (few) return linePage(few, dutyList, asked)
  const limit = Number(asked['limit'] ?? usualLimit)
  const [by, down] = orderAsked(asked)
  if (!place) {
    const lines = await walk.take({ by, down }, Math.max(limit, maxCounted) + 1)
    return { ...linePage(lines, dutyList, asked), total: totalOf(lines.length) }
  }
  const counted = await walk.take({ by: 'to', down: true }, maxCounted + 1)
  const [code] = place.id.split(' ')
  const lines = await walk.take({ by, down, from: { rank: place.rank, code: code! } }, limit + 1)
  return { ...linePage(lines, dutyList, asked), total: totalOf(counted.length) }
}

function orderAsked(asked: Asked): [By, boolean] {
  const sort = asked['sort'] ?? dutyList.first
  return sort.startsWith('-') ? [sort.slice(1) as By, true] : [sort as By, false]
}

interface Wanted {
  periods: readonly Period[]
  states?: readonly DutyState[] | undefined
  resource: string | null
  agency: string | null
  text: string | null
  atOnce: number
}

/** Where a walk begins: what is before this resource of the slice of this rank may be left out. */
interface Start {
  rank: string | null
  code: string
}

interface Order {
  by: By
  down: boolean
  from?: Start | undefined
}

/** Duties of one rank of the order; undefined where the rank is the resource's. `updatedOn`: only those. */
interface Slice extends Pick<Wanted, 'periods' | 'states'> {
  rank: string | null | undefined
  updatedOn?: Day | null
}

/** Columns of `resource` by which a slice is ordered, before its code. */
const keys = { title: 'title', agency: 'agency' } as const

interface Candidate {
  code: string
  key: string
}

class Walk {
  readonly #query: Query
  readonly #known: Known
  readonly #wanted: Wanted

  constructor(query: Query, known: Known, wanted: Wanted) {
    this.#query = query
    this.#known = known
    this.#wanted = wanted
  }

  /** All duties, where no order is needed to find them; undefined where they may be many. */
  async few(): Promise<Line[] | undefined> {
    const { periods, states, atOnce } = this.#wanted
    if (periods.length === 0) return []
    const most = Math.floor(atOnce / Math.max(1, periods.length))
    const candidates = await this.#candidates({ periods, states, rank: undefined }, undefined, most + 1)
    return candidates.length > most ? undefined : this.#reckon({ periods, states, rank: undefined }, candidates)
  }

  /** So many, or all, in the order; behind its start at least so many. */
  async take(order: Order, wanted: number): Promise<Line[]> {
    const lines: Line[] = []
    const { from } = order
    // Of the first resource the earlier duties are among them.
    const enough = wanted + (from ? this.#wanted.periods.length : 0)
    let start = from
    for (const slice of await this.#slices(order)) {
      if (start && slice.rank !== undefined && isBefore(slice.rank, start.rank, order.down)) continue
      const within = start && (slice.rank === undefined || slice.rank === start.rank) ? start : undefined
      start = undefined
      for await (const found of this.#ofSlice(slice, { ...order, from: within }, () => enough - lines.length)) {
        lines.push(...found)
        if (lines.length >= enough) return lines
      }
    }
    return lines
  }

  async *#ofSlice(slice: Slice, order: Order, left: () => number): AsyncGenerator<Line[]> {
    const longest = Math.ceil(this.#wanted.atOnce / slice.periods.length)
    let behind: Candidate | undefined
    for (;;) {
      const most = Math.min(Math.max(left(), 100), longest)
      const candidates = await this.#candidates(slice, order, most, behind)
      const lines = await this.#reckon(slice, candidates)
      const place = new Map(candidates.map(({ code }, at) => [code, at]))
      const direction = order.down ? -1 : 1
      yield lines.toSorted((a, b) => place.get(a.resource)! - place.get(b.resource)! || direction * (a.period < b.period ? -1 : 1))
      if (candidates.length < most) return
      behind = candidates.at(-1)
    }
  }

  async #reckon({ periods, states, updatedOn }: Slice, candidates: readonly Candidate[]): Promise<Line[]> {
    if (candidates.length === 0) return []
    const wanted = candidates.map(({ code }) => code)
    const duties = await dutiesOf(this.#query, { periods, resource: null, wanted, agency: this.#wanted.agency, states }, this.#known)
    return duties.flatMap((duty) =>
      updatedOn === undefined || duty.updatedOn === updatedOn ? [{ ...duty, id: `${duty.resource} ${duty.period}` }] : [],
    )
  }

  async #slices({ by, down }: Order): Promise<Slice[]> {
    const { periods, states } = this.#wanted
    if (by === 'to' || by === 'from') {
      const days = Map.groupBy(await this.#notEmpty(periods, states), (period) => period[by])
      return inOrder([...days.keys()], down).map((rank) => ({ rank, periods: days.get(rank)!, states }))
    }
    if (by === 'state') return inOrder([...new Set(states ?? dutyStates)], down).map((rank) => ({ rank, periods, states: [rank] }))
    if (by === 'updatedOn') {
      const days = inOrder(await this.#daysOfSupply(), down)
      const within = (day: Day) => periods.filter(({ from, to }) => from <= day && day <= to)
      const dated = days.map((day) => ({ rank: day, periods: within(day), states, updatedOn: day }))
      return [...dated.filter((slice) => slice.periods.length > 0), { rank: null, periods, states, updatedOn: null }]
    }
    return [{ rank: undefined, periods, states }]
  }

  /** Without the judged periods of which nothing is written down. */
  async #notEmpty(periods: readonly Period[], states: readonly DutyState[] | undefined): Promise<Period[]> {
    const judged = periods.filter((period) => isJudged(period, this.#known))
    if (judged.length === 0) return [...periods]
    const some = marksOf(states).map((mark) => `${mark} > 0`)
    const rows = await this.#query<{ period: string }>(
      `select distinct period from duty_tally where ends = any($1::date[]) and period = any($2) and ($3::text is null or agency = $3)
         and (${['false', ...some].join(' or ')})`,
      [[...new Set(judged.map(({ to }) => to))], judged.map(({ period }) => period), this.#wanted.agency],
    )
    const filled = new Set(rows.map(({ period }) => period))
    return periods.filter((period) => !isJudged(period, this.#known) || filled.has(period.period))
  }

  /** Days of these periods on which rows of any resource came. */
  async #daysOfSupply(): Promise<Day[]> {
    const { periods } = this.#wanted
    const rows = await this.#query<{ day: Day }>(
      `with recursive days as (
         (select day from supply_day where day >= $1::date order by day limit 1)
         union all select (select s.day from supply_day s where s.day > days.day order by s.day limit 1) from days where days.day is not null)
       select day::text from days where day <= $2::date`,
      [least(periods.map(({ from }) => from)), greatest(periods.map(({ to }) => to))],
    )
    return rows.map(({ day }) => day)
  }

  /** Resources that may have such duties, in order, where there is one: those of which it is written, and those that owed updates so often. */
  #candidates(slice: Slice, order: Order | undefined, most: number, behind?: Candidate): Promise<Candidate[]> {
    const { periods, states, updatedOn } = slice
    const { by = 'resource', down = false, from } = order ?? {}
    const { resource, agency, text } = this.#wanted
    const { owing, supplied } = this.#owing(periods, states)
    const values: unknown[] = []
    const place = (value: unknown) => `$${values.push(value)}`
    const key = by in keys ? `r.${keys[by as keyof typeof keys]}` : `''`
    const [at, than] = behind ? [behind, '>'] : [from && { key: by in keys ? from.rank : '', code: from.code }, '>=']
    const latest = greatest(periods.map(({ to }) => to))
    const conditions = [
      `(r.code in (select resource from resource_phase where ${this.#owed(owing, supplied, place)})
        or r.code in (select resource from duty_mark where ends = any(${place(periods.map(({ to }) => to))}::date[])
          and period = any(${place(periods.map(({ period }) => period))}) and mark = any(${place(marksOf(states))})))`,
      `r.published_at < (${place(latest)}::date + 1)::timestamp at time zone 'Asia/Shanghai'`,
      ...(resource === null ? [] : [`r.code = ${place(resource)}`]),
      ...(agency === null ? [] : [`r.agency = ${place(agency)}`]),
      ...(text === null ? [] : [`position(lower(${place(text)}) in lower(concat_ws(E'\n', r.title, r.code))) > 0`]),
      ...(updatedOn ? [`r.code in (select resource from supply_day where day = ${place(updatedOn)}::date)`] : []),
      ...(at
        ? [`(${key} collate "C", r.code collate "C") ${down ? than.replace('>', '<') : than} (${place(at.key)}, ${place(at.code)})`]
        : []),
    ]
    const direction = down ? 'desc' : 'asc'
    const ordered = order ? `order by ${key} collate "C" ${direction}, r.code collate "C" ${direction}` : ''
    return this.#query<Candidate>(
      `select r.code, ${key} as key from resource r where ${conditions.join(' and ')} ${ordered} limit ${place(most)}`,
      values,
    )
  }

  /** Periods that are not judged and may be in these states without a mark; and whether rows must have come in them, or not have changed. */
  #owing(periods: readonly Period[], states: readonly DutyState[] | undefined): { owing: Period[]; supplied?: boolean } {
    const { today } = this.#known
    const open = periods.filter((period) => !isJudged(period, this.#known))
    if (states === undefined) return { owing: open }
    const updated = states.includes('updated')
    const owing = open.filter((period) => updated || statesAt(period, today).some((state) => states.includes(state)))
    if (updated) return states.length === 1 ? { owing, supplied: true } : { owing }
    return owing.length === 1 ? { owing, supplied: false } : { owing }
  }

  /** SQL: whether a phase asks for updates in one of these periods. */
  #owed(owing: readonly Period[], supplied: boolean | undefined, place: (value: unknown) => string): string {
    if (owing.length === 0) return 'false'
    const cycles = new Set(owing.flatMap(({ frequency }) => cyclesOwing(frequency, this.#known.rules.duties)))
    const asks = `cycle = any(${place([...cycles])})`
    if (supplied === undefined) return asks
    const [first, last] = [least(owing.map(({ from }) => from)), greatest(owing.map(({ to }) => to))]
    return `${asks} and ${supplied ? '' : 'not '}exists (select from supply_day s where s.resource = resource_phase.resource
      and s.day between ${place(first)}::date and ${place(last)}::date and (s.changed_rows > s.same_rows${supplied ? ' or s.snapshot_rows > 0' : ''}))`
  }
}

/** What is written down of duties in these states. */
function marksOf(states: readonly DutyState[] = dutyStates): string[] {
  const marks = {
    upcoming: [],
    running: [],
    updated: ['updated', 'explained'],
    explained: ['explained'],
    overdue: ['overdue'],
    excused: ['excused'],
  }
  return [...new Set(states.flatMap((state): string[] => marks[state]))]
}

/** States of what is not updated and of which nothing is written. */
function statesAt({ from, to }: Period, today: Day): DutyState[] {
  return from > today ? ['upcoming'] : to >= today ? ['running'] : ['overdue', 'excused']
}

const inOrder = <T extends string>(ranks: readonly T[], down: boolean): T[] => (down ? ranks.toSorted().toReversed() : ranks.toSorted())

/** Ranks that are none come last in either direction. */
function isBefore(rank: string | null, start: string | null, down: boolean): boolean {
  if (rank === null || start === null) return rank !== null && start === null
  return down ? rank > start : rank < start
}
