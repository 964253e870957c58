import { titleOf } from '../records/object-titles.ts'
import { kinds, type Actor } from '../../protocol/error-codes.ts'
import { isErrorCode, QianzhiError } from '../../protocol/errors.ts'
import type { AgentReport } from '../../protocol/api.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { Query } from '../store/store.ts'
import { missingLine } from './daily-reports.ts'
import { notify, type Recipient } from '../records/notices.ts'

/** An agent as it last reported. */
export interface ReportingAgent {
  id: string
  agency: string
  enrolled: Date
  report: AgentReport
}

/** Milliseconds that a fault which may pass by itself stands before people are told, and for which one must be gone to be over. */
const patience = 600_000
const overAfter = 120_000

/** What stands in the place of a line's name for an agent's morning line. */
const morning = 'morning'

interface Held {
  /** `source <resource>`, `sink <route>` or `morning` */
  line: string
  resource: string
  route?: string
  code: string
  zh: string
  en: string
  since: string
}

interface Known {
  line: string
  code: string
  notified: Date | null
  gone: Date | null
}

/**
 * Tells those who must act of each line that is held, and of a morning line that is missing: once, and once when it is over. Told again
 * only where it comes again after that.
 */
export async function notifyOfFaults(query: Query, agent: ReportingAgent, now: Date, morningMinutes: number): Promise<void> {
  const held = [...heldLines(agent.report), ...missingMorning(agent, now, morningMinutes)]
  const known = await query<Known>('select line, code, told_at as notified, gone_at as gone from agent_fault where agent = $1', [agent.id])
  const same = (a: { line: string; code: string }) => (b: { line: string; code: string }) => a.line === b.line && a.code === b.code
  for (const fault of held) {
    const before = known.find(same(fault))
    if (!before || before.gone) await keepFault(query, agent.id, fault, now)
    if (!before?.notified && isDue(fault, now)) await notifyHeld(query, agent, fault, now)
  }
  for (const before of known) {
    if (held.some(same(before))) continue
    if (!before.gone)
      await query('update agent_fault set gone_at = $4 where agent = $1 and line = $2 and code = $3', keyOf(agent, before, now))
    else if (now.getTime() - before.gone.getTime() >= overAfter) await notifyOver(query, agent, before)
  }
}

function keyOf(agent: ReportingAgent, { line, code }: { line: string; code: string }, ...more: unknown[]): unknown[] {
  return [agent.id, line, code, ...more]
}

function heldLines({ sources, sinks }: AgentReport): Held[] {
  return [
    ...sources.flatMap(({ resource, fault }) => (fault ? [{ ...fault, line: `source ${resource}`, resource }] : [])),
    ...sinks.flatMap(({ route, resource, fault }) => (fault ? [{ ...fault, line: `sink ${route}`, resource, route }] : [])),
  ].filter(({ code, since }) => isErrorCode(code) && !Number.isNaN(Date.parse(since)))
}

function missingMorning(agent: ReportingAgent, now: Date, minutes: number): Held[] {
  const missing = missingLine(agent, now, minutes)
  if (!missing) return []
  const error = new QianzhiError('QZ-MORNING-MISSING', { agent: agent.id, day: missing.day })
  const since = missing.since.toISOString()
  return [{ line: morning, resource: '', code: error.code, zh: error.text('zh'), en: error.text('en'), since }]
}

async function keepFault(query: Query, agent: string, { line, code, since }: Held, now: Date): Promise<void> {
  // An agent's clock is not the hub's.
  const began = new Date(Math.min(Date.parse(since), now.getTime()))
  await query(
    `insert into agent_fault (agent, line, code, since) values ($1, $2, $3, $4)
     on conflict (agent, line, code) do update set gone_at = null`,
    [agent, line, code, began],
  )
}

function isDue({ code, since }: Held, now: Date): boolean {
  return isErrorCode(code) && (!kinds[code].retry || now.getTime() - Date.parse(since) >= patience)
}

async function notifyHeld(query: Query, agent: ReportingAgent, fault: Held, now: Date): Promise<void> {
  const first = await query(
    'update agent_fault set told_at = $4 where agent = $1 and line = $2 and code = $3 and told_at is null returning 1',
    keyOf(agent, fault, now),
  )
  if (first.length === 0) return
  const object = `agent ${agent.id}`
  if (fault.line === morning) {
    const to = [...ownPeople(agent, fault), { role: 'office' } as const]
    await notify(query, { to, kind: 'morning-missing', object, zh: fault.zh, en: fault.en })
    return
  }
  const [zh, en] = [`${nameOf(fault).zh}已停止：${fault.code}`, `${nameOf(fault).en} is held: ${fault.code}`]
  // The text may name tables and values of the machine's own agency: others see the code.
  await notify(query, {
    to: ownPeople(agent, fault),
    kind: 'line-held',
    object,
    zh: `${zh} ${fault.zh.slice(0, 500)}`,
    en: `${en} ${fault.en.slice(0, 500)}`,
  })
  await notify(query, { to: await otherPeople(query, fault), kind: 'line-held', object, zh, en })
}

async function notifyOver(query: Query, agent: ReportingAgent, { line, code, notified }: Known): Promise<void> {
  const gone = await query(
    'delete from agent_fault where agent = $1 and line = $2 and code = $3 and gone_at is not null returning 1',
    keyOf(agent, { line, code }),
  )
  if (gone.length === 0 || !notified || !flows(agent.report, line)) return
  const object = `agent ${agent.id}`
  if (line === morning) {
    const [zh, en] = [`前置机代理 ${agent.id} 的早报已收到`, `The morning line of agent ${agent.id} is here`]
    await notify(query, { to: [...ownPeople(agent, { line, code }), { role: 'office' }], kind: 'morning-here', object, zh, en })
    return
  }
  const [end, ...name] = line.split(' ')
  const names = nameOf({ line, resource: name.join(' ') })
  const fault = { line, code, resource: name.join(' '), ...(end === 'sink' && { route: name.join(' ') }) }
  await notify(query, {
    to: [...ownPeople(agent, fault), ...(await otherPeople(query, fault))],
    kind: 'line-over',
    object,
    zh: `${names.zh}已恢复（此前 ${code}）`,
    en: `${names.en} is no longer held (${code})`,
  })
}

/** A line that is held by something else, or that is there no longer because its route has ended, has not recovered. */
function flows({ sources, sinks }: AgentReport, line: string): boolean {
  if (line === morning) return true
  const lines = [
    ...sources.map((source) => ({ ...source, line: `source ${source.resource}` })),
    ...sinks.map((sink) => ({ ...sink, line: `sink ${sink.route}` })),
  ]
  return lines.some((one) => one.line === line && one.fault === undefined)
}

function nameOf({ line, resource }: Pick<Held, 'line' | 'resource'>): LocalizedText {
  const name = line.slice(line.indexOf(' ') + 1)
  if (line.startsWith('source ')) return { zh: `资源 ${resource} 的采集`, en: `Capture of resource ${resource}` }
  const of = resource === name ? '' : ` (${resource})`
  return { zh: `路由 ${name}${of} 的落地`, en: `Delivery of route ${name}${of}` }
}

type Fault = Pick<Held, 'line' | 'code' | 'route'>

/** Those of the machine's own agency. */
function ownPeople({ agency }: ReportingAgent, { line, code }: Fault): Recipient[] {
  const it = { agency, role: 'agency-it' } as const
  if (line.startsWith('source ') && whoOf(code) === 'provider') return [it, { agency, role: 'registrar' }]
  return line.startsWith('sink ') && whoOf(code) === 'receiver' ? [it, { agency, role: 'user' }] : [it]
}

/** The office, or the provider of what a route brings, where they must act. */
async function otherPeople(query: Query, { line, code, route }: Fault): Promise<Recipient[]> {
  if (whoOf(code) === 'office') return [{ role: 'office' }]
  if (!line.startsWith('sink ') || whoOf(code) !== 'provider') return []
  const providers = await query<{ agency: string }>(
    `select r.agency from route t join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource where t.id = $1`,
    [route],
  )
  return providers.map(({ agency }) => ({ agency, role: 'agency-it' }))
}

function whoOf(code: string): Actor | undefined {
  return isErrorCode(code) ? kinds[code].who : undefined
}

/** Tells of columns that a source table has gained since they were last reported: they could be registered. Nothing is held by them. */
export async function notifyOfColumns(query: Query, { id, agency, report }: ReportingAgent): Promise<void> {
  for (const { resource, unregistered } of report.sources) {
    if (!unregistered) continue
    const [before] = await query<{ columns: string[] }>('select columns from agent_columns where agent = $1 and resource = $2', [
      id,
      resource,
    ])
    const added = before && unregistered.filter((column) => !before.columns.includes(column))
    if (before && added!.length === 0 && before.columns.length === unregistered.length) continue
    await query(
      `insert into agent_columns (agent, resource, columns) select $1, $2, $3 where exists (select from resource where code = $2)
       on conflict (agent, resource) do update set columns = excluded.columns`,
      [id, resource, unregistered],
    )
    if (!added || added.length === 0) continue
    const list = added.slice(0, 10).join(', ')
    const title = await titleOf(query, `resource ${resource}`)
    await notify(query, {
      to: [
        { agency, role: 'registrar' },
        { agency, role: 'agency-it' },
      ],
      kind: 'columns-added',
      object: `resource ${resource}`,
      zh: `资源《${title}》的来源表新增列 ${list}，可登记为信息项`,
      en: `The source table of ${title} has new columns ${list}: they could be registered as items`,
    })
  }
}
