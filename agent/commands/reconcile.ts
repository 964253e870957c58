import { counted } from '../../protocol/localized.ts'
import { reconciliationWords } from '../../protocol/reconciliation-words.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { detailsFromWire, isErrorCode, QianzhiError } from '../../protocol/errors.ts'
import { doubtTexts, type ReconciliationProgress } from '../../protocol/reconciliation.ts'
import { callControl, noRunningAgent } from '../operator/control.ts'
import type { Command, CommandDeps } from './command.ts'

/** Milliseconds between looks at how a run goes. */
const everyLook = 1_000

/** Has the hub reconcile a route, or all this agent's routes of a resource; exit code 1 where one ends otherwise than equal. */
export const reconcile: Command = async (context) => {
  const { config, words, options } = context
  const [name] = words
  if (!name) throw new QianzhiError('QZ-CONFIG', { key: 'argument', reason: { zh: '请给出资源或路由名', en: 'name a resource or route' } })
  const repair = options['repair'] ? { repair: 'true' } : options['no-repair'] ? { repair: 'false' } : {}
  const begun = (await callControl(config.data, 'reconcile', { name, ...repair })) as { runs: string[] } | undefined
  if (!begun) throw noRunningAgent()
  const ended: ReconciliationProgress[] = []
  for (const run of begun.runs) ended.push(await watch(context, run))
  if (options['json']) context.print(JSON.stringify(ended, undefined, 2))
  return ended.every(({ state }) => state === 'equal') ? 0 : 1
}

/** Until the run has ended, or was put off: then the hub goes on by itself later. */
async function watch(deps: CommandDeps, run: string): Promise<ReconciliationProgress> {
  let shown = ''
  for (;;) {
    const progress = (await callControl(deps.config.data, 'reconciliation', { run })) as ReconciliationProgress | undefined
    if (!progress) throw noRunningAgent()
    const { route, state, step, rows } = progress
    const putOff = state === 'waiting' && progress.code !== null
    const line = `${route} ${step ?? state} ${rows}`
    if (!deps.options['json'] && (state === 'running' || state === 'waiting') && !putOff && line !== shown) {
      const doing = reconciliationWords(step ?? state)
      deps.say(`${route}：${doing.zh}，已读 ${rows} 行`, `${route}: ${doing.en}, ${counted(rows, 'row')} read`)
    }
    shown = line
    if ((state !== 'running' && state !== 'waiting') || putOff) {
      if (!deps.options['json']) showEnd(deps, progress)
      return progress
    }
    await sleep(everyLook)
  }
}

function showEnd(deps: CommandDeps, { run, route, state, code, details, texts, statement, keys }: ReconciliationProgress): void {
  if (statement) {
    const { source, target, settled, moving, quarantined, repaired, remaining, outcome } = statement
    deps.say(
      `${route}（对账 ${run}）：${outcome === 'equal' ? '一致' : '不一致'}，来源 ${source.rows} 行，落地 ${target.rows} 行；途中 ${settled}，持续变化 ${moving}，隔离 ${quarantined}，已重发修复 ${repaired}，仍不一致 ${remaining}`,
      `${route} (reconciliation ${run}): ${outcome}, source ${counted(source.rows, 'row')}, target ${counted(target.rows, 'row')}; under way ${settled}, moving ${moving}, quarantined ${quarantined}, repaired ${repaired}, remaining ${remaining}`,
    )
    for (const { zh, en } of doubtTexts(statement)) deps.say(`  ${zh}`, `  ${en}`)
    if (statement.more)
      deps.say(
        `  不一致的主键超过 ${statement.differing} 个，不逐一修复：要求修复的对账会请来源重新快照`,
        `  more than ${statement.differing} keys differ, so they are not mended one by one: a run that repairs asks the source for a new snapshot`,
      )
  } else if (code !== null && isErrorCode(code)) {
    const reason = new QianzhiError(code, detailsFromWire({ details, texts }))
    const [zh, en] = state === 'failed' ? ['失败', 'failed'] : ['推迟', 'put off']
    deps.say(`${route}：${zh}，${code} ${reason.text('zh')}`, `${route}: ${en}, ${code} ${reason.text('en')}`)
  }
  for (const { key, difference, state: became, side, code: fault } of keys.filter(({ state: one }) => one !== 'settled')) {
    const said = reconciliationWords([difference, became, ...(side ? [side] : [])].join(' '))
    const code = side && fault ? ` ${fault}` : ''
    deps.say(`  ${JSON.stringify(key)} ${said.zh}${code}`, `  ${JSON.stringify(key)} ${said.en}${code}`)
  }
}
