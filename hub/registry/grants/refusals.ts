import type { Logger } from 'pino'
import type { AgentReport, Refusal } from '../../../protocol/api.ts'
import { itemById, type Schema } from '../../../protocol/schema.ts'
import { counted, storeText } from '../../../protocol/localized.ts'
import { theHub, type Principal } from '../../access/principal.ts'
import { notifyOfColumns, notifyOfFaults, type ReportingAgent } from '../../supervision/agent-faults.ts'
import { keepMorning } from '../../supervision/daily-reports.ts'
import { notifyOfRefusedFiles } from '../../supervision/refused-files.ts'
import { readRules } from '../../records/settings.ts'
import type { Query } from '../../store/store.ts'
import { correctionFlow, reportRefusal } from '../cases/corrections.ts'
import { change, type Registry } from '../../records/registry.ts'
import { refusalOrigin } from '../../records/correction-states.ts'
import { requireResource } from '../catalog/resources.ts'
import { applyEvent } from '../workflow.ts'

/**
 * Looks at what agents last reported and tells those whom it concerns: lines that are held, morning lines, new columns, refused files, and
 * rows that a receiver's table refuses, which become corrections (Art. 18). To be done again and again: each thing is told once.
 */
export async function attendToReports(registry: Registry, logger?: Pick<Logger, 'info'>, signal?: AbortSignal): Promise<void> {
  const { morningMinutes } = await readRules(registry.store.query)
  const agents = await registry.store.query<ReportingAgent>(
    `select id, agency, enrolled_at as enrolled, report from agent where state = 'active' and report is not null order by id`,
  )
  for (const agent of agents) {
    if (signal?.aborted) return
    const line = await keepMorning(registry.store.query, agent, registry.clock())
    if (line) logger?.info({ agent: agent.id, agency: agent.agency, morning: line }, 'morning line of an agent')
    await change(registry, async (query, affectedAgents) => {
      await notifyOfFaults(query, agent, registry.clock(), morningMinutes)
      await notifyOfColumns(query, agent)
      await notifyOfRefusedFiles(query, agent, registry.clock())
      for (const sink of agent.report.sinks) await attendToSink(registry, query, affectedAgents, agent, sink)
    })
  }
}

/** What a receiver refuses; what a provider could not send is its own word. */
const refusedCodes = ['QZ-ROW-REFUSED', 'QZ-ROW-CODE']

interface Route {
  id: string
  resource: string
  items: string[]
}

async function attendToSink(
  registry: Registry,
  query: Query,
  affectedAgents: Set<string>,
  agent: ReportingAgent,
  { route: id, refused }: AgentReport['sinks'][number],
): Promise<void> {
  if (!refused) return
  const [route] = await query<Route>(
    `select t.id, g.resource, g.items from route t join access_grant g on g.id = t.access_grant where t.id = $1 and t.agent = $2`,
    [id, agent.id],
  )
  if (!route) return
  const { schema } = await requireResource(query, route.resource)
  const now = new Map(
    refused.filter(({ code }) => refusedCodes.includes(code)).map((refusal) => [originOf(route, schema, refusal), refusal]),
  )
  const open = await query<{ id: string; origin: string; state: string }>(
    `select id, origin, state from correction where resource = $1 and starts_with(origin, $2) and not over`,
    [route.resource, `${route.id} `],
  )
  for (const [origin, refusal] of now) {
    if (!open.some((known) => known.origin === origin)) await report(registry, query, agent, route, origin, refusal)
  }
  for (const { id: correction, origin, state } of open) {
    if (now.has(origin)) continue
    await query('update correction set over = true where id = $1', [correction])
    if (!['reported', 'passed', 'answered'].includes(state)) continue
    await applyEvent(correctionFlow, 'settle', correction, { registry, query, affectedAgents, principal: theHub, input: {} })
  }
}

/** An item that the receiver does not get is none. */
function originOf({ id, items }: Route, schema: Schema, { code, item }: Refusal): string {
  const known = item !== undefined && itemById(schema, item) && (items.includes(item) || itemById(schema, item)!.key)
  return refusalOrigin(id, code, known ? item : undefined)
}

const day = 86_400_000

/** Once while it lasts, and not more than once a day of the same. */
async function report(
  { clock }: Registry,
  query: Query,
  agent: ReportingAgent,
  route: Route,
  origin: string,
  { keys, examples, reasons = [] }: Refusal,
): Promise<void> {
  const [recent] = await query('select from correction where origin = $1 and created_at > $2 limit 1', [
    origin,
    new Date(clock().getTime() - day),
  ])
  if (recent) return
  const item = origin.split(' ')[2]
  const principal: Principal = { ...theHub, actor: `agent ${agent.id}`, name: agent.id, agency: agent.agency }
  const some = examples
    .map((key) => JSON.stringify(key))
    .join(' ')
    .slice(0, 900)
  const why = reasons.join('; ')
  const fault = {
    zh: `落地表拒绝 ${keys} 行${why && `（${why}）`}，主键如 ${some}`,
    en: `the delivered table refuses ${counted(keys, 'row')}${why && ` (${why})`}, with keys such as ${some}`,
  }
  await reportRefusal(
    query,
    principal,
    { resource: route.resource, ...(item && { items: [item] }), fault: storeText(fault) },
    origin,
    clock(),
  )
}
