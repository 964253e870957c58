import { endOf, startOf, type Day } from '../../records/calendar.ts'
import type { Phase } from '../../records/phases.ts'
import type { Cycle, Period } from './periods.ts'

/**
 * Why a duty is not asked for although it was owed: an office has stopped the resource (Art. 26), the agency has given notice of force
 * majeure (Art. 20) or reported that it cannot supply (Art. 7.4), or its application for a machine lay with the office (Art. 15).
 */
export type Excuse = 'stopped' | 'force-majeure' | 'cannot-supply' | 'no-machine'

/** A signed notice of force majeure or report that one cannot supply holds from the signature on, an application while the office has it. */
export interface Inability {
  kind: Exclude<Excuse, 'stopped'>
  from: Date
  /** Where it names no end: when the first update after it came; null while none has. */
  until: Date | null
}

/** All that a resource's duties are reckoned from. */
export interface DutyFacts {
  published: Date
  /** In order; the first one reaches back to the publication. */
  phases: readonly Phase[]
  inabilities: readonly Inability[]
  /** Days on which rows changed, in order. */
  updates: readonly Day[]
}

export interface Reckoned {
  owed: boolean
  /** First day of the period on which rows changed. */
  updatedOn: Day | null
  excuse: Excuse | null
}

/**
 * What a period asks of a resource, by what was in force at each of its moments (Art. 14).
 *
 * An update is owed where a whole day of the period lies behind the publication and a cycle that asks for it was in force for at least half
 * of the period's time since then. It is excused where less than half of the time in which it was asked for could be used: in the rest the
 * resource was stopped, its agency had said in writing that it could not supply, or waited for the office to give it a machine. Whoever changes the cycle or stops the resource on the last
 * evening changes nothing.
 */
export function reckon(facts: DutyFacts, { from, to }: Period, owing: readonly Cycle[]): Reckoned {
  if (facts.phases.every(({ cycle }) => !owing.includes(cycle as Cycle))) return { owed: false, updatedOn: null, excuse: null }
  const updatedOn = facts.updates.find((day) => from <= day && day <= to) ?? null
  if (facts.published >= startOf(to)) return { owed: false, updatedOn, excuse: null }
  const start = Math.max(startOf(from).getTime(), facts.published.getTime())
  const end = endOf(to).getTime()
  const whole = end - start
  let asked = 0
  let usable = 0
  const lost: Record<Excuse, number> = { stopped: 0, 'force-majeure': 0, 'cannot-supply': 0, 'no-machine': 0 }
  for (const { at, length } of pieces(facts, start, end)) {
    const phase = phaseAt(facts.phases, at)
    if (!phase || !owing.includes(phase.cycle as Cycle) || phase.state === 'withdrawn' || !phase.supplied) continue
    asked += length
    const why = hindrance(facts, phase, at)
    if (why) lost[why] += length
    else usable += length
  }
  const owed = 2 * asked >= whole
  const most = (Object.keys(lost) as Excuse[]).reduce((a, b) => (lost[b] > lost[a] ? b : a))
  return { owed, updatedOn, excuse: owed && 2 * usable < asked && lost[most] > 0 ? most : null }
}

function hindrance({ inabilities }: DutyFacts, { state }: Phase, at: number): Excuse | null {
  if (state === 'suspended') return 'stopped'
  return inabilities.find(({ from, until }) => from.getTime() <= at && (until === null || at < until.getTime()))?.kind ?? null
}

/** The time from start to end, cut where anything begins or ends. */
function* pieces({ phases, inabilities }: DutyFacts, start: number, end: number): Generator<{ at: number; length: number }> {
  const cuts = [...phases.map(({ since }) => since), ...inabilities.flatMap(({ from, until }) => [from, until ?? from])]
  const inside = cuts.map((cut) => cut.getTime()).filter((cut) => start < cut && cut < end)
  const places = [start, ...new Set(inside.toSorted((a, b) => a - b)), end]
  for (const [i, at] of places.slice(0, -1).entries()) yield { at, length: places[i + 1]! - at }
}

/** The last one that had begun; before all of them the first. */
function phaseAt(phases: readonly Phase[], at: number): Phase | undefined {
  return phases.findLast(({ since }) => since.getTime() <= at) ?? phases[0]
}

/** Whether a duty is in anybody's hands now: the resource is not stopped, and nothing was said against it. */
export function isHindered(facts: DutyFacts, now: Date): boolean {
  const phase = phaseAt(facts.phases, now.getTime())
  return phase !== undefined && hindrance(facts, phase, now.getTime()) !== null
}

/** A declaration's last day is its own. */
export function endOfInability(until: Day | null, nextUpdate: Day | null): Date | null {
  if (until !== null) return endOf(until)
  return nextUpdate === null ? null : startOf(nextUpdate)
}
