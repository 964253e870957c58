import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { localTime } from '../../protocol/local-time.ts'
import type { AgentStatus, SinkStatus, SourceStatus } from '../status/agent-status.ts'
import type { AgentConfig } from '../config/config.ts'
import { callControl } from '../operator/control.ts'
import { openStops, StatusText, unknown, wrongClock, type Fact } from '../status/status-text.ts'
import type { Command, CommandDeps } from './command.ts'

/** Each source and sink of the running agent; exit code 1 where one is held, a granted route is stopped, the hub does not answer, the configuration file is faulty, the clock is wrong, the policy has expired, or no agent runs. */
export const status: Command = async (context) => {
  const report = (await callControl(context.config.data, 'status')) as AgentStatus | undefined
  if (!report) {
    sayStopped(context)
    return 1
  }
  if (context.options['json']) context.print(JSON.stringify(report, undefined, 2))
  else showStatus(context, report)
  const held = [...report.sources, ...report.sinks].some(({ state }) => state === 'held')
  const clock = Math.abs(report.clockOffset) >= wrongClock
  return held || openStops(report) > 0 || clock || report.hub.fault || report.configuration?.fault || report.policy?.valid === false ? 1 : 0
}

function showStatus(deps: CommandDeps, status: AgentStatus): void {
  const words = new StatusText(status)
  for (const { name, value } of words.agent()) deps.say(`${name.zh}：${value.zh}`, `${name.en}: ${value.en}`)
  for (const source of status.sources) {
    const facts = words.source(source)
    const { zh, en } = facts[0]!.value
    const title = source.title === undefined ? '' : ` ${source.title}`
    deps.say(`来源 ${source.resource}${title}（${source.database}）${zh}`, `source ${source.resource}${title} (${source.database}) ${en}`)
    showLine(deps, words, source, facts)
  }
  for (const sink of status.sinks) {
    const facts = words.sink(sink)
    const { zh, en } = facts[0]!.value
    const named = [sink.table || sink.resource, ...(sink.title === undefined ? [] : [sink.title])].join(' ')
    const [table, place] = [named, sink.database && `${sink.database}, `]
    deps.say(`落地 ${table}（${place.replace(', ', '，')}路由 ${sink.route}）${zh}`, `sink ${table} (${place}route ${sink.route}) ${en}`)
    showLine(deps, words, sink, facts)
  }
}

function showLine(deps: CommandDeps, words: StatusText, { lastFault }: SourceStatus | SinkStatus, facts: Fact[]): void {
  const known = facts.slice(1).filter(({ value }) => value.en !== unknown.en)
  const zh = known.map(({ name, value }) => `${name.zh} ${value.zh}`).join('，')
  deps.say(`  ${zh}`, `  ${known.map(({ name, value }) => `${name.en.toLowerCase()} ${value.en}`).join(', ')}`)
  if (!lastFault) return
  const fault = words.fault(lastFault)
  if (lastFault.over) deps.say(`  此前的故障（已恢复）：${fault.zh}`, `  was held before: ${fault.en}`)
  else deps.say(`  ${fault.zh}`, `  ${fault.en}`)
}

/** Since when it does not run, as far as its log or its files tell. */
function sayStopped({ config, say }: CommandDeps): void {
  const last = lastSign(config)
  if (!last) return say('代理未运行', 'The agent is not running')
  const at = localTime(last.at, config.timezone)
  // The running agent's file: one that stops in order removes it.
  const fell = existsSync(join(config.data, 'control.json'))
  say(
    `代理未运行，最近一次活动 ${at}${fell ? '，未正常停止（被终止或断电）' : ''}`,
    `The agent is not running; its last sign of life is of ${at}${fell ? ', and it was not stopped in order (killed, or power was lost)' : ''}`,
  )
  if (last.line) say(`  日志最后一行：${last.line}`, `  last line of its log: ${last.line}`)
}

function lastSign({ data, log }: AgentConfig): { at: Date; line?: string } | undefined {
  const line = log?.file === undefined ? undefined : lastLine(log.file)
  if (line) return line
  const times = existsSync(data)
    ? readdirSync(data).flatMap((name) => statSync(join(data, name), { throwIfNoEntry: false })?.mtimeMs ?? [])
    : []
  return times.length > 0 ? { at: new Date(Math.max(...times)) } : undefined
}

/** Undefined where there is none with a time. */
function lastLine(file: string): { at: Date; line: string } | undefined {
  try {
    const line = readFileSync(file, 'utf8').trimEnd().split('\n').at(-1) ?? ''
    const { time, msg } = JSON.parse(line) as { time?: unknown; msg?: unknown }
    // Older agents wrote milliseconds.
    const at = new Date(typeof time === 'number' || typeof time === 'string' ? time : NaN)
    return Number.isNaN(at.getTime()) ? undefined : { at, line: String(msg).slice(0, 500) }
  } catch {
    return undefined
  }
}
