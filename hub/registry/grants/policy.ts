import type { Checkpoint } from '../../../protocol/checkpoint.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { signPolicy, type EndedRoute, type Policy, type Receive, type StoppedRoute, type Supply } from '../../../protocol/policy.ts'
import { deliverableItems, type Schema } from '../../../protocol/schema.ts'
import { sha256, type SigningKey } from '../../../protocol/signature.ts'
import type { Query, Store } from '../../store/store.ts'
import { readRevocation } from '../../records/agents.ts'
import { masksOnRoute, type GrantMasks } from '../../records/masks.ts'
import { endedSql, routeStop, stoppedJoin, stoppedSql, type StopRow } from '../../records/route-stops.ts'
import { wireSchema } from '../catalog/content.ts'
import { withheldFrom } from './withheld.ts'
import { enteredSql, flowsSql, producerOf, sharedSql, suppliedItems } from '../../records/supply.ts'

export interface IssuedPolicy {
  serial: number
  jws: string
}

type HubKey = Pick<SigningKey, 'publicKey'>

const day = 86_400_000

/**
 * The policy in force for an agent, built from the registry. It is signed again only when its content changed, when less than half of
 * its life is left, or when the agent reports a serial that we do not know of: then this store was restored, and ours must be higher.
 * The serial is never below the clock in milliseconds, so that it also grows over a restore of both.
 * It carries the given checkpoint of the audit, a new one of which alone is no reason to sign again.
 */
export async function currentPolicy(
  store: Store,
  hubKey: SigningKey,
  agentId: string,
  reportedSerial: number,
  now: Date,
  config: { days: number },
  audit?: Checkpoint,
): Promise<IssuedPolicy> {
  if (!Number.isSafeInteger(reportedSerial + 2))
    throw new QianzhiError('QZ-REQUEST-INVALID', {
      reason: { zh: `策略序号 ${reportedSerial} 过大`, en: `policy serial ${reportedSerial} is too large` },
    })
  const life = config.days * day
  const wanted = { content: await policyContent(store.query, hubKey, agentId, now), now, life, reportedSerial }
  const kept = await keptPolicy(store.query, agentId)
  if (kept && stillGood(kept, wanted)) return kept
  return store.transaction(async (query) => {
    await query('select from agent where id = $1 for no key update', [agentId])
    const content = await policyContent(query, hubKey, agentId, now)
    const last = await keptPolicy(query, agentId)
    if (last && stillGood(last, { ...wanted, content })) return last
    const serial = Math.max((last?.serial ?? 0) + 1, reportedSerial + 1, now.getTime())
    const expires = new Date(now.getTime() + life)
    const policy: Policy = {
      v: 1,
      agent: agentId,
      serial,
      issued: now.toISOString(),
      expires: expires.toISOString(),
      ...(audit && { audit }),
      ...content,
    }
    const jws = signPolicy(policy, hubKey)
    await query(
      `insert into policy (agent, serial, content_hash, jws, expires_at) values ($1, $2, $3, $4, $5) on conflict (agent) do update
       set serial = excluded.serial, content_hash = excluded.content_hash, jws = excluded.jws, expires_at = excluded.expires_at`,
      [agentId, serial, contentHash(content), jws, expires],
    )
    return { serial, jws }
  })
}

type Content = Pick<Policy, 'agency' | 'supply' | 'withheld' | 'receive' | 'ended' | 'stopped'>

interface KeptPolicy extends IssuedPolicy {
  hash: string
  expires: Date
}

async function keptPolicy(query: Query, agent: string): Promise<KeptPolicy | undefined> {
  const [row] = await query<{ serial: string; hash: string; jws: string; expires: Date }>(
    'select serial, content_hash as hash, jws, expires_at as expires from policy where agent = $1',
    [agent],
  )
  return row && { ...row, serial: Number(row.serial) }
}

interface Wanted {
  content: Content
  now: Date
  life: number
  reportedSerial: number
}

function stillGood(kept: KeptPolicy, { content, now, life, reportedSerial }: Wanted): boolean {
  const left = kept.expires.getTime() - now.getTime()
  // One that was signed while the clock was wrong must not outlive the others.
  return kept.serial >= reportedSerial && left >= life / 2 && left <= life + day && kept.hash === contentHash(content)
}

function contentHash(content: Content): string {
  return sha256(JSON.stringify(content))
}

/** What the registry says now, in a fixed order. */
async function policyContent(query: Query, hubKey: HubKey, agentId: string, now: Date): Promise<Content> {
  const [agent] = await query<{ agency: string; state: string }>('select agency, state from agent where id = $1', [agentId])
  if (!agent) throw new QianzhiError('QZ-AGENT-UNKNOWN', { agent: agentId })
  if (agent.state === 'revoked') throw await readRevocation(query, agentId)
  const [supply, receive] = [await supplies(query, agentId, agent.agency), await receives(query, hubKey, agentId, now)]
  const ended = await toBeRemoved(query, agentId, now)
  const stopped = await stoppedRoutes(query, agentId, now)
  const withheld = await withheldFrom(query, agentId, agent.agency)
  const told = { ...(withheld.length > 0 && { withheld }), ...(stopped.length > 0 && { stopped }) }
  return { agency: agent.agency, supply, receive, ...(ended.length > 0 && { ended }), ...told }
}

async function supplies(query: Query, agentId: string, agency: string): Promise<Supply[]> {
  const rows = await query<{ keep: 'store' | 'relay'; schema: Schema; stored: string[] }>(
    `select r.keep, v.schema, v.stored_closed_items as stored
     from resource r join resource_version v on v.resource = r.code and v.version = r.version
     where r.agency = $2 and ${sharedSql} and ${producerOf} = $1 order by r.code`,
    [agentId, agency],
  )
  return rows.map(({ keep, schema, stored }) => ({ schema: wireSchema(schema), items: suppliedItems(schema, stored), keep }))
}

interface ReceiveRow {
  route: string
  grant: string
  items: string[]
  masks: GrantMasks
  validTo: Date | null
  standard: string | null
  schema: Schema
  key: string | null
}

/** The hub's own key counts only for what it produces itself. */
async function receives(query: Query, hubKey: HubKey, agentId: string, now: Date): Promise<Receive[]> {
  const rows = await query<ReceiveRow>(
    `select route.id as route, g.id as grant, g.items, g.masks, g.valid_to as "validTo", r.standard, v.schema,
       case when ${enteredSql} then $3 else producer.public_key end as key
     from route join access_grant g on g.id = route.access_grant join resource r on r.code = g.resource
       join resource_version v on v.resource = r.code and v.version = r.version
       left join agent producer on producer.id = ${producerOf}
     where route.agent = $1 and ${flowsSql} and (g.valid_to is null or g.valid_to > $2)
     order by route.id`,
    [agentId, now, hubKey.publicKey],
  )
  return rows.map(({ route, grant, items, masks, validTo, standard, schema, key }) => ({
    route,
    grant,
    schema: wireSchema(schema),
    items: deliverableItems(schema, items).map((item) => item.id),
    ...masksOnRoute(schema, items, masks),
    keys: key === null ? [] : [{ key, from: 1 }],
    ...(validTo && { expires: validTo.toISOString() }),
    ...(standard !== null && { standard, shared: true }),
  }))
}

/** Routes whose grant has ended for good and says that the data goes, as long as the receiver has not said that it is gone. */
function toBeRemoved(query: Query, agentId: string, now: Date): Promise<EndedRoute[]> {
  return query<EndedRoute>(
    `select route.id as route, g.id as grant, g.resource, v.schema ->> 'table' as table, g.at_end as data
     from route join access_grant g on g.id = route.access_grant join resource r on r.code = g.resource
       join resource_version v on v.resource = r.code and v.version = r.version
     where route.agent = $1 and g.at_end = 'remove' and route.removed is null and (g.state in ('revoked', 'expired', 'given-up') or g.valid_to <= $2)
     order by route.id`,
    [agentId, now],
  )
}

/** As the exchange says of them. */
async function stoppedRoutes(query: Query, agentId: string, now: Date): Promise<StoppedRoute[]> {
  const rows = await query<StopRow & { route: string; resource: string; ended: string }>(
    `select * from (
       select t.id as route, g.resource, coalesce(${endedSql}, case when g.valid_to <= $2 then 'expired' end) as ended, ${stoppedSql}
       from route t join agent a on a.id = t.agent join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource
         ${stoppedJoin}
       where t.agent = $1 order by t.created_at desc, t.id
     ) as routes where ended is not null limit 200`,
    [agentId, now],
  )
  return rows.map(({ route, resource, ended, ...stop }) => ({ route, resource, ...routeStop(ended, stop) }))
}
