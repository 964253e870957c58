import { codedError, QianzhiError } from '../../protocol/errors.ts'
import { engineOf, type Engine } from '../databases/index.ts'
import { callControl } from '../operator/control.ts'
import { onlyReads, type CaptureMode, type Database, type SourceTable } from '../database.ts'
import { removeSourceStore } from '../folders/store/stores.ts'
import { readingChecks } from '../scans/checks.ts'
import { removeStore } from '../runtime/stream-store.ts'
import { sourceTable, supplyFor } from '../config/tables.ts'
import type { Command, CommandDeps } from './command.ts'
import { freshPolicy, openForCommand } from './connect.ts'

/**
 * Makes what capture needs in the source databases: queue, triggers, state; with `--create-table` also the supply table that the
 * registered resource describes. `--print` gives the DBA's script instead; `--url` uses the DBA's account; `--user` names the account
 * that the running agent uses, which then gets the rights it needs and no more.
 */
export const setup: Command = async (context) => {
  const failed: unknown[] = []
  for (const chosen of await chosenSources(context)) {
    try {
      const { database, source } = await chosen()
      try {
        await setUpTable(context, database, source)
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

/** Removes triggers, queue and state again; the table and its rows stay. A later set-up begins with a snapshot. */
export const teardown: Command = async (context) => {
  for (const chosen of await chosenSources(context)) {
    const { database, source } = await chosen()
    if (onlyReads(source) || source.files) {
      await forgetSource(context, source)
      await database.close()
      continue
    }
    const script = await database.teardownScript(source)
    if (context.options['print']) printScript(context, database.options.url, source, script)
    else {
      await database.run(script)
      context.say(`${source.resource}:采集已拆除`, `${source.resource}: capture is removed`)
    }
    await database.close()
  }
  return 0
}

const captureNames: Record<CaptureMode, [string, string]> = {
  triggers: ['触发器采集', 'trigger capture'],
  tracking: ['更改跟踪采集', 'capture by Change Tracking'],
  watermark: ['水位采集', 'capture by watermark'],
  compare: ['比对采集', 'capture by comparison'],
  files: ['目录采集', 'capture from a folder'],
}

/** Nothing is in the database of a source that is only read, or in a folder; what is remembered of it lies in the data folder. */
async function forgetSource({ config, options, say }: CommandDeps, source: SourceTable): Promise<void> {
  const { resource } = source
  if (options['print']) return say(`-- ${resource}:数据库中没有任何对象`, `-- ${resource}: nothing is in the database`)
  if (await callControl(config.data, 'ping')) throw new QianzhiError('QZ-DATA-LOCKED', { folder: config.data })
  if (source.files) removeSourceStore(config.data, resource)
  else removeStore(config.data, resource)
  say(`${resource}:采集已拆除`, `${resource}: capture is removed`)
}

async function setUpTable(deps: CommandDeps, database: Database, source: SourceTable): Promise<void> {
  const printed = Boolean(deps.options['print'])
  const table = await missingSupplyTable(deps, database, source)
  if (table && printed) {
    printScript(deps, database.options.url, source, table)
    deps.say('-- 建表后再次执行 setup --print,得到其余脚本', '-- make the table, then run setup --print again for the rest')
    return
  }
  if (table) await database.run(table)
  if (onlyReads(source)) return checkReading(deps, database, source)
  const script = await database.setupScript(source, optional(deps, 'user'))
  if (printed) return printScript(deps, database.options.url, source, script)
  await database.run(script)
  const [zh, en] = captureNames[source.capture]
  deps.say(`${source.resource}:${source.table} 已就绪(${zh})`, `${source.resource}: ${source.table} is set up (${en})`)
  for (const { zh, en } of await limitsOfCapture(database, source)) deps.say(`  注意:${zh}`, `  note: ${en}`)
}

/** A source that is only read needs no set-up: whether it can be read, and what its mode cannot see. */
async function checkReading({ say }: CommandDeps, database: Database, source: SourceTable): Promise<void> {
  const checks = await readingChecks(database, source)
  const failed = checks[0]!
  if (!failed.ok) throw new QianzhiError('QZ-SOURCE-TABLE', { table: source.table, reason: { zh: failed.zh, en: failed.en } })
  say(
    `${source.resource}:${source.table} 只读采集(${source.capture}),数据库中无需建立任何对象`,
    `${source.resource}: ${source.table} is only read (${source.capture}); nothing is made in the database`,
  )
  for (const { zh, en } of checks.slice(1)) say(`  注意:${zh}`, `  note: ${en}`)
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

/**
 * The mysql client splits at semicolons, also inside a trigger's body, unless it is told another delimiter. To SQL Server's clients each
 * statement is a batch: a trigger must be the first of its own. SQL*Plus runs a block of PL/SQL, which ends with a semicolon of its own,
 * when a line holds nothing but a slash.
 */
export function forClient(statement: string, client: Engine['client']): string {
  if (client === 'batches') return `${statement}\nGO\n`
  if (client === 'sqlplus' && /^(begin|declare|create trigger)\s/.test(statement)) return `${statement};\n/\n`
  return client === 'delimiter' && statement.includes(';') ? `DELIMITER $$\n${statement}$$\nDELIMITER ;\n` : `${statement};\n`
}

function printScript({ print, say }: CommandDeps, url: string, source: SourceTable, script: readonly string[]): void {
  say(`-- 资源 ${source.resource},表 ${source.table}`, `-- resource ${source.resource}, table ${source.table}`)
  // SQL*Plus would ask for a value wherever a text holds an ampersand.
  const { client } = engineOf('', url)
  if (client === 'sqlplus') print('set define off\n')
  for (const statement of script) print(forClient(statement.replace(/;\s*$/, ''), client))
}

/** Each opened when its turn comes; throws then where the policy does not have it. */
async function chosenSources(deps: CommandDeps): Promise<(() => Promise<{ database: Database; source: SourceTable }>)[]> {
  const { config, words, version } = deps
  const policy = await freshPolicy(config, version)
  const chosen = config.sources.filter(({ resource }) => words.length === 0 || words.includes(resource))
  if (chosen.length === 0) throw new QianzhiError('QZ-NOT-FOUND', { what: words.join(' ') || 'sources' })
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
