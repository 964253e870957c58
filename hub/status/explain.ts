import { counted } from '../../protocol/localized.ts'
import type { AgentReport, SnapshotProgress } from '../../protocol/api.ts'
import type { Language } from '../../protocol/errors.ts'
import { localTime, shownTime } from '../../protocol/local-time.ts'
import { reconciliationWords } from '../../protocol/reconciliation-words.ts'
import { comparePositions, showPosition, type ChainPosition } from '../../protocol/position.ts'
import { turnOf } from './explain-turn.ts'
import type { Log } from '../log.ts'
import { lastRun } from '../reconciliation/last-equal.ts'
import type { Store } from '../store/store.ts'
import { standingRefusal, whyRefused } from '../supervision/refused-files.ts'
import { readStreams } from '../exchange/streams.ts'
import { notFound } from '../records/refusals.ts'
import type { Explanation, Fault } from './explanation.ts'
import { enteredSql, producerOf } from '../records/supply.ts'
import { endingOf, resourceEnding, routeStop, stoppedJoin, stoppedSql, type StopRow } from '../records/route-stops.ts'

interface Row extends Omit<StopRow, 'ended'> {
  route: string
  resource: string
  state: string
  provider_agency: string
  producer: string | null
  entered: boolean
  provider_seen: Date | null
  provider_report: AgentReport | null
  last_push: Date | null
  receiver_agency: string
  agent: string
  active: boolean
  receiver_seen: Date | null
  receiver_report: AgentReport | null
  asked_epoch: string | null
  asked_seq: string | null
  epoch: string | null
  seq: string | null
  hash: string | null
  quarantine: string
  moved_at: Date
}

const explainSql = `
  select t.id as route, r.code as resource, r.agency as provider_agency, p.id as producer, ${enteredSql} as entered, p.last_seen as provider_seen,
    p.report as provider_report, s.last_push, a.agency as receiver_agency, a.id as agent, a.state = 'active' as active,
    a.last_seen as receiver_seen, a.report as receiver_report, t.asked_epoch, t.asked_seq, t.epoch, t.seq, t.hash, t.quarantine, t.moved_at,
    ${stoppedSql}, case when g.state <> 'active' then g.state when g.valid_to <= $2 then 'expired' else ${resourceEnding} end as state
  from route t
  join access_grant g on g.id = t.access_grant
  join agent a on a.id = t.agent
  join resource r on r.code = g.resource
  left join agent p on p.id = ${producerOf}
  left join stream s on s.resource = r.code
  ${stoppedJoin}
  where t.id = $1`

/** Follows one route from its source to its table, and says whose turn it is. Throws QZ-NOT-FOUND. `lapse` in days. */
export async function explainRoute(
  store: Pick<Store, 'query' | 'pool'>,
  log: Pick<Log, 'heads'>,
  routeId: string,
  { now = new Date(), lapse = 7 }: { now?: Date; lapse?: number } = {},
): Promise<Explanation> {
  const [row] = await store.query<Row>(explainSql, [routeId, now])
  if (!row) throw notFound('route', routeId)
  const [heads, notes, reconciled] = await Promise.all([
    log.heads([row.resource]),
    readStreams(store, [row.resource]),
    lastRun(store.query, routeId),
  ])
  const head = heads.get(row.resource) ?? null
  const snapshotWanted = notes.get(row.resource)?.wanted !== undefined
  const receiver = receiverOf(row, head, new Date(now.getTime() - lapse * 86_400_000))
  const asOf = receiver.report?.reached ?? null
  const known = {
    route: row.route,
    resource: row.resource,
    state: row.state,
    ...(row.state !== 'active' && { stop: routeStop(row.state, row) }),
    source: sourceOf(row),
    hub: { head, lastPush: row.last_push, snapshotWanted },
    receiver,
    asOf,
    age: asOf === null ? null : Math.max(0, Math.round((now.getTime() - Date.parse(asOf)) / 1000)),
    reconciled,
  }
  return { ...known, turn: turnOf(known, now) }
}

function sourceOf(row: Row): Explanation['source'] {
  const report = row.provider_report?.sources.find(({ resource }) => resource === row.resource)
  const refusedFile = standingRefusal(report?.files)
  return {
    agency: row.provider_agency,
    agent: row.producer,
    entered: row.entered,
    seen: row.provider_seen,
    ...(report && { report: pick(report, ['state', 'waiting', 'oldest', 'quarantine', 'snapshot', 'fault']) }),
    ...(refusedFile && { refusedFile }),
  }
}

function receiverOf(row: Row, head: ChainPosition | null, lapsedBefore: Date): Explanation['receiver'] {
  const report = row.receiver_report?.sinks.find(({ route }) => route === row.route)
  const applied = row.epoch && row.seq && row.hash ? { epoch: Number(row.epoch), seq: Number(row.seq), hash: row.hash } : null
  const behind = head !== null && (!applied || comparePositions(applied, head) < 0)
  return {
    agency: row.receiver_agency,
    agent: row.agent,
    active: row.active,
    seen: row.receiver_seen,
    delivered: row.asked_epoch && row.asked_seq ? { epoch: Number(row.asked_epoch), seq: Number(row.asked_seq) } : applied,
    applied,
    quarantine: Math.max(Number(row.quarantine), report?.quarantine ?? 0),
    lapsed: behind && row.moved_at < lapsedBefore,
    ...(report && { report: pick(report, ['state', 'reached', 'fault']) }),
  }
}

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  return Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]]))) as Pick<T, K>
}

/** For the terminal. */
export function showExplanation(explanation: Explanation, language: Language): string {
  const { route, resource, state, source, hub, receiver, asOf, age, reconciled, turn } = explanation
  const zh = language === 'zh'
  const seen = (at: Date | null) => (at ? localTime(at) : zh ? '从未' : 'never')
  const fault = (of: Fault | undefined) => (of ? [`  ${of.code} ${of[language]} (${shownTime(of.since)})`] : [])
  const paused = (state: string | undefined) => (state === 'paused' ? (zh ? '，已暂停' : ', paused') : '')
  const queue = source.report ? `${source.report.waiting}${source.report.oldest ? ` (${shownTime(source.report.oldest)})` : ''}` : '?'
  const last = reconciled.state === null ? { zh: '从未', en: 'never' } : reconciliationWords(reconciled.state)
  const lines = zh
    ? [
        `路由 ${route}（资源 ${resource}）：${state === 'active' ? '有效' : endingOf(state).zh}`,
        `来源 ${source.agency} ${source.agent ?? (source.entered ? '在线填报' : '无代理')}：待送 ${queue}，隔离 ${source.report?.quarantine ?? '?'}，最后联系 ${seen(source.seen)}${paused(source.report?.state)}`,
        ...snapshotLine(source.report?.snapshot, language),
        ...fault(source.report?.fault),
        ...refusedLine(source.refusedFile, language),
        `中心：最新批次 ${showPosition(hub.head)}，最后接收 ${seen(hub.lastPush)}${hub.snapshotWanted ? '，等待新快照' : ''}`,
        `接收 ${receiver.agency} ${receiver.agent}：已取 ${showPosition(receiver.delivered)}，已入库 ${showPosition(receiver.applied)}，` +
          `隔离 ${receiver.quarantine}，最后联系 ${seen(receiver.seen)}${receiver.lapsed ? '，已失效' : ''}${paused(receiver.report?.state)}`,
        ...fault(receiver.report?.fault),
        `数据截至：${asOf === null ? '未知' : `${shownTime(asOf)}（${age} 秒前）`}`,
        `对账：${last.zh}，最近一致 ${seen(reconciled.equal)}`,
        `下一步：${turn.zh}`,
      ]
    : [
        `Route ${route} (resource ${resource}): ${endingOf(state).en}`,
        `Source ${source.agency} ${source.agent ?? (source.entered ? 'forms' : 'no agent')}: ${queue} waiting, ${source.report?.quarantine ?? '?'} quarantined, last seen ${seen(source.seen)}${paused(source.report?.state)}`,
        ...snapshotLine(source.report?.snapshot, language),
        ...fault(source.report?.fault),
        ...refusedLine(source.refusedFile, language),
        `Hub: head ${showPosition(hub.head)}, last push ${seen(hub.lastPush)}${hub.snapshotWanted ? ', waits for a new snapshot' : ''}`,
        `Receiver ${receiver.agency} ${receiver.agent}: delivered ${showPosition(receiver.delivered)}, applied ${showPosition(receiver.applied)}, ` +
          `${receiver.quarantine} quarantined, last seen ${seen(receiver.seen)}${receiver.lapsed ? ', lapsed' : ''}${paused(receiver.report?.state)}`,
        ...fault(receiver.report?.fault),
        `Data as of: ${asOf === null ? 'unknown' : `${shownTime(asOf)} (${age} s ago)`}`,
        `Reconciled: ${last.en}, last equal ${seen(reconciled.equal)}`,
        `Next: ${turn.en}`,
      ]
  return lines.join('\n')
}

function refusedLine(refused: Explanation['source']['refusedFile'], language: Language): string[] {
  if (!refused) return []
  const why = whyRefused(refused)
  return [
    language === 'zh'
      ? `  最近的文件被退回：${why.zh}（${shownTime(refused.time)}）`
      : `  newest file refused: ${why.en} (${shownTime(refused.time)})`,
  ]
}

function snapshotLine(snapshot: SnapshotProgress | undefined, language: Language): string[] {
  if (!snapshot) return []
  const { rows, total, rate, left, waits } = snapshot
  const known = rate !== undefined && left !== undefined
  if (language === 'zh')
    return [`  快照 ${rows}/${total} 行${waits ? '，等待允许的时段' : known ? `，每秒 ${rate} 行，约剩 ${left} 秒` : ''}`]
  return [
    `  snapshot: ${rows} of ${counted(total, 'row')}${waits ? ', waits for its hours' : known ? `, ${rate} rows/s, about ${left} s left` : ''}`,
  ]
}
