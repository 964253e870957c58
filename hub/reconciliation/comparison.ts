import { bitsFor } from '../../protocol/digest.ts'
import { isAfter, type ChainPosition } from '../../protocol/position.ts'
import {
  maxKeys,
  outcomeOf,
  type Measured,
  type ReconciledKey,
  type ReconciliationStatement,
  type StepAnswer,
} from '../../protocol/reconciliation.ts'
import type { RunSide, Side } from './asking.ts'
import { differingBuckets, differingKeys, type Difference } from './comparing.ts'
import { Verdict, type JudgedKey } from './verdict.ts'
import type { RunRoute } from './routes.ts'

/** What a run is about, and its two ends. */
export interface Comparison {
  run: string
  salt: string
  route: RunRoute
  /** An agent, or the hub where it made the stream itself. */
  source: Side
  target: RunSide
  repair: boolean
  now: () => Date
  /** Keys that it follows at all: beyond, a snapshot is the shorter way. */
  mostKeys?: number
}

export interface Compared {
  statement: ReconciliationStatement
  keys: readonly JudgedKey[]
}

type Digested = Extract<StepAnswer<'digest'>, { done: true }>

/** Keys, where a run is not told otherwise, and readings for differing buckets. */
const [usualKeys, mostReadings] = [50_000, 8]

/**
 * The way of a reconciliation, from top to bottom: both sum their tables up; where the sums differ the buckets are compared, then the
 * rows of the buckets that differ, by hashes; the keys that differ are followed, a portion after the other, until they are settled or
 * explained; what remains is mended, where that is wanted, and followed once more; both sum up again, the followed keys as they were read
 * last; and what came of it is put into one statement. Nothing is stored here.
 */
export async function compare(comparison: Comparison): Promise<Compared> {
  const { source, target } = comparison
  const { narrowed } = await target.narrowing()
  source.narrowed = target.narrowed = narrowed
  const [here, there] = await Promise.all([source.long('digest', {}), target.long('digest', {})])
  if (here.rows === there.rows && here.digest === there.digest)
    return made(comparison, here, there, { keys: [], position: there.position, more: 0 })
  const followed = await followDifferences(comparison, Math.max(here.rows, there.rows), there.position)
  if (followed.more > 0) return made(comparison, here, there, followed)
  const left = followed.keys.filter(({ state }) => state === 'moving' || state === 'quarantined').map(({ key }) => key)
  const [ours, theirs] = await Promise.all([source.total(left), target.total(left)])
  return made(comparison, { ...here, ...ours }, { ...there, ...theirs }, followed)
}

interface Outcome {
  keys: readonly JudgedKey[]
  /** The last place that the receiver was read at. */
  position: ChainPosition
  /** Differences that were not followed, as far as they are known: at least so many. */
  more: number
}

async function followDifferences(comparison: Comparison, rows: number, from: ChainPosition): Promise<Outcome> {
  const { source, target, mostKeys = usualKeys } = comparison
  const outcome = { keys: [] as JudgedKey[], position: from, more: 0 }
  const bits = bitsFor(rows)
  const [here, there] = await Promise.all([source.buckets(bits), target.buckets(bits)])
  const readings = portions(differingBuckets(here, there, 0))
  if (readings.length > mostReadings) return { ...outcome, more: readings.flat().length }
  for (const [read, buckets] of readings.entries()) {
    const differing = await differences(comparison, { bits, buckets })
    for (const part of portions([...differing])) {
      if (outcome.keys.length >= mostKeys) outcome.more += part.length
      else {
        const { keys, position } = await followPortion(comparison, new Map(part), outcome.position)
        outcome.keys.push(...keys)
        outcome.position = position
      }
    }
    if (outcome.more > 0) return { ...outcome, more: outcome.more + readings.slice(read + 1).flat().length }
  }
  return outcome
}

function portions<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / maxKeys) }, (_, i) => all.slice(i * maxKeys, (i + 1) * maxKeys))
}

async function followPortion(comparison: Comparison, differing: ReadonlyMap<string, Difference>, from: ChainPosition) {
  const verdict = new Verdict(await keysOf(comparison, differing))
  let position = (await follow(comparison, verdict, 1)) ?? from
  if (comparison.repair && verdict.mendable.length > 0) {
    await repair(comparison, verdict.mendable, position)
    verdict.resent()
    position = (await follow(comparison, verdict, 51)) ?? position
  }
  return { keys: verdict.keys, position }
}

/**
 * Keys that a receiver named are only proposals: the source sends the rows that it finds there to all its receivers, but a delete for none.
 * At the others it has no row, nor had it one when it read what the receiver had applied up to `position`: of such rows this receiver, and no
 * other, removes those that came no later.
 */
async function repair({ source, target }: Comparison, keys: ReconciledKey[], position: ChainPosition): Promise<void> {
  // A program of before the step `remove` names none: what its receiver has too much stays a difference.
  const { absent = [] } = await source.long('repair', { keys })
  if (absent.length > 0) await target.long('remove', { keys: absent, before: position })
}

/** Hashes of the keys that differ in some buckets. */
async function differences({ source, target }: Comparison, step: { bits: number; buckets: number[] }): Promise<Map<string, Difference>> {
  const [ours, theirs] = await Promise.all([source.long('collect', step), target.long('collect', step)])
  return differingKeys(await source.entries(ours.entries), await target.entries(theirs.entries))
}

/** The keys themselves: only of rows that differ, from the side that has the row. */
async function keysOf({ source, target }: Comparison, differing: ReadonlyMap<string, Difference>) {
  const hashes = (wanted: (difference: Difference) => boolean) => [...differing].filter(([, one]) => wanted(one)).map(([hash]) => hash)
  const [missing, changed, extra] = [
    hashes((one) => one === 'missing'),
    hashes((one) => one === 'changed'),
    hashes((one) => one === 'extra'),
  ]
  const keys = await source.keys([...missing, ...changed])
  const others = await target.keys(extra)
  return [
    ...keys.map((key, i) => ({ key, difference: i < missing.length ? ('missing' as const) : ('changed' as const) })),
    ...others.map((key) => ({ key, difference: 'extra' as const })),
  ]
}

/** @returns the last place that the receiver was read at. */
async function follow({ source, target }: Comparison, verdict: Verdict, first: number): Promise<ChainPosition | undefined> {
  let position: ChainPosition | undefined
  for (let round = first; verdict.open.length > 0; round++) {
    const keys = verdict.open
    const here = await source.long('recheck', { round, keys })
    const there = await target.long('recheck', { round, keys, ...(here.position && { after: here.position }) })
    verdict.note(here, there)
    if (there.position && isAfter(there.position, position)) position = there.position
  }
  return position
}

function made(comparison: Comparison, here: Digested, there: Digested, { keys, position, more }: Outcome): Compared {
  const { run, salt, route, now, source } = comparison
  const count = (state: JudgedKey['state']) => keys.filter((key) => key.state === state).length
  const narrowed = source.narrowed.map(({ item }) => item)
  const counts = {
    differing: keys.length + more,
    more: more > 0,
    settled: count('settled'),
    moving: count('moving'),
    quarantined: count('quarantined'),
    repaired: count('repaired'),
    // What nobody could follow is not mended.
    remaining: count('remaining') + more,
  }
  const { resource, schema, items, masked } = route
  const statement: ReconciliationStatement = {
    run,
    route: route.route,
    resource,
    schema,
    items,
    ...(narrowed.length > 0 && { narrowed }),
    ...(masked.length > 0 && { masked }),
    salt,
    position,
    time: now().toISOString(),
    source: measured(here),
    target: measured(there),
    ...counts,
    outcome: 'different',
  }
  statement.outcome = outcomeOf(statement)
  return { statement, keys }
}

function measured({ rows, digest, from, to, doubt }: Digested): Measured {
  return { rows, digest, from, to, ...(doubt && { doubt }) }
}
