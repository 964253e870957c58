import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import type { AgentReport, MorningLine } from '../../../protocol/api.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { Query } from '../../store/store.ts'
import { actedBy, type Principal } from '../../access/principal.ts'
import { writeAudit } from '../../records/audit.ts'
import { notify, reasonGiven, type Recipient } from '../../records/notices.ts'
import { refusedFiles, type RefusedFile } from '../../supervision/refused-files.ts'
import { change, type Registry } from '../../records/registry.ts'
import { changeMachines } from './concerned.ts'
import { notFound } from '../../records/refusals.ts'
import { enrolAnew, readRevocation, type Agent } from '../../records/agents.ts'

export interface KnownAgent extends Agent {
  publicKey: string
}

const knownSql = 'select id, agency, name, state, public_key as "publicKey" from agent'

/** The agent whose key has this id. Throws QZ-AGENT-UNKNOWN or QZ-AGENT-REVOKED. */
export async function agentByKey({ store }: Registry, keyId: string): Promise<KnownAgent> {
  const [agent] = await store.query<KnownAgent>(`${knownSql} where key_id = $1`, [keyId])
  if (!agent) throw new QianzhiError('QZ-AGENT-UNKNOWN', { agent: keyId.slice(0, 64) })
  if (agent.state === 'revoked') throw await readRevocation(store.query, agent.id)
  return agent
}

/**
 * Finds the agent behind a one-way gap for which another one of its agency brings something. Each pair is on record once a day. Throws
 * QZ-AGENT-UNKNOWN where it is none of the agency, QZ-AGENT-REVOKED.
 */
export function carrying({ store, clock }: Pick<Registry, 'store' | 'clock'>) {
  const recorded = new Map<string, string>()
  return async (carrier: { id: string; agency: string }, id: string): Promise<KnownAgent> => {
    const [agent] = await store.query<KnownAgent>(`${knownSql} where id = $1 and agency = $2`, [id, carrier.agency])
    if (!agent) throw new QianzhiError('QZ-AGENT-UNKNOWN', { agent: id.slice(0, 64) })
    if (agent.state === 'revoked') throw await readRevocation(store.query, agent.id)
    const [pair, day] = [`${carrier.id} ${id}`, clock().toISOString().slice(0, 10)]
    if (recorded.get(pair) !== day) {
      await writeAudit(store.query, { actor: carrier.id, agency: carrier.agency, via: 'agent', act: 'agent.carry', object: id })
      recorded.set(pair, day)
    }
    return agent
  }
}

/** For ever: its key is refused from now on, so its routes and supply end at once. The same again changes nothing. */
export async function revokeAgent(registry: Registry, actor: Principal | string, id: string, reason: string): Promise<void> {
  await change(registry, async (query, affectedAgents) => {
    const [known] = await query<{ agency: string }>('select agency from agent where id = $1', [id])
    if (!known) throw notFound('agent', id)
    const { agency } = known
    const revoked = await changeMachines(query, agency, affectedAgents, () =>
      query(`update agent set state = 'revoked', revoked_at = $2 where id = $1 and state = 'active' returning id`, [id, registry.clock()]),
    )
    if (revoked.length === 0) return
    affectedAgents.add(id)
    await writeAudit(query, { ...actedBy(actor), act: 'agent.revoke', object: id, details: { reason } })
    const [why, next] = [reasonGiven(reason || undefined), enrolAnew(id)]
    const [zh, en] = [`前置机代理 ${id} 已被市电子政务办撤销${why.zh}`, `Agent ${id} is revoked by the office${why.en}`]
    const about = { kind: 'agent', object: `agent ${id}` } as const
    await notify(query, { to: { agency, role: 'agency-it' }, ...about, zh: `${zh}。${next.zh}`, en: `${en}. Then: ${next.en}` })
    await notify(query, {
      to: await whoseData(query, id, agency),
      ...about,
      zh: `${zh}：由它提供、接收的数据停止交换，由本单位信息化人员办理`,
      en: `${en}: what it supplied and received stands still; agency IT sees to it`,
    })
  })
}

/** People of its agency beside IT who miss what it received or supplied. */
async function whoseData(query: Query, id: string, agency: string): Promise<Recipient[]> {
  const [has] = await query<{ receives: boolean; supplies: boolean }>(
    `select exists (select from route t join access_grant g on g.id = t.access_grant and g.state in ('active', 'suspended', 'held') where t.agent = $1) as receives,
       exists (select from resource r left join stream s on s.resource = r.code where r.agency = $2 and r.state = 'active'
         and coalesce(r.producer, s.producer) = $1) as supplies`,
    [id, agency],
  )
  return [...(has!.receives ? [{ agency, role: 'user' } as const] : []), ...(has!.supplies ? [{ agency, role: 'registrar' } as const] : [])]
}

export interface ListedAgent extends Agent {
  enrolled: Date
  lastSeen: Date | null
  /** Its newest morning line, and when it came. */
  morning: (MorningLine & { received: string }) | null
  /** Files that its folders refused last. */
  refusedFiles: RefusedFile[]
}

/** With its report, less the keys of rows that its tables refuse. */
export async function readAgent({ store }: Registry, id: string) {
  const [agent] = await store.query<ListedAgent & { report: AgentReport | null }>(`${agentsSql} where id = $1`, [id])
  if (!agent) throw notFound('agent', id)
  const { report, ...rest } = agent
  return { ...rest, refusedFiles: report ? refusedFiles(report) : [], report: report && withoutKeys(report) }
}

function withoutKeys({ morning: _morning, sinks, ...report }: AgentReport) {
  return { ...report, sinks: sinks.map(({ refused: _refused, ...sink }) => sink) }
}

const agentsSql = `select id, agency, name, state, enrolled_at as enrolled, last_seen as "lastSeen", report,
    m.line || jsonb_build_object('received', to_char(m.received_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) as morning
  from agent left join agent_morning m on m.agent = id`

/** Of agency $1, or all. */
export const agentList = {
  select: `${agentsSql} where $1::text is null or agency = $1`,
  filters: {
    state: filter.among('state', ['active', 'revoked']),
    agency: filter.equal('agency'),
    text: filter.holds('id', 'name'),
  },
  sorts: { id: 'text', agency: 'text', name: 'text', state: 'text', enrolled: 'timestamptz', lastSeen: 'timestamptz' },
  first: 'agency',
  id: ['id', 'text'],
} as const satisfies Listing

export async function listAgents({ store }: Registry, agencyScope: string | null, asked: Asked): Promise<Page<ListedAgent>> {
  const page = await listPage<Omit<ListedAgent, 'refusedFiles'> & { report: AgentReport | null }>(
    store.query,
    agentList,
    [agencyScope],
    asked,
  )
  return { ...page, items: page.items.map(({ report, ...agent }) => ({ ...agent, refusedFiles: report ? refusedFiles(report) : [] })) }
}
