import { codedError, type QianzhiError } from '../../protocol/errors.ts'
import { policyExpired, type Policy } from '../../protocol/policy.ts'
import { onlyReads, type Check, type SinkTable, type SourceTable } from '../database.ts'
import type { Schema } from '../../protocol/schema.ts'
import { engineOf, sinkName } from '../config.ts'
import { readingChecks } from '../scans/checks.ts'
import { openState } from '../state.ts'
import { receivesFor, sinkTable, sourceTable, supplyFor, unknownColumns } from '../tables.ts'
import type { Command, CommandContext } from './command.ts'
import { freshPolicy, openHub } from './connect.ts'
import { openDatabase } from './setup.ts'

/** Checks everything that running will need, and says the remedy of what fails. Exit code 1 where anything does. */
export const doctor: Command = async (context) => {
  const checks = await allChecks(context)
  if (context.options['json']) context.print(JSON.stringify(checks, undefined, 2))
  else for (const { ok, name, zh, en } of checks) context.say(`${ok ? '✓' : '✗'} ${name}:${zh}`, `${ok ? '✓' : '✗'} ${name}: ${en}`)
  return checks.every(({ ok }) => ok) ? 0 : 1
}

async function allChecks(context: CommandContext): Promise<Check[]> {
  const { config, version } = context
  const identity = openState(config.data).data.identity
  if (!identity)
    return [
      failed('enrolment', codedError(new Error('not enrolled')), '请执行 qianzhi-agent enroll 令牌', 'run qianzhi-agent enroll TOKEN'),
    ]
  const checks: Check[] = [
    passed('enrolment', `代理 ${identity.agent},机关单位 ${identity.agency}`, `agent ${identity.agent} of ${identity.agency}`),
  ]
  let policy: Policy | undefined
  try {
    policy = await freshPolicy(config, version)
    checks.push(...(await hubChecks(context)), policyCheck(policy))
  } catch (error) {
    checks.push(failed('hub', codedError(error)))
  }
  for (const name of Object.keys(config.databases)) checks.push(...(await databaseChecks(context, name, policy)))
  return checks
}

async function hubChecks({ config }: CommandContext): Promise<Check[]> {
  const hub = openHub(config)
  try {
    const resource = config.sources[0]?.resource ?? 'none'
    await hub.head(resource).catch((error) => {
      if (!['QZ-NOT-FOUND', 'QZ-SUPPLY-NOT-ALLOWED'].includes(codedError(error).code)) throw error
    })
    const seconds = Math.round(hub.clockOffset / 1000)
    return [passed('hub', `连接与证书正常,时钟差 ${seconds} 秒`, `connection and certificate are good, clock offset ${seconds} s`)]
  } finally {
    await hub.close()
  }
}

function policyCheck(policy: Policy | undefined): Check {
  if (!policy) return { name: 'policy', ok: false, zh: '尚无策略', en: 'no policy yet' }
  const ok = !policyExpired(policy, new Date())
  return {
    name: 'policy',
    ok,
    zh: `序号 ${policy.serial},有效至 ${policy.expires}`,
    en: `serial ${policy.serial}, valid to ${policy.expires}`,
  }
}

async function databaseChecks({ config }: CommandContext, name: string, policy: Policy | undefined): Promise<Check[]> {
  const checks: Check[] = []
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
    config.sinks
      .filter((sink) => sink.database === name)
      .flatMap((sink) => {
        const receives = receivesFor(policy, sink, config.sinks)
        checks.push(grantCheck(sinkName(sink), receives.length > 0))
        checks.push(...receives.flatMap(({ schema }) => columnsCheck(schema, sink.columns)))
        return receives.map((receive) => sinkTable(sink, receive, config.databases))
      }),
  )
  const database = await openDatabase(config, name)
  try {
    const found = await database.doctor(sources, sinks)
    for (const source of sources.filter(onlyReads)) found.push(...(await readingChecks(database, source)))
    return [...checks, ...found.map((check) => ({ ...check, name: `${name} ${check.name}` }))]
  } catch (error) {
    return [...checks, failed(name, codedError(error))]
  } finally {
    await database.close()
  }
}

function collect<T>(checks: Check[], tables: () => T[]): T[] {
  try {
    return tables()
  } catch (error) {
    checks.push(failed('configuration', codedError(error)))
    return []
  }
}

function grantCheck(name: string, granted: boolean): Check {
  return {
    name: `grant ${name}`,
    ok: granted,
    zh: granted ? '已授权' : '尚未授权:向市电子政务办申请',
    en: granted ? 'granted' : 'not granted yet: apply to the office',
  }
}

function columnsCheck(schema: Schema, names: Record<string, string> | undefined): Check[] {
  return unknownColumns(schema, names).map((name) => ({
    name: `columns ${schema.resource}`,
    ok: false,
    zh: `columns 中的 ${name} 不是该资源第 ${schema.version} 版的信息项`,
    en: `columns: ${name} is no item of version ${schema.version} of the resource`,
  }))
}

function passed(name: string, zh: string, en: string): Check {
  return { name, ok: true, zh, en }
}

function failed(name: string, error: QianzhiError, zh = '', en = ''): Check {
  return { name, ok: false, zh: zh || `${error.code} ${error.text('zh')}`, en: en || `${error.code} ${error.text('en')}` }
}
