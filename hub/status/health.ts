import { counted, readText, same } from '../../protocol/localized.ts'
import { statfs } from 'node:fs/promises'
import type { AgentReport, SourceReport } from '../../protocol/api.ts'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import type { Api } from '../http/server.ts'
import { findSetBack, setBackFault } from '../exchange/set-back.ts'
import type { Log } from '../log.ts'
import type { Query, Store } from '../store/store.ts'
import { unreconciledRoutes } from '../reconciliation/last-equal.ts'
import { awayAgents } from '../supervision/agents-away.ts'
import { auditProblems } from '../supervision/audit/health.ts'
import { supervisionProblems } from '../supervision/problems.ts'
import { standingRefusal, whyRefused } from '../supervision/refused-files.ts'
import { Kept } from '../store/kept.ts'
import type { Health, HealthProblem } from '../records/problem.ts'

export interface HealthDeps {
  store: Store
  data: string
  clock: () => Date
  log?: Pick<Log, 'heads'>
  /** What is wrong with the clock. */
  clockProblems?: () => HealthProblem[]
  /** Days after which a route that has not moved no longer holds its log back. */
  lapse: number
  /** Whether notices are to go by e-mail. */
  mail: boolean
  /** Days between two reconciliations of a route; 0: only when somebody asks. */
  reconciled: number
}

const day = 86_400_000
const minShare = 0.05
const minBytes = 1 << 30

/** GET /health, open to everybody: a word and how many problems there are; 200 unless the hub cannot serve (503). */
export function healthApi(kept: Kept<Health>): Api {
  return async (app) => {
    app.get('/health', async (_request, reply) => {
      const { status, problems } = await kept.current()
      return reply.code(status === 'down' ? 503 : 200).send({ status, problems: problems.length })
    })
  }
}

/** What is wrong at this moment, for whoever holds the admin key. */
export function healthDetails(check: () => Promise<Health>): Api {
  return async (app) => {
    app.get('/admin/v1/health', () => check())
  }
}

/** However many ask, only a twentieth of a processor's time goes into looking. */
export const keepHealth = (check: () => Promise<Health>): Kept<Health> => new Kept(check, { ms: 500, times: 20 })

export async function checkHealth(deps: HealthDeps): Promise<Health> {
  const disk = await checkDisk(deps.data)
  try {
    // All at once: none is left to fail unheard while another is waited for.
    const [lines, ...found] = await Promise.all([
      reportedLines(deps),
      awayAgents(deps.store.query, deps.clock()),
      lapsedRoutes(deps),
      deps.log ? setBackStreams(deps.store, deps.log) : [],
      unreconciledRoutes(deps.store.query, deps.clock(), deps.reconciled),
      auditProblems(deps.store.query),
      supervisionProblems(deps.store.query, deps.clock(), deps),
      tableProblems(deps.store.query),
      heldWebhooks(deps.store.query),
    ])
    const problems = [
      ...disk,
      ...(deps.clockProblems?.() ?? []),
      ...lines.filter(isHeld).map(held),
      ...lines.flatMap(refusedFile),
      ...found.flat(),
    ]
    const paused = lines.filter(({ state }) => state === 'paused').map(pausedLine)
    return { status: problems.length > 0 ? 'degraded' : 'ok', problems, paused }
  } catch (error) {
    return { status: 'down', problems: [...disk, storeAway(error)], paused: [] }
  }
}

function storeAway(error: unknown): HealthProblem {
  const coded = new QianzhiError('QZ-DB-UNREACHABLE', { database: 'store', reason: reasonOf(error) })
  return { code: coded.code, zh: coded.text('zh'), en: coded.text('en') }
}

async function checkDisk(data: string): Promise<HealthProblem[]> {
  const { bavail, blocks, bsize } = await statfs(data)
  if (bavail * bsize >= minBytes && bavail / blocks >= minShare) return []
  const mebibytes = Math.floor((bavail * bsize) / (1 << 20))
  const zh = `数据目录 ${data} 所在磁盘仅剩 ${mebibytes} MiB`
  return [{ code: 'QZ-HEALTH-DISK', zh, en: `Only ${mebibytes} MiB are left on the disk of data folder ${data}` }]
}

async function setBackStreams(store: Store, log: Pick<Log, 'heads'>): Promise<HealthProblem[]> {
  return (await findSetBack(store, log))
    .map(setBackFault)
    .map((error) => ({ code: error.code, zh: error.text('zh'), en: error.text('en') }))
}

interface ReportedLine {
  zh: string
  en: string
  state: SourceReport['state']
  fault: SourceReport['fault']
  files?: SourceReport['files'] | undefined
}

/** Sources and routes as the active agents report them. */
async function reportedLines({ store }: HealthDeps): Promise<ReportedLine[]> {
  const rows = await store.query<{ id: string; report: AgentReport }>(
    `select id, report from agent where state = 'active' and report is not null order by id`,
  )
  return rows.flatMap(({ id, report }) => [
    ...report.sources.map(({ resource, state, fault, files }) => ({
      zh: `来源 ${resource}（${id}）`,
      en: `Source ${resource} of ${id}`,
      state,
      fault,
      files,
    })),
    ...report.sinks.map(({ route, state, fault }) => ({ zh: `交换路由 ${route}（${id}）`, en: `Route ${route} at ${id}`, state, fault })),
  ])
}

/** What an office decided is no fault: a grant that is suspended or revoked, a resource that is stopped or withdrawn. */
function isHeld({ state, fault }: ReportedLine): boolean {
  return state === 'held' && fault?.code !== 'QZ-ROUTE-ENDED'
}

/** With the agent's own reason. */
function held({ zh, en, fault }: ReportedLine): HealthProblem {
  return {
    code: fault?.code ?? 'QZ-HEALTH-HELD',
    zh: `${zh}已停止：${fault?.zh ?? '原因不明'}`,
    en: `${en} is held: ${fault?.en ?? 'no reason given'}`,
  }
}

/** Without the file's name, which is for those who sign in. */
function refusedFile({ zh, en, files }: ReportedLine): HealthProblem[] {
  const refusal = standingRefusal(files)
  if (!refusal) return []
  const why = whyRefused(refusal)
  return [
    {
      code: 'QZ-HEALTH-FILE-REFUSED',
      zh: `${zh}最近的文件被退回：${why.zh}`,
      en: `${en}: its newest file was refused (${why.en})`,
    },
  ]
}

function pausedLine({ zh, en }: ReportedLine): HealthProblem {
  return { code: 'QZ-HEALTH-PAUSED', zh: `${zh}已由运维暂停`, en: `${en} is paused by its operator` }
}

/** Resource tables that do not follow their streams. */
async function tableProblems(query: Query): Promise<HealthProblem[]> {
  const rows = await query<{ resource: string; code: string; reason: string }>(
    'select resource, code, reason from resource_table_fault order by resource limit 100',
  )
  return rows.map(({ resource, code, reason: stored }) => {
    const reason = readText(stored)
    const { zh, en } = typeof reason === 'string' ? same(reason) : reason
    return { code, zh: `资源 ${resource} 的资源表没有跟上：${zh}`, en: `The table of resource ${resource} does not follow: ${en}` }
  })
}

/** Webhooks that stand still, since what they sent was not taken for long. */
async function heldWebhooks(query: Query): Promise<HealthProblem[]> {
  const rows = await query<{ id: string; resource: string; fault: string }>(
    `select c.id, g.resource, h.fault from webhook h join api_client c on c.id = h.client join access_grant g on g.id = c.access_grant
     where h.state = 'held' and c.ended_at is null and g.state = 'active' order by c.id limit 100`,
  )
  return rows.map(({ id, resource, fault }) => {
    const reason = readText(fault)
    const { zh, en } = typeof reason === 'string' ? same(reason) : reason
    return {
      code: 'QZ-WEBHOOK-FAILED',
      zh: `资源 ${resource} 的推送 ${id} 已停住：${zh}`,
      en: `Webhook ${id} of resource ${resource} stands still: ${en}`,
    }
  })
}

async function lapsedRoutes({ store, clock, lapse }: HealthDeps): Promise<HealthProblem[]> {
  const now = clock()
  const rows = await store.query<{ id: string; moved: Date }>(
    `select route.id, route.moved_at as moved from route join access_grant g on g.id = route.access_grant
       join agent on agent.id = route.agent join stream s on s.resource = g.resource
     where g.state = 'active' and (g.valid_to is null or g.valid_to > $1) and agent.state = 'active' and route.moved_at < $2
       and s.epoch is not null and (route.epoch, route.seq) is distinct from (s.epoch, s.seq)
     order by route.id limit 100`,
    [now, new Date(now.getTime() - lapse * day)],
  )
  return rows.map(({ id, moved }) => {
    const days = Math.floor((now.getTime() - moved.getTime()) / day)
    return {
      code: 'QZ-HEALTH-ROUTE-LAPSED',
      zh: `交换路由 ${id} 已 ${days} 天没有进展`,
      en: `Route ${id} has not moved for ${counted(days, 'day')}`,
    }
  })
}
