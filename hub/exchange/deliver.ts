import { beginsSnapshot, projectBatch, splitBatch, trustedManifest, type Manifest, type SealedBatch } from '../../protocol/batch.ts'
import { isAfter, samePosition, type Position, type ChainPosition } from '../../protocol/position.ts'
import { deriveBatch, type Deriving } from '../../protocol/derived.ts'
import type { Schema } from '../../protocol/schema.ts'
import { unlimited } from './context.ts'
import type { Log, StoredBatch } from '../log.ts'
import { fitsRoute, itemsToDeliver, type AgentViews, type Received } from './agent-views.ts'

/** A route that may get batches, and how much of them. */
export interface DeliverableRoute {
  route: Received
  /** What it has (see PollRequest). */
  after: ChainPosition | null
  /** Bytes that it still has room for. */
  credit: number
  /** The stream's head where it was asked for, null for none: spares a read where there is nothing new. */
  head?: ChainPosition | null
  /** The route cannot go on behind `after`: only a snapshot that begins after this place will do. */
  restart?: { after: Position | null }
}

/** How a route goes on: batches behind a place; a snapshot that begins after one (or is wanted after another); up to date; ahead of the log. */
type Next = { read: StoredBatch[] } | { snapshotAfter: Position | null; wanted: Position } | NoDelivery
export type NoDelivery = 'current' | 'ahead' | { wanted: Position }

/**
 * Where a route goes on. A position in the log goes on behind it, also where its own batch was trimmed but the next one names it. A
 * position that is not in this log (it was trimmed away, or the streams diverged) restarts at the next snapshot that begins after it.
 */
async function nextOf(log: Log, deliverable: DeliverableRoute, share: number): Promise<Next> {
  const { route, after, restart } = deliverable
  if (after && !restart && !samePosition(after, deliverable.head)) {
    const read = await behind(log, route.resource, after, share)
    if (read) return { read }
  }
  const head = deliverable.head === undefined ? ((await log.heads([route.resource])).get(route.resource) ?? null) : deliverable.head
  if (!head) return after ? 'ahead' : 'current'
  if (restart || !after) return { snapshotAfter: restart?.after ?? null, wanted: head }
  if (samePosition(after, head)) return 'current'
  if (isAfter(after, head)) return 'ahead'
  // The head is younger than the first look: what it names may just have been appended.
  const read = await behind(log, route.resource, after, share)
  return read ? { read } : { snapshotAfter: after, wanted: after }
}

/** Batches that go on behind a position, or undefined where there are none, or it is not in this log. */
async function behind(log: Log, resource: string, after: ChainPosition, share: number): Promise<StoredBatch[] | undefined> {
  const read = await log.read(resource, after, share)
  return read[0] && follows(read[0], after) ? read : undefined
}

function follows(next: StoredBatch, after: ChainPosition): boolean {
  const manifest = trustedManifest(splitBatch(next.bytes, unlimited))
  const chained = next.epoch === after.epoch && next.seq === after.seq + 1 && manifest.prev === after.hash
  return chained || beginsSnapshot(manifest)
}

export interface RoutedBatch {
  route: string
  bytes: Buffer
}

/** A route's turn is never shorter than this many bytes. */
const shortestTurn = 64 << 10

export interface DeliveryRound {
  log: Log
  views: AgentViews
  /** In whose name what a route gets masked is derived. */
  deriving: (route: Received) => Omit<Deriving, 'masks'>
  /** Told of each route that begins with a snapshot, and where that begins. */
  starts: (deliverable: DeliverableRoute, began: Position) => void
  /** Told of each route that gets nothing now, and why. */
  undelivered: (deliverable: DeliverableRoute, next: NoDelivery) => Promise<void>
}

/**
 * Takes batches for several routes, turn by turn, each turn an equal share of the room that is left, until the routes have all, their
 * credit or the room is used up. Whoever has credit gets at least one batch in its turn, however large it is.
 */
export async function deliverInTurns(round: DeliveryRound, routes: readonly DeliverableRoute[], room: number): Promise<RoutedBatch[]> {
  const routed: RoutedBatch[] = []
  const places = new Map<DeliverableRoute, Position>()
  let waiting = [...routes]
  let left = room
  while (waiting.length > 0 && left > 0) {
    const share = Math.max(shortestTurn, Math.floor(left / waiting.length))
    const again: DeliverableRoute[] = []
    for (const deliverable of waiting) {
      if (left <= 0) break
      const taken = await takeTurn(round, deliverable, places, Math.min(share, left, deliverable.credit))
      for (const bytes of taken.batches) {
        routed.push({ route: deliverable.route.route, bytes })
        deliverable.credit -= bytes.length
        left -= bytes.length
      }
      if (taken.full && deliverable.credit > 0) again.push(deliverable)
    }
    waiting = again
  }
  return routed
}

/** One turn of one route: its batches as far as the share goes, each reduced to what it may have; `full` where more may be waiting. */
async function takeTurn(
  round: DeliveryRound,
  deliverable: DeliverableRoute,
  places: Map<DeliverableRoute, Position>,
  share: number,
): Promise<{ batches: Buffer[]; full: boolean }> {
  const ready = await nextBatches(round, deliverable, places.get(deliverable), share)
  if (ready.length > 0) places.set(deliverable, ready.at(-1)!)
  const batches = ready.map((batch) => reduced(round, deliverable.route, batch))
  // Where less than half was there to take, the next batch can wait for the next poll.
  return { batches, full: ready.reduce((sum, { bytes }) => sum + bytes.length, 0) >= share / 2 }
}

/** What a route may have of a batch: the granted items that are open, those that are masked derived. */
function reduced({ deriving }: DeliveryRound, route: Received, { sealed, manifest, made }: Ready): Buffer {
  const items = itemsToDeliver(made, route)
  if (!route.masks) return projectBatch(sealed, items)
  return deriveBatch({ ...sealed, manifest, keyId: '' }, items, { ...deriving(route), masks: route.masks })
}

/** A stored batch that the route may have, with the version of the schema that it was made in. */
interface Ready extends StoredBatch {
  sealed: SealedBatch
  manifest: Manifest
  made: Schema
}

async function nextBatches(
  round: DeliveryRound,
  deliverable: DeliverableRoute,
  place: Position | undefined,
  share: number,
): Promise<Ready[]> {
  const { log, starts, undelivered } = round
  const { route } = deliverable
  if (place) return fitting(round, route, await log.read(route.resource, place, share))
  let next = await nextOf(log, deliverable, share)
  if (typeof next === 'object' && 'read' in next) {
    const ready = await fitting(round, route, next.read)
    if (ready.length > 0) return ready
    next = { snapshotAfter: next.read[0]!, wanted: next.read.at(-1)! }
  }
  if (typeof next !== 'object' || !('snapshotAfter' in next)) return undelivered(deliverable, next).then(() => [])
  const snapshot = await snapshotFor(round, route, next.snapshotAfter, share)
  if (!snapshot) return undelivered(deliverable, { wanted: next.wanted }).then(() => [])
  starts(deliverable, snapshot.began)
  return snapshot.ready
}

/** A snapshot of a form that the route takes. Complete ones first: a begun one may never be finished. */
async function snapshotFor(
  round: DeliveryRound,
  route: Received,
  after: Position | null,
  share: number,
): Promise<{ began: Position; ready: Ready[] } | undefined> {
  const { complete, begun } = await round.log.state(route.resource)
  for (const snapshot of [complete, begun]) {
    if (!snapshot || !isAfter(snapshot.began, after)) continue
    const { epoch, seq } = snapshot.began
    const ready = await fitting(round, route, await round.log.read(route.resource, { epoch, seq: seq - 1 }, share))
    if (ready.length > 0) return { began: snapshot.began, ready }
  }
  return undefined
}

/** Batches up to the first that was made in a version which lacks what the route is to have now, or has another key. */
async function fitting({ views }: DeliveryRound, route: Received, stored: readonly StoredBatch[]): Promise<Ready[]> {
  const ready: Ready[] = []
  for (const batch of stored) {
    const sealed = splitBatch(batch.bytes, unlimited)
    const manifest = trustedManifest(sealed)
    const made = await schemaOf(views, route, manifest)
    if (!fitsRoute(made, manifest, route)) break
    ready.push({ ...batch, sealed, manifest, made })
  }
  return ready
}

async function schemaOf(views: AgentViews, route: Received, { resource, schema: version }: Manifest): Promise<Schema> {
  if (version === route.schema.version) return route.schema
  const made = await views.version(resource, version)
  if (!made) throw new Error(`version ${version} of ${resource} is not registered`)
  return made
}
