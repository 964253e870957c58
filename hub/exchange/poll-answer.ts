import type { AgentReport, CorrectionNote, DeliveryHeader, PollRequest } from '../../protocol/api.ts'
import type { Position, ChainPosition } from '../../protocol/position.ts'
import { detailsToWire } from '../../protocol/errors.ts'
import { stopText } from '../../protocol/policy.ts'
import { correctionsOf } from './corrections.ts'
import { deliverInTurns, type DeliverableRoute, type RoutedBatch, type NoDelivery } from './deliver.ts'
import type { ExchangeContext, IssuedPolicy } from './context.ts'
import { endedBecause, unknownRoute, type AgentView, type Received } from './agent-views.ts'
import { noteAhead, readStreams, wantSnapshot, type StreamNotes } from './streams.ts'
import type { ExchangeAgent } from './agent.ts'

/** `report` is undefined where it is not understood. */
export type Poll = Omit<PollRequest, 'report'> & { report: AgentReport | undefined }

/** A route of the request that is this agent's. */
export interface AskedRoute {
  asked: PollRequest['routes'][number]
  route: Received
}

export function routesAsked(view: AgentView, request: Pick<Poll, 'routes'>): AskedRoute[] {
  return request.routes.flatMap((asked) => {
    const route = view.routes.get(asked.route)
    return route ? [{ asked, route }] : []
  })
}

export interface PollAnswer {
  header: DeliveryHeader
  batches: Buffer[]
  /** What the answer says besides policy, batches and times: the same again is no news. */
  digest: string
  /** Ids of the asks told. */
  asked: string[]
  news: boolean
}

/** One look at everything that the hub has to say to an agent now. */
export async function answerOf(context: ExchangeContext, agent: ExchangeAgent, view: AgentView, request: Poll): Promise<PollAnswer> {
  const { store, clock, memory } = context
  const routes = routesAsked(view, request)
  const resources = routes.map(({ route }) => route.resource)
  const now = clock()
  const told = { now, masks: request.masks === true }
  const [policy, notes, { routed, limited }, corrections] = await Promise.all([
    policyOf(context, view, agent.id, request.policy),
    readStreams(store, [...resources, ...view.supplies.keys()]),
    deliver(context, agent.id, routes, told),
    correctionsOf(store, request.report ?? { sinks: [] }),
  ])
  const asks = view.asks.filter(({ expires }) => expires > now)
  const header: DeliveryHeader = {
    time: now.toISOString(),
    ...(policy.serial > request.policy && { policy: policy.jws }),
    snapshots: [...view.supplies.keys()].flatMap((resource) => snapshotRequests(resource, notes.get(resource))),
    routes: request.routes.flatMap(({ route }) => routeAnswer(route, view.routes.get(route), { ...told, notes, limited, corrections })),
    ...(asks.length > 0 && { asks: asks.map(({ statement }) => statement) }),
    batches: routed.map(({ route, bytes }) => ({ route, length: bytes.length })),
  }
  const asked = asks.map(({ id }) => id)
  const said = header.routes.flatMap(({ route, code, details, corrections: of }) => (code || of ? [[route, code, details, of]] : []))
  const digest = JSON.stringify([request.report?.session, header.snapshots, said])
  const news = routed.length > 0 || header.policy !== undefined || memory.hasChanges(agent.id, digest, asked)
  return { header, batches: routed.map(({ bytes }) => bytes), digest, asked, news }
}

function snapshotRequests(resource: string, notes: StreamNotes | undefined): DeliveryHeader['snapshots'] {
  return notes?.wanted ? [{ resource, after: notes.wanted.after }] : []
}

/** What decides whether a route may have something now. */
interface Asking {
  now: Date
  /** The agent verifies what is masked. */
  masks: boolean
}

interface Told extends Asking {
  notes: ReadonlyMap<string, StreamNotes>
  corrections: ReadonlyMap<string, CorrectionNote[]>
  limited: Limited
}

/** The provider's newest head statement, or why the route gets nothing. */
function routeAnswer(id: string, route: Received | undefined, { notes, limited, corrections, now, masks }: Told): DeliveryHeader['routes'] {
  const stop = route ? endedBecause(route, now, masks) : unknownRoute
  if (stop !== undefined) {
    const details = { route: id, reason: stopText(stop), ...(stop.next && { next: stop.next }) }
    return [{ route: id, code: 'QZ-ROUTE-ENDED', ...detailsToWire(details) }]
  }
  const limit = limited.get(id)
  if (limit) return [{ route: id, code: 'QZ-SNAPSHOT-LIMIT', ...detailsToWire({ route: id, ...limit }) }]
  const head = notes.get(route!.resource)?.headStatement
  const of = corrections.get(id)
  return head === undefined && !of ? [] : [{ route: id, ...(head !== undefined && { head }), ...(of && { corrections: of }) }]
}

/** Kept as long as the view of the registry that it goes with. An agent that knows a later serial shows that the hub was restored. */
async function policyOf({ policies, policyFor }: ExchangeContext, view: AgentView, agent: string, reported: number): Promise<IssuedPolicy> {
  const known = await policies.get(view)
  if (known && known.serial >= reported) return known
  const issued = policyFor(agent, reported)
  policies.set(view, issued)
  return issued
}

/** Up to so many routes are read without asking for their heads first, which is a round trip more on the way of a row. */
const few = 2

/** Routes that need a new snapshot and have cost their providers too many. */
type Limited = Map<string, { count: number; until: string }>

interface Delivered {
  routed: RoutedBatch[]
  limited: Limited
}

/** Batches for the routes that may have some now, fair between them. */
async function deliver(context: ExchangeContext, agent: string, routes: readonly AskedRoute[], { now, masks }: Asking): Promise<Delivered> {
  const { log, views, memory, limits } = context
  const open = routes.filter(({ asked, route }) => asked.credit > 0 && endedBecause(route, now, masks) === undefined)
  const heads = open.length > few ? await log.heads(open.map(({ route }) => route.resource)) : undefined
  const asks = new Map(open.map(({ asked, route }) => [deliverable(context, asked, route, heads), asked]))
  const limited: Limited = new Map()
  const round = {
    log,
    views,
    deriving: ({ route, grant }: Received) => ({ route, key: context.hubKey, secret: context.maskKey(grant) }),
    starts: (route: DeliverableRoute, began: Position) => memory.restarted(asks.get(route)!, began),
    undelivered: (route: DeliverableRoute, next: NoDelivery) => undelivered(context, route, next, { now, limited }),
  }
  const routed = await deliverInTurns(round, memory.inTurn(agent, [...asks.keys()]), limits.answerBytes)
  const last = routed.at(-1)
  if (last) memory.served(agent, last.route)
  return { routed, limited }
}

function deliverable(
  { memory }: ExchangeContext,
  asked: AskedRoute['asked'],
  route: Received,
  heads: ReadonlyMap<string, ChainPosition> | undefined,
): DeliverableRoute {
  const restart = memory.restartOf(asked)
  const head = heads && { head: heads.get(route.resource) ?? null }
  return { route, after: asked.after, credit: asked.credit, ...head, ...(restart && { restart }) }
}

/** A route that cannot go on waits for a new snapshot; ahead of a restored hub, for one in a later epoch. */
async function undelivered(
  { store, wakeups, memory }: ExchangeContext,
  { route, after }: DeliverableRoute,
  next: NoDelivery,
  { now, limited }: { now: Date; limited: Limited },
): Promise<void> {
  if (next === 'current') return
  const { resource } = route
  const limit = memory.limitOf(route.route, now)
  if (limit) return void limited.set(route.route, limit)
  const news = next === 'ahead' ? noteAhead(store, resource, after!, now) : wantSnapshot(store, resource, next.wanted)
  if (!(await news)) return
  memory.demanded(route.route, now)
  wakeups.wake(`snapshot:${resource}`)
}
