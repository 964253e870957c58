import { codedError, type QianzhiError } from '../../protocol/errors.ts'
import { isLocalized } from '../../protocol/localized.ts'
import { localTime } from '../../protocol/local-time.ts'
import { policyExpired, stopText, type Policy, type StoppedRoute } from '../../protocol/policy.ts'
import type { Schema } from '../../protocol/schema.ts'
import { sinkName, type AgentConfig, type ColumnNames, type SinkConfig } from '../config/config.ts'
import { engineOf } from '../databases/index.ts'
import { onlyReads, type Check, type Database, type SinkTable, type SourceTable } from '../database.ts'
import { readingChecks } from '../scans/checks.ts'
import { sinkMissing, sinksInForce, unplaced } from '../config/granted.ts'
import { receivesFor, sinkTable, sourceTable, supplyFor, unknownColumns } from '../config/tables.ts'

/** The checks of `doctor`, by the command and, where the hub asks, by the running agent. */

export function policyCheck(policy: Policy | undefined, now: Date, timezone: string): Check {
  if (!policy) return { name: 'policy', ok: false, zh: '尚无策略', en: 'no policy yet' }
  const ok = !policyExpired(policy, now)
  const until = localTime(new Date(policy.expires), timezone)
  return {
    name: 'policy',
    ok,
    zh: `序号 ${policy.serial}，${ok ? '有效至' : '已过期于'} ${until}`,
    en: `serial ${policy.serial}, ${ok ? 'valid until' : 'expired at'} ${until}`,
  }
}

/** `offset`: milliseconds that the hub's clock is ahead. An agent goes by the hub's time, but its databases go by the machine's. */
export function clockChecks(offset: number): Check[] {
  const seconds = Math.round(Math.abs(offset) / 1000)
  const [zh, en] = offset > 0 ? ['慢', 'behind'] : ['快', 'ahead of']
  const ok = seconds <= 60
  const remedy = ok ? ['', ''] : ['，请校正', ': put it right']
  return [
    { name: 'clock', ok, zh: `本机比中心${zh} ${seconds} 秒${remedy[0]}`, en: `this machine is ${seconds} s ${en} the hub${remedy[1]}` },
  ]
}

/** Everything that is configured in one database; `database` is opened for it, or the running agent's. */
export async function databaseChecks(config: AgentConfig, database: Database, policy: Policy | undefined): Promise<Check[]> {
  const { name } = database.options
  const checks: Check[] = []
  const all = sinksInForce(config, policy)
  const sources = collect<SourceTable>(checks, () =>
    config.sources
      .filter((source) => source.database === name)
      .map((source) => {
        const supply = supplyFor(policy, source.resource)
        checks.push(...columnsCheck(supply.schema, source.columns))
        return sourceTable(source, supply, engineOf(name, config.databases[name]!.url), config.timezone)
      }),
  )
  const sinks = collect<SinkTable>(checks, () =>
    all
      .filter((sink) => sink.database === name)
      .flatMap((sink) => {
        const receives = receivesFor(policy, sink, all)
        checks.push(grantCheck(config, sink, receives.length > 0, policy))
        checks.push(...receives.flatMap(({ schema }) => columnsCheck(schema, sink.columns)))
        return receives.map((receive) => sinkTable(sink, receive, config))
      }),
  )
  try {
    const found = await database.doctor(sources, sinks)
    for (const source of sources.filter(onlyReads)) found.push(...(await readingChecks(database, source)))
    return [...checks, ...found.map((check) => ({ ...check, name: `${name} ${check.name}` }))]
  } catch (error) {
    return [...checks, failed(name, codedError(error))]
  }
}

/** Granted routes that nothing receives. */
export function unplacedChecks(config: AgentConfig, policy: Policy | undefined): Check[] {
  return unplaced(config, policy).map((receive) => failed(`route ${receive.route}`, sinkMissing(config, receive)))
}

function collect<T>(checks: Check[], tables: () => T[]): T[] {
  try {
    return tables()
  } catch (error) {
    checks.push(failed('configuration', codedError(error)))
    return []
  }
}

function grantCheck({ timezone }: AgentConfig, sink: SinkConfig, granted: boolean, policy: Policy | undefined): Check {
  const name = `grant ${sinkName(sink)}`
  if (granted) return passed(name, '已授权', 'granted')
  const stop = policy?.stopped?.find((stopped) => isFor(sink, stopped))
  if (stop) return stopCheck(name, stop, false, timezone)
  return {
    name,
    ok: false,
    zh: '尚未授权：由本单位使用人员在控制台“资源目录”中找到该资源，“申请共享”',
    en: 'not granted yet: a user of this agency finds it in the console (Catalog) and applies there',
  }
}

function isFor(sink: SinkConfig, { route, resource }: StoppedRoute): boolean {
  return sink.route === undefined ? sink.resource === resource : sink.route === route
}

/** Routes that get nothing now and that no sink names. What has ended for good is told, and is no fault of this machine. */
export function stoppedChecks({ sinks, timezone }: AgentConfig, policy: Policy | undefined): Check[] {
  const told = (policy?.stopped ?? []).filter((stop) => !sinks.some((sink) => isFor(sink, stop))).slice(0, 20)
  return told.map((stop) => stopCheck(`route ${stop.route}`, stop, stop.over === true, timezone))
}

function stopCheck(name: string, stop: StoppedRoute, ok: boolean, timezone: string): Check {
  const { zh, en } = stopText(stop, timezone)
  const next = stop.next ? { zh: `。${stop.next.zh}`, en: `. Then: ${stop.next.en}` } : { zh: '', en: '' }
  return {
    name,
    ok,
    zh: `资源 ${stop.resource} 不交付：${zh}${next.zh}`,
    en: `nothing of resource ${stop.resource} comes: ${en}${next.en}`,
  }
}

function columnsCheck(schema: Schema, names: ColumnNames | undefined): Check[] {
  return unknownColumns(schema, names).map((name) => ({
    name: `columns ${schema.resource}`,
    ok: false,
    zh: `columns 中的 ${name} 不是该资源第 ${schema.version} 版的信息项`,
    en: `columns: ${name} is no item of version ${schema.version} of the resource`,
  }))
}

export function passed(name: string, zh: string, en: string): Check {
  return { name, ok: true, zh, en }
}

export function failed(name: string, error: QianzhiError): Check {
  const { next } = error.details
  const remedy = isLocalized(next) ? { zh: `。${next.zh}`, en: `. Then: ${next.en}` } : { zh: '', en: '' }
  return { name, ok: false, zh: `${error.code} ${error.text('zh')}${remedy.zh}`, en: `${error.code} ${error.text('en')}${remedy.en}` }
}
