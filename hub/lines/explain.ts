import { counted } from '../../protocol/localized.ts'
import type { SnapshotProgress } from '../../protocol/api.ts'
import type { Language } from '../../protocol/errors.ts'
import { localTime, shownTime } from '../../protocol/local-time.ts'
import { reconciliationWords } from '../../protocol/reconciliation-words.ts'
import { showPosition } from '../../protocol/position.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import { whyRefused } from '../supervision/refused-files.ts'
import { notFound } from '../records/refusals.ts'
import { endingOf } from '../records/route-stops.ts'
import type { Explanation, Fault } from './line.ts'
import { readLines } from './lines.ts'

/** Follows one route from its source to its table, and says whose turn it is. Throws QZ-NOT-FOUND. `lapse` in days. */
export async function explainRoute(
  { query }: Pick<Store, 'query'>,
  log: Pick<Log, 'heads'>,
  route: string,
  { now = new Date(), lapse = 7 }: { now?: Date; lapse?: number } = {},
): Promise<Explanation> {
  const [line] = await readLines({ query, log, now, lapse }, { route })
  if (!line) throw notFound('route', route)
  const { title: _title, grant: _grant, moved: _moved, today: _today, minute: _minute, ...explanation } = line
  return explanation as Explanation
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
        `来源 ${source.agencyName} ${source.agent ?? (source.entered ? '在线填报' : '无代理')}：待送 ${queue}，隔离 ${source.report?.quarantine ?? '?'}，最后联系 ${seen(source.seen)}${paused(source.report?.state)}`,
        ...snapshotLine(source.report?.snapshot, language),
        ...fault(source.report?.fault),
        ...refusedLine(source.refusedFile, language),
        `中心：最新批次 ${showPosition(hub.head)}，最后接收 ${seen(hub.lastPush)}${hub.snapshotWanted ? '，等待新快照' : ''}`,
        `接收 ${receiver.agencyName} ${receiver.agent}：已取 ${showPosition(receiver.delivered)}，已入库 ${showPosition(receiver.applied)}，` +
          `隔离 ${receiver.quarantine}，最后联系 ${seen(receiver.seen)}${receiver.lapsed ? '，已失效' : ''}${paused(receiver.report?.state)}`,
        ...fault(receiver.report?.fault),
        `数据截至：${asOf === null ? '未知' : `${shownTime(asOf)}（${age} 秒前）`}`,
        `对账：${last.zh}，最近一致 ${seen(reconciled.equal)}`,
        `下一步：${turn.zh}`,
      ]
    : [
        `Route ${route} (resource ${resource}): ${endingOf(state).en}`,
        `Source ${source.agencyName} ${source.agent ?? (source.entered ? 'forms' : 'no agent')}: ${queue} waiting, ${source.report?.quarantine ?? '?'} quarantined, last seen ${seen(source.seen)}${paused(source.report?.state)}`,
        ...snapshotLine(source.report?.snapshot, language),
        ...fault(source.report?.fault),
        ...refusedLine(source.refusedFile, language),
        `Hub: head ${showPosition(hub.head)}, last push ${seen(hub.lastPush)}${hub.snapshotWanted ? ', waits for a new snapshot' : ''}`,
        `Receiver ${receiver.agencyName} ${receiver.agent}: delivered ${showPosition(receiver.delivered)}, applied ${showPosition(receiver.applied)}, ` +
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
