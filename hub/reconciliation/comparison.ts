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
import type { RunSide } from './asking.ts'
import { differingBuckets, differingKeys, type Difference } from './comparing.ts'
import { Verdict, type JudgedKey } from './verdict.ts'
import type { RunRoute } from './routes.ts'

/** What a run is about, and its two ends. */
export interface Comparison {
  run: string
  salt: string
  route: RunRoute
  source: RunSide
  target: RunSide
  repair: boolean
  now: () => Date
}

export interface Compared {
  statement: ReconciliationStatement
  keys: readonly JudgedKey[]
}

type Digested = Extract<StepAnswer<'digest'>, { done: true }>

/**
 * The way of a reconciliation, from top to bottom: both sum their tables up; where the sums differ the buckets are compared, then the
 * rows of the buckets that differ, by hashes; the keys that differ are followed until they are settled or explained; what remains is
 * mended, where that is wanted, and followed once more; both sum up again, the followed keys as they were read last; and what came of it is
 * put into one statement. Nothing is stored here.
 */
export async function compare(comparison: Comparison): Promise<Compared> {
  const { source, target } = comparison
  const [here, there] = await Promise.all([source.long('digest', {}), target.long('digest', {})])
  if (here.rows === there.rows && here.digest === there.digest) return made(comparison, here, there, there.position, new Verdict([]))
  const differing = await differences(comparison, Math.max(here.rows, there.rows))
  if (differing === undefined) return made(comparison, here, there, there.position, new Verdict([]), maxKeys)
  const verdict = new Verdict(await keysOf(comparison, differing))
  let position = (await follow(comparison, verdict, 1)) ?? there.position
  if (comparison.repair && verdict.mendable.length > 0) {
    await repair(comparison, verdict.mendable, position)
    verdict.resent()
    position = (await follow(comparison, verdict, 51)) ?? position
  }
  const without = verdict.keys.filter(({ state }) => state === 'moving' || state === 'quarantined').map(({ key }) => key)
  const [ours, theirs] = await Promise.all([source.total(without), target.total(without)])
  return made(comparison, { ...here, ...ours }, { ...there, ...theirs }, position, verdict)
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

/** Hashes of the keys that differ; undefined where there are more than can be followed. */
async function differences({ source, target }: Comparison, rows: number): Promise<Map<string, Difference> | undefined> {
  const bits = bitsFor(rows)
  const [here, there] = await Promise.all([source.buckets(bits), target.buckets(bits)])
  const buckets = differingBuckets(here, there, 0)
  if (buckets.length > maxKeys) return undefined
  const step = { bits, buckets }
  const [ours, theirs] = await Promise.all([source.long('collect', step), target.long('collect', step)])
  const keys = differingKeys(await source.entries(ours.entries), await target.entries(theirs.entries))
  return keys.size > maxKeys ? undefined : keys
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

function made(comparison: Comparison, here: Digested, there: Digested, position: ChainPosition, verdict: Verdict, more = 0): Compared {
  const { run, salt, route, now } = comparison
  // What nobody could follow is not mended.
  const remaining = more || verdict.count('remaining')
  const counts = {
    differing: more || verdict.keys.length,
    more: more > 0,
    settled: verdict.count('settled'),
    moving: verdict.count('moving'),
    quarantined: verdict.count('quarantined'),
    repaired: verdict.count('repaired'),
    remaining,
  }
  const { resource, schema, items } = route
  const statement: ReconciliationStatement = {
    run,
    route: route.route,
    resource,
    schema,
    items,
    salt,
    position,
    time: now().toISOString(),
    source: measured(here),
    target: measured(there),
    ...counts,
    outcome: 'different',
  }
  statement.outcome = outcomeOf(statement)
  return { statement, keys: verdict.keys }
}

function measured({ rows, digest, from, to }: Digested): Measured {
  return { rows, digest, from, to }
}
