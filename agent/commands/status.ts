import type { AgentReport, SnapshotProgress } from '../../protocol/api.ts'
import { showPlace } from '../../protocol/position.ts'
import { callControl } from '../control.ts'
import type { Command, CommandContext } from './command.ts'

const states = { starting: '启动中', flowing: '正常', loading: '首次加载', held: '停住', paused: '已暂停' } as const

/** Each source and sink of the running agent; exit code 1 where one is held or no agent runs. */
export const status: Command = async (context) => {
  const report = (await callControl(context.config.data, 'status')) as AgentReport | undefined
  if (!report) {
    context.say('代理未运行', 'The agent is not running')
    return 1
  }
  if (context.options['json']) context.print(JSON.stringify(report, undefined, 2))
  else showReport(context, report)
  return [...report.sources, ...report.sinks].some(({ state }) => state === 'held') ? 1 : 0
}

function showReport(context: CommandContext, { sources, sinks }: AgentReport): void {
  for (const {
    resource,
    database,
    state,
    waiting,
    oldest,
    position,
    rows,
    quarantine,
    warned,
    unchanged,
    snapshot,
    lastPush,
    fault,
  } of sources) {
    const age = oldest ? ageOf(oldest) : '-'
    context.say(
      `来源 ${resource}(${database})${states[state]} 待发 ${waiting},最早 ${age},位置 ${showPlace(position)},已发行 ${rows},隔离 ${quarantine},最近推送 ${lastPush ?? '-'}`,
      `source ${resource} (${database}) ${state}: waiting ${waiting}, oldest ${age}, position ${showPlace(position)}, rows sent ${rows}, quarantine ${quarantine}, last push ${lastPush ?? '-'}`,
    )
    if (snapshot) context.say(`  快照 ${snapshotZh(snapshot)}`, `  snapshot ${snapshotEn(snapshot)}`)
    if (unchanged) context.say(`  未变化、不必重发 ${unchanged} 行`, `  ${unchanged} rows were as sent before and not sent again`)
    if (warned) context.say(`  核验提醒 ${warned} 行`, `  a check warned of ${warned} rows`)
    if (fault) context.say(`  ${fault.code} ${fault.zh}(自 ${fault.since})`, `  ${fault.code} ${fault.en} (since ${fault.since})`)
  }
  for (const { route, table, database, state, position, rows, quarantine, lastApplied, reached, confirmed, unconfirmed, fault } of sinks) {
    context.say(
      `落地 ${table}(${database},路由 ${route})${states[state]} 位置 ${showPlace(position)},已写行 ${rows},隔离 ${quarantine},最近写入 ${lastApplied ?? '-'},与提供方一致于 ${reached ?? '-'}`,
      `sink ${table} (${database}, route ${route}) ${state}: position ${showPlace(position)}, rows written ${rows}, quarantine ${quarantine}, last applied ${lastApplied ?? '-'}, level with the provider at ${reached ?? '-'}`,
    )
    if (confirmed)
      context.say(
        `  网闸内侧已应用至 ${showPlace(confirmed)}(${confirmed.time})`,
        `  applied inside the gap up to ${showPlace(confirmed)} (${confirmed.time})`,
      )
    if (unconfirmed)
      context.say(
        `  内侧未确认的最早批次已等 ${ageOf(unconfirmed)}`,
        `  the oldest batch not confirmed from inside has waited ${ageOf(unconfirmed)}`,
      )
    if (fault) context.say(`  ${fault.code} ${fault.zh}(自 ${fault.since})`, `  ${fault.code} ${fault.en} (since ${fault.since})`)
  }
}

function snapshotZh({ rows, total, rate, left, waits }: SnapshotProgress): string {
  const speed = rate === undefined || left === undefined ? '' : `,每秒 ${rate} 行,约剩 ${left} 秒`
  return `${rows}/${total} 行${waits ? ',等待允许的时段' : speed}`
}

function snapshotEn({ rows, total, rate, left, waits }: SnapshotProgress): string {
  const speed = rate === undefined || left === undefined ? '' : `, ${rate} rows/s, about ${left} s left`
  return `${rows} of ${total} rows${waits ? ', waits for its hours' : speed}`
}

function ageOf(time: string): string {
  return `${Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1000))} s`
}
