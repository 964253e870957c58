import type { Manifest } from '../../protocol/batch.ts'
import type { ChainPosition } from '../../protocol/position.ts'
import { deliverableItems, itemById, keyItems, type Schema } from '../../protocol/schema.ts'
import type { Masks } from '../../protocol/masks.ts'
import type { RouteStop } from '../../protocol/policy.ts'
import { openRequests, type OpenRequest } from './agent-requests.ts'
import type { Store } from '../store/store.ts'
import type { Listener, Wakeups } from '../store/wakeups.ts'
import { revocation, type Revocation } from '../records/agents.ts'
import { masksOnRoute, unmaskable, type GrantMasks } from '../records/masks.ts'
import { endedSql, routeStop, stoppedJoin, stoppedSql, type StopRow } from '../records/route-stops.ts'
import { producerOf, sharedSql } from '../records/supply.ts'

/** What an agent may supply now. */
export interface Supplied {
  resource: string
  /** The current version. */
  schema: Schema
  /** Closed items whose data the provider stores on the hub all the same. */
  storedClosed: readonly string[]
  /** Who produced the stream last; null where nobody did. */
  lastProducer: string | null
}

/** What an agent may receive now. */
export interface Received {
  route: string
  grant: string
  resource: string
  keep: 'store' | 'relay'
  schema: Schema
  granted: readonly string[]
  /** Of granted items that are delivered derived; absent where there are none. */
  masks?: Masks
  /** Why nothing may be delivered, whatever the time is. */
  stop?: RouteStop
  expires?: Date
  /** What its receipts said. */
  position: ChainPosition | null
}

export interface AgentView {
  /** Of an agent that is revoked, and may do nothing. */
  revoked?: Revocation
  supplies: ReadonlyMap<string, Supplied>
  routes: ReadonlyMap<string, Received>
  /** What it is asked and has not answered. */
  asks: readonly OpenRequest[]
}

export const unknownRoute: RouteStop = { reason: { zh: '没有此路由', en: 'unknown' } }
const expired = routeStop('expired', { reason: null, since: null, by: null })

/** Why nothing may be delivered on this route now, or undefined. `masks`: whether the agent verifies what is masked. */
export function endedBecause(route: Received, now: Date, masks = true): RouteStop | undefined {
  return route.stop ?? (route.expires && route.expires <= now ? expired : masks || !route.masks ? undefined : tooOld)
}

/** An agent of before masks in the exchange would take what is derived for broken. */
const tooOld: RouteStop = {
  reason: { zh: '其信息项已脱敏，本代理程序版本过旧，不能核验', en: 'items of it are masked, which this agent is too old to verify' },
  next: { zh: '升级本前置机的代理程序，之后自动继续', en: 'bring the agent on this machine up to date; then it goes on by itself' },
}

/**
 * The items that a batch of schema version `made` may carry to a receiver now: granted, and closed neither then nor now. Openness that
 * was tightened, or an item that was taken out of the resource, so acts on what is stored too.
 */
export function itemsToDeliver(made: Schema, { schema, granted }: Pick<Received, 'schema' | 'granted'>): Set<string> {
  const open = (id: string) => (itemById(schema, id)?.openness ?? 'closed') !== 'closed'
  return new Set(deliverableItems(made, granted).flatMap((item) => (item.key || open(item.id) ? [item.id] : [])))
}

/**
 * Whether a receiver can go on with a batch of schema version `made`: it holds all that the route is to have now, under the same key. A
 * later version may name other items; its stream begins with a snapshot, and what came before in another form is passed over.
 */
export function fitsRoute(
  made: Schema,
  { blocks }: Pick<Manifest, 'blocks'>,
  { schema, granted }: Pick<Received, 'schema' | 'granted'>,
): boolean {
  if (made.version === schema.version) return true
  const present = new Set(blocks.map(({ item }) => item))
  const keys = new Set(keyItems(made).map(({ id }) => id))
  const sameKey = keyItems(schema).every(({ id }) => keys.delete(id)) && keys.size === 0
  return sameKey && deliverableItems(schema, granted).every(({ id }) => present.has(id) && wasOpen(made, id))
}

/** What was closed when the batch was made stays withheld of it. */
function wasOpen(made: Schema, id: string): boolean {
  return (itemById(made, id)?.openness ?? 'closed') !== 'closed'
}

const suppliesSql = `
  select r.code as resource, v.schema, v.stored_closed_items, s.producer as last_producer
  from agent a
  join resource r on ${sharedSql} and r.agency = a.agency and ${producerOf} = a.id
  join resource_version v on v.resource = r.code and v.version = r.version
  left join stream s on s.resource = r.code
  where a.id = $1 and a.state = 'active'`

const routesSql = `
  select t.id as route, g.id as grant, r.code as resource, r.keep, v.schema, g.items, g.masks, g.valid_to, t.epoch, t.seq, t.hash, ${stoppedSql},
    ${endedSql} as ended
  from route t
  join agent a on a.id = t.agent
  join access_grant g on g.id = t.access_grant
  join resource r on r.code = g.resource
  join resource_version v on v.resource = r.code and v.version = r.version
  ${stoppedJoin}
  where t.agent = $1`

interface SupplyRow {
  resource: string
  schema: Schema
  stored_closed_items: string[]
  last_producer: string | null
}

interface RouteRow extends StopRow {
  route: string
  grant: string
  resource: string
  keep: 'store' | 'relay'
  schema: Schema
  items: string[]
  masks: GrantMasks
  valid_to: Date | null
  epoch: string | null
  seq: string | null
  hash: string | null
}

async function readView({ query }: Pick<Store, 'query'>, agent: string): Promise<AgentView> {
  const [agents, supplies, routes, asks] = await Promise.all([
    query<Revocation & { state: string }>(`select state, ${revocation} from agent where id = $1`, [agent]),
    query<SupplyRow>(suppliesSql, [agent]),
    query<RouteRow>(routesSql, [agent]),
    openRequests(query, agent),
  ])
  const [known] = agents
  return {
    ...(known?.state !== 'active' && { revoked: known ?? { revokedAt: null, replacedBy: null } }),
    supplies: new Map(supplies.map((row) => [row.resource, supplied(row)])),
    routes: new Map(routes.map((row) => [row.route, received(row)])),
    asks,
  }
}

function supplied({ resource, schema, stored_closed_items, last_producer }: SupplyRow): Supplied {
  return { resource, schema, storedClosed: stored_closed_items, lastProducer: last_producer }
}

function received(row: RouteRow): Received {
  const { route, grant, resource, keep, schema, items, masks, valid_to, epoch, seq, hash, ended, ...stop } = row
  const position = epoch && seq && hash ? { epoch: Number(epoch), seq: Number(seq), hash } : null
  const masked = masksOnRoute(schema, items, masks)
  const whole = unmaskable(schema.items, masked.masks ?? {})
  const stopped = ended ? routeStop(ended, stop) : whole
  const end = { ...(stopped && { stop: stopped }), ...(valid_to && { expires: valid_to }) }
  return { route, grant, resource, keep, schema, granted: items, ...masked, position, ...end }
}

interface Remembered {
  listener: Listener
  readAt: number
  view: Promise<AgentView>
}

/** Milliseconds that a view may be old: the bound on how late a change made in another hub process acts. */
const oldest = 1000
const noWait = AbortSignal.abort()

/** What the registry says about each agent, remembered: until `agent:<id>` wakes, which acts at once in this process, or for a second. */
export class AgentViews {
  readonly #store: Pick<Store, 'query'>
  readonly #wakeups: Wakeups
  readonly #remembered = new Map<string, Remembered>()
  readonly #versions = new Map<string, Promise<Schema | undefined>>()

  constructor(store: Pick<Store, 'query'>, wakeups: Wakeups) {
    this.#store = store
    this.#wakeups = wakeups
  }

  async of(agent: string): Promise<AgentView> {
    const known = this.#remembered.get(agent)
    // An aborted wait only asks whether a wake was heard.
    if (known && !(await known.listener.wait(0, noWait)) && performance.now() - known.readAt < oldest) return known.view
    return this.#read(agent, known?.listener ?? this.#wakeups.listen([`agent:${agent}`]))
  }

  /** The next look reads anew. */
  forget(agent: string): void {
    const known = this.#remembered.get(agent)
    if (known) known.readAt = -Infinity
  }

  #read(agent: string, listener: Listener): Promise<AgentView> {
    const view = readView(this.#store, agent)
    this.#remembered.set(agent, { listener, readAt: performance.now(), view })
    view.catch(() => this.forget(agent))
    return view
  }

  /** A published version never changes in what it says about its batches: what is closed now, the current version says. */
  version(resource: string, version: number): Promise<Schema | undefined> {
    const key = `${resource}@${version}`
    let schema = this.#versions.get(key)
    if (!schema) {
      schema = this.#readVersion(resource, version)
      if (this.#versions.size > 200) this.#versions.clear()
      this.#versions.set(key, schema)
      schema.catch(() => this.#versions.delete(key))
    }
    return schema
  }

  async #readVersion(resource: string, version: number): Promise<Schema | undefined> {
    const text = 'select schema from resource_version where resource = $1 and version = $2'
    return (await this.#store.query<{ schema: Schema }>(text, [resource, version]))[0]?.schema
  }

  close(): void {
    for (const { listener } of this.#remembered.values()) listener.close()
  }
}
