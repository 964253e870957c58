import type { PollRequest, SourceReport } from '../../protocol/api.ts'
import { isAfter } from '../../protocol/position.ts'
import { headStatement } from '../../protocol/receipt.ts'
import { readStatement } from '../../protocol/signature.ts'
import type { AskedRoute, Poll } from './poll-answer.ts'
import type { ExchangeContext } from './context.ts'
import type { AgentView } from './agent-views.ts'
import type { Query } from '../store/store.ts'
import type { ExchangeAgent } from './agent.ts'

/** Notes what a poll says about its agent. Written at most once a second, and always the newest in the end. */
export function noteReport(
  { store, latest, memory, clock, logger, wakeups }: ExchangeContext,
  agent: ExchangeAgent,
  view: AgentView,
  request: Poll,
  routes: readonly AskedRoute[],
): void {
  if (request.command || memory.isLate(agent)) return
  const now = clock()
  if (memory.isNewFault(agent.id, request.report !== undefined))
    logger.warn({ agent: agent.id }, 'the report of an agent is not understood: what it told last stays')
  for (const { asked, route } of routes) memory.noteAsked(asked, route)
  const asked = routes.map(({ asked }) => asked)
  // Before its first policy an agent cannot know its lines: that it tells of none says nothing.
  const report = request.policy === 0 && isEmpty(request.report) ? undefined : request.report
  latest.put(`agent:${agent.id}`, async () => {
    await writeReport(store.query, agent.id, report, asked, now)
    if (memory.isNews(agent.id, standingOf(request.report))) wakeups.wake(`event:agent ${agent.id}`)
  })
  for (const jws of request.heads) {
    const resource = String(readStatement(jws)?.['resource'])
    if (view.supplies.has(resource)) latest.put(`head:${resource}`, () => writeHead(store.query, agent, { resource, jws, now }))
  }
}

function isEmpty(report: Poll['report']): boolean {
  return report !== undefined && report.sources.length + report.sinks.length === 0
}

/** What of a report changes how lines stand. */
function standingOf(report: Poll['report']): string {
  const line = ({ state, quarantine, fault }: Pick<SourceReport, 'state' | 'quarantine' | 'fault'>) => [state, quarantine, fault?.code]
  return JSON.stringify([
    report?.sources.map((source) => [source.resource, ...line(source), source.snapshot?.waits, source.files?.settled?.[0]?.id]),
    report?.sinks.map((sink) => [sink.route, ...line(sink)]),
  ])
}

async function writeReport(query: Query, agent: string, report: Poll['report'], asked: PollRequest['routes'], now: Date): Promise<void> {
  await query('update agent set last_seen = $2, report = coalesce($3, report) where id = $1', [
    agent,
    now,
    report ? JSON.stringify(report) : null,
  ])
  const places = asked.map(({ after }) => after)
  await query(askedSql, [asked.map(({ route }) => route), places.map((at) => at?.epoch), places.map((at) => at?.seq), agent, now])
}

/**
 * A route whose agent is there and has everything is not one that does not move, although no receipts come: its time goes on too, in
 * steps of an hour.
 */
const askedSql = `
  with asked as (select * from unnest($1::text[], $2::bigint[], $3::bigint[]) as a (route, epoch, seq))
  update route t set asked_epoch = a.epoch, asked_seq = a.seq, asked_at = $5,
    moved_at = case when (t.epoch, t.seq) = (s.epoch, s.seq) and t.moved_at < $5::timestamptz - interval '1 hour' then $5 else t.moved_at end
  from asked a join route r on r.id = a.route join access_grant g on g.id = r.access_grant left join log_stream s on s.resource = g.resource
  where t.id = a.route and t.agent = $4 and (t.asked_at is null or t.asked_at < $5::timestamptz - interval '1 hour'
    or (t.asked_epoch, t.asked_seq) is distinct from (a.epoch, a.seq))`

/** Milliseconds that a statement may be ahead of the hub's time. */
const ahead = 300_000

/** The provider's newest word on its head, for the receivers: one that was said before another, and of no later place, changes nothing. */
async function writeHead(query: Query, agent: ExchangeAgent, said: { resource: string; jws: string; now: Date }): Promise<void> {
  const { resource, jws, now } = said
  const statement = headStatement.open(jws, agent.publicKey)
  if (statement?.resource !== resource || statement.producer !== agent.id) return
  const [row] = await query<{ jws: string | null }>('select head_statement as jws from stream where resource = $1', [resource])
  const known = row?.jws ? headStatement.open(row.jws, agent.publicKey) : undefined
  const credible = known !== undefined && Date.parse(known.time) <= now.getTime() + ahead
  if (credible && Date.parse(statement.time) < Date.parse(known.time) && !isAfter(statement, known)) return
  await query('update stream set head_statement = $2 where resource = $1', [resource, jws])
}
