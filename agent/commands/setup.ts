import { codedError, QianzhiError } from '../../protocol/errors.ts'
import { engineOf, type Engine } from '../databases/index.ts'
import { callControl } from '../operator/control.ts'
import { inLanguage, type LocalizedText } from '../../protocol/localized.ts'
import type { Policy } from '../../protocol/policy.ts'
import type { Auto } from '../config/auto-sink.ts'
import { sinkName } from '../config/config.ts'
import { sinksInForce } from '../config/granted.ts'
import { onlyReads, type CaptureMode, type Database, type SinkTable, type SourceTable } from '../database.ts'
import { removeSourceStore } from '../folders/store/stores.ts'
import { readingChecks } from '../scans/checks.ts'
import { removeStore } from '../runtime/stream-store.ts'
import { receivesFor, sinkTable, sourceTable, supplyFor } from '../config/tables.ts'
import type { Command, CommandDeps } from './command.ts'
import { freshPolicy, openForCommand } from './connect.ts'
import { accountIn, preamble, scriptOf, shownPlace } from './printed-script.ts'

/**
 * Makes what capture needs in the source databases: queue, triggers, state; with `--create-table` also the supply table that the
 * registered resource describes. `--print` gives the DBA's script instead; `--url` uses the DBA's account; `--user` names the account
 * that the running agent uses, which then gets the rights it needs and no more.
 */
export const setup: Command = async (context) => {
  const failed: unknown[] = []
  const policy = await freshPolicy(context.config, context.version)
  const sources = chosenSources(context, policy)
  const received = await receivers(context, policy)
  if (sources.length + received === 0) throw notConfigured(context)
  for (const chosen of sources) {
    try {
      const { database, source } = await chosen()
      try {
        await setUpTable(context, database, source).catch((error) => throwWithWay(context, error))
      } finally {
        await database.close()
      }
    } catch (error) {
      failed.push(error)
    }
  }
  // One source that cannot be set up keeps no other from it.
  for (const error of failed.slice(1)) {
    const coded = codedError(error)
    context.say(`${coded.code} ${coded.text('zh')}`, `${coded.code} ${coded.text('en')}`)
  }
  if (failed.length > 0) throw failed[0]
  return 0
}

/** A receiver makes its tables by itself, where it may: what it needs for that. */
async function receivers(context: CommandDeps, policy: Policy | undefined): Promise<number> {
  const { config, words, options } = context
  const all = sinksInForce(config, policy)
  const wanted = all.filter((sink) => words.length === 0 || words.includes(sinkName(sink)) || words.includes(sink.resource ?? ''))
  let done = 0
  for (const [name, { url, folder }] of Object.entries(config.databases)) {
    const granted = wanted.filter(({ database }) => database === name)
    const sinks = granted.flatMap((sink) => receivesFor(policy, sink, all).map((receive) => sinkTable(sink, receive, config)))
    // Of a grant that is yet to come only the place is known.
    const later = config.auto?.database === name && words.length === 0 ? [placeOf(config.auto, engineOf(name, url))] : []
    if (folder || sinks.length + later.length === 0) continue
    const database = await openForCommand(config, name, optional(context, 'url'))
    try {
      const script = await database.rightsScript([], [...sinks, ...later], runtimeUser(context, url) ?? accountIn(url))
      const tables = [...new Set([...sinks.map(({ table }) => table), ...later.map(({ table }) => table.replace(/[^.]+$/, '*'))])].join(
        ', ',
      )
      const what = {
        zh: `接收到 ${tables}：建立架构，授予建表和写入的权限`,
        en: `To receive into ${tables}: schemas, and rights to make tables and write them`,
      }
      if (options['print']) printScript(context, url, what, script)
      else if (optional(context, 'url') !== undefined) {
        await database.run(script)
        context.say(`${name}：接收所需权限已授予`, `${name}: what receiving needs is granted`)
      } else
        context.say(
          `${name}：接收方的表由代理自行建立；缺少权限时用 setup --print 得到给 DBA 的脚本`,
          `${name}: the agent makes what it receives into by itself; setup --print gives the DBA's script where rights are missing`,
        )
      done++
    } finally {
      await database.close()
    }
  }
  return done
}

function placeOf({ schema }: Auto, { deliveredIn }: Engine): SinkTable {
  const within = schema ?? deliveredIn
  const table = within === '' ? 'qz_granted' : `${within}.qz_granted`
  const none = { resource: '', version: 1, title: '', agency: '', table: 'qz_granted', items: [] }
  return { route: '', resource: '', table, schema: none, columns: [], source: '', deletes: 'remove', shared: false }
}

/** Removes triggers, queue and state again; the table and its rows stay. A later set-up begins with a snapshot. */
export const teardown: Command = async (context) => {
  const sources = chosenSources(context, await freshPolicy(context.config, context.version))
  if (sources.length === 0) throw notConfigured(context)
  for (const chosen of sources) {
    const { database, source } = await chosen()
    if (onlyReads(source) || source.files) {
      await forgetSource(context, source)
      await database.close()
      continue
    }
    const script = await database.teardownScript(source)
    const what = {
      zh: `拆除资源 ${source.resource}（表 ${source.table}）的采集：触发器、队列；表和数据不变`,
      en: `Ends the capture of resource ${source.resource} (table ${source.table}): its triggers and queue; the table and its rows stay`,
    }
    if (context.options['print']) printScript(context, configuredUrl(context, database), what, script, false)
    else {
      await database.run(script)
      context.say(`${source.resource}：采集已拆除`, `${source.resource}: capture is removed`)
    }
    await database.close()
  }
  return 0
}

const captureNames: Record<CaptureMode, [string, string]> = {
  triggers: ['触发器采集', 'trigger capture'],
  log: ['日志采集', 'capture from the log'],
  tracking: ['更改跟踪采集', 'capture by Change Tracking'],
  watermark: ['水位采集', 'capture by watermark'],
  compare: ['比对采集', 'capture by comparison'],
  files: ['目录采集', 'capture from a folder'],
}

/** Nothing is in the database of a source that is only read, or in a folder; what is remembered of it lies in the data folder. */
async function forgetSource({ config, options, say }: CommandDeps, source: SourceTable): Promise<void> {
  const { resource } = source
  if (options['print']) return say(`-- ${resource}：数据库中没有任何对象`, `-- ${resource}: nothing is in the database`)
  if (await callControl(config.data, 'ping')) throw new QianzhiError('QZ-DATA-LOCKED', { folder: config.data })
  if (source.files) removeSourceStore(config.data, resource)
  else removeStore(config.data, resource)
  say(`${resource}：采集已拆除`, `${resource}: capture is removed`)
}

async function setUpTable(deps: CommandDeps, database: Database, source: SourceTable): Promise<void> {
  const url = configuredUrl(deps, database)
  if (deps.options['print']) return printSetup(deps, database, source, url)
  const table = await missingSupplyTable(deps, database, source)
  if (table) await database.run(table)
  if (onlyReads(source)) return checkReading(deps, database, source)
  await database.run(await database.setupScript(source, runtimeUser(deps, url)))
  const [zh, en] = captureNames[source.capture]
  deps.say(`${source.resource}：${source.table} 已就绪（${zh}）`, `${source.resource}: ${source.table} is set up (${en})`)
  for (const { zh, en } of await limitsOfCapture(database, source)) deps.say(`  注意：${zh}`, `  note: ${en}`)
}

/** An account that may not set up goes on by the script. */
function throwWithWay({ options }: CommandDeps, error: unknown): never {
  if (options['print'] || !(error instanceof QianzhiError) || error.code !== 'QZ-DB-RIGHTS') throw error
  const way = {
    zh: '请执行 qianzhi-agent setup --print，把脚本交给 DBA（或以有权限的账号执行 setup --url）',
    en: 'run qianzhi-agent setup --print and give the script to the DBA (or setup --url with an account that may)',
  }
  const said = (language: 'zh' | 'en') => inLanguage(error.details['reason'] ?? '', language)
  const reason = { zh: `${said('zh')}。${way.zh}`, en: `${said('en')}; ${way.en}` }
  throw new QianzhiError('QZ-DB-RIGHTS', { ...error.details, reason }, { cause: error })
}

async function printSetup(deps: CommandDeps, database: Database, source: SourceTable, url: string): Promise<void> {
  const { resource, table } = source
  const user = runtimeUser(deps, url)
  const print = (zh: string, en: string, script: readonly string[]) => printScript(deps, url, { zh, en }, script)
  const rest = ['执行后再次运行 setup --print，得到其余脚本', 'Then run setup --print again for the rest'] as const
  const supply = await missingSupplyTable(deps, database, source)
  if (supply)
    return print(`资源 ${resource} 的供数表 ${table}。${rest[0]}`, `Supply table ${table} of resource ${resource}. ${rest[1]}`, supply)
  if (onlyReads(source)) {
    const script = await database.rightsScript([source], [], user)
    return print(
      `资源 ${resource} 只读采集，数据库中不建立任何对象`,
      `Resource ${resource} is only read: nothing is made in the database`,
      script,
    )
  }
  try {
    const script = await database.setupScript(source, user)
    const [zh, en] = source.capture === 'log' ? ['日志读取', 'the reading of the log'] : ['触发器', 'triggers']
    return print(
      `资源 ${resource}（表 ${table}）的采集：变化队列和${zh}，表和数据不变；以 teardown --print 拆除`,
      `Capture of resource ${resource} (table ${table}): a queue and ${en}; the table and its rows stay as they are; teardown --print undoes it`,
      script,
    )
  } catch (error) {
    // The account that asks may not read the table: then what it takes is all that can be told.
    if (codedError(error).code !== 'QZ-DB-RIGHTS') throw error
    const script = await database.rightsScript([source], [], user)
    print(
      `资源 ${resource}（表 ${table}）的读取权限。${rest[0]}`,
      `Rights to read table ${table} of resource ${resource}. ${rest[1]}`,
      script,
    )
  }
}

function configuredUrl({ config }: CommandDeps, database: Database): string {
  return config.databases[database.options.name]!.url
}

function notConfigured({ words }: CommandDeps): QianzhiError {
  if (words.length > 0) return new QianzhiError('QZ-NOT-FOUND', { what: words.join(' ') })
  return new QianzhiError('QZ-CONFIG', {
    key: 'sources',
    reason: {
      zh: '尚未配置来源：提供数据的，资源发布后先在 sources: 中写明资源、数据库和表（- { resource: 资源, database: 名称, table: 表 }），再执行本命令；只接收的写 sinks: auto',
      en: 'there is none yet: whoever provides first names resource, database and table under sources: once the resource is published (- { resource: CODE, database: NAME, table: TABLE }), then runs this; whoever only receives writes sinks: auto',
    },
  })
}

/** A source that is only read needs no set-up: whether it can be read, and what its mode cannot see. */
async function checkReading({ say }: CommandDeps, database: Database, source: SourceTable): Promise<void> {
  const checks = await readingChecks(database, source)
  const failed = checks[0]!
  if (!failed.ok) throw new QianzhiError('QZ-SOURCE-TABLE', { table: source.table, reason: { zh: failed.zh, en: failed.en } })
  say(
    `${source.resource}：${source.table} 只读采集（${source.capture}），数据库中无需建立任何对象`,
    `${source.resource}: ${source.table} is only read (${source.capture}); nothing is made in the database`,
  )
  for (const { zh, en } of checks.slice(1)) say(`  注意：${zh}`, `  note: ${en}`)
}

/** DDL of the supply table where there is none and `--create-table` was given. */
async function missingSupplyTable(deps: CommandDeps, database: Database, source: SourceTable): Promise<string[] | undefined> {
  if (source.query !== undefined || source.files) return undefined
  try {
    await database.describe(source.table)
    return undefined
  } catch (error) {
    if (!(error instanceof QianzhiError) || error.code !== 'QZ-SOURCE-TABLE' || !deps.options['create-table']) throw error
    return database.supplyTable(source)
  }
}

/** What the engine hides from triggers here. */
async function limitsOfCapture(database: Database, source: SourceTable) {
  return (await database.doctor([source], [])).filter((check) => check.name.startsWith('capture'))
}

/** Who runs it where, what it does, who gets what. */
function printScript(deps: CommandDeps, url: string, what: LocalizedText, script: readonly string[], grants = true): void {
  const user = grants ? runtimeUser(deps, url) : undefined
  const place = shownPlace(url)
  const lines = [
    what,
    {
      zh: `请 DBA 以管理员账号在 ${place} 执行；可重复执行`,
      en: `For a DBA, to be run by an administrator at ${place}; it may be run again`,
    },
    ...(user === undefined || script.length === 0
      ? []
      : [
          {
            zh: `代理的运行账号是 ${user}，须已存在；它得到所列权限`,
            en: `The agent runs as ${user}, which must exist; it gets the rights named here`,
          },
        ]),
  ]
  deps.print(preamble(url, lines, deps.language))
  deps.print(scriptOf(url, script))
}

/** `--user`, else, where somebody else runs the script, the account of the configuration. */
function runtimeUser({ options }: CommandDeps, configured: string): string | undefined {
  const { user, url, print } = options
  if (typeof user === 'string') return user
  const own = accountIn(configured)
  return print || (typeof url === 'string' && accountIn(url) !== own) ? own : undefined
}

/** Each opened when its turn comes; throws then where the policy does not have it. */
function chosenSources(deps: CommandDeps, policy: Policy | undefined): (() => Promise<{ database: Database; source: SourceTable }>)[] {
  const { config, words } = deps
  const chosen = config.sources.filter(({ resource }) => words.length === 0 || words.includes(resource))
  return chosen.map((entry) => async () => {
    const engine = engineOf(entry.database, config.databases[entry.database]!.url)
    const source = sourceTable(entry, supplyFor(policy, entry.resource), engine, config.timezone)
    return { database: await openForCommand(config, entry.database, optional(deps, 'url')), source }
  })
}

function optional({ options }: CommandDeps, name: string): string | undefined {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}
