/** What must hold for the running agent, each as one line with its remedy, asked as the account that runs it. */
import { codedError } from '../../../protocol/errors.ts'
import { binaryCollation, spacesColumn } from './sql.ts'
import { onlyReads, type Check, type SinkTable, type SourceTable } from '../../database.ts'
import { readTable, type CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { coverageOf } from './trigger-fingerprint.ts'
import { streamTable } from './names.ts'
import { furtherUniqueCheck } from '../bookkeeping/own-rows.ts'
import { requireUnmasked } from './masks.ts'
import { readPlan, type Plan } from './plan.ts'
import { keyOf, uniqueColumns } from './shape.ts'

/** 2012, whose number is 11. */
const oldestVersion = 11
const clockLimitMs = 60_000

export async function diagnose(session: Session, sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
  const checks = [versionCheck(session), ...(await attempt('server', () => serverChecks(session)))]
  if (sources.length > 0) checks.push(isolationCheck(session))
  for (const source of sources) checks.push(...(await attempt(`source ${source.resource}`, () => sourceChecks(session, source))))
  for (const sink of sinks) checks.push(...(await attempt(`sink ${sink.route}`, () => sinkChecks(session, sink))))
  return checks
}

function check(name: string, ok: boolean, zh: string, en: string): Check {
  return { name, ok, zh, en }
}

async function attempt(name: string, work: () => Promise<Check[]>): Promise<Check[]> {
  try {
    return await work()
  } catch (error) {
    const coded = codedError(error)
    return [check(name, false, coded.text('zh'), coded.text('en'))]
  }
}

async function one(session: Session, sql: string, parameters?: Record<string, string>): Promise<(string | null)[]> {
  const [row = []] = await session.query(sql, parameters)
  return row.map((value) => (value === null ? null : String(value)))
}

function versionCheck({ server }: Session): Check {
  const major = Number.parseInt(server.version, 10)
  return check(
    'version',
    major >= oldestVersion,
    `SQL Server ${server.version} ${server.edition}，排序规则 ${server.collation}（需要 2012 或更高版本）`,
    `SQL Server ${server.version} ${server.edition}, collation ${server.collation} (2012 or later is needed)`,
  )
}

async function serverChecks(session: Session): Promise<Check[]> {
  const [updateable, now, level] = await one(
    session,
    `select convert(nvarchar(20), databasepropertyex(db_name(), 'Updateability')), convert(nvarchar(30), sysutcdatetime(), 121),
  convert(nvarchar(10), (select compatibility_level from sys.databases where database_id = db_id()))`,
  )
  const seconds = Math.abs(Date.parse(`${now!.slice(0, 10)}T${now!.slice(11, 23)}Z`) - Date.now()) / 1000
  const writable = updateable !== 'READ_ONLY'
  return [
    check(
      'writable',
      writable,
      writable ? `数据库可写（兼容级别 ${level}）` : '数据库只读（从副本或只读库）：请连接主副本',
      writable
        ? `the database is writable (compatibility level ${level})`
        : 'the database is read-only (a secondary replica?): connect to the primary',
    ),
    check(
      'clock',
      seconds * 1000 < clockLimitMs,
      `与数据库的时钟相差 ${seconds.toFixed(1)} 秒`,
      `the server's clock is ${seconds.toFixed(1)} s away`,
    ),
  ]
}

function isolationCheck({ server }: Session): Check {
  const words = {
    versioned: ['READ_COMMITTED_SNAPSHOT 已开启：读取不等待写入', 'READ_COMMITTED_SNAPSHOT is on: reading does not wait for writers'],
    snapshot: ['允许快照隔离：读取不等待写入', 'snapshot isolation is allowed: reading does not wait for writers'],
    locking: [
      '快照隔离未开启：读取可能等待应用的事务。建议 ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON',
      'snapshot isolation is off: reading may wait for the application. Better: ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON',
    ],
  }
  const [zh, en] = words[server.reading]
  return check('isolation', true, zh!, en!)
}

async function sourceChecks(session: Session, source: SourceTable): Promise<Check[]> {
  const name = `source ${source.resource}`
  const plan = await readPlan(session, source)
  await requireUnmasked(session, plan)
  if (onlyReads(source)) return [check(name, true, `可以读取 ${source.table}`, `${source.table} can be read`)]
  if (plan.catalog.kind !== 'table')
    return [check(name, false, '触发器和更改跟踪只用于表', 'it is a view: triggers and Change Tracking see tables only')]
  await coverageOf(session, plan)
  const found = [
    check(name, true, `来源表 ${source.table} 的采集和队列齐全`, `capture and queue of ${source.table} are in place`),
    ...(source.capture === 'tracking' ? await trackingChecks(session, plan) : await triggerChecks(session, plan)),
    ...textKeyCheck(plan),
  ]
  return found
}

/** A text key under a collation without case: what of it capture sees. */
function textKeyCheck({ source, keys }: Plan): Check[] {
  const name = `capture ${source.resource}`
  const loose = keys
    .filter(({ text }) => text && !/_BIN2?$/i.test(text.collation))
    .map(({ column, text }) => `${column} (${text!.collation})`)
  if (loose.length === 0 || source.capture !== 'tracking') return []
  const list = loose.join(', ')
  return [
    check(
      name,
      true,
      `主键列 ${list} 不区分大小写或尾部空格：更改跟踪可能看不到只改变大小写或尾部空格的更新，由定期核对发现`,
      `key columns ${list} do not compare byte by byte: Change Tracking may not see an update of a key's case or trailing spaces alone; the scheduled reconciliation does`,
    ),
  ]
}

/** What is named `capture` is told after set-up too. */
async function trackingChecks(session: Session, { source, catalog }: Plan): Promise<Check[]> {
  const name = `capture ${source.resource}`
  const [period, units, cleanup] = await one(
    session,
    `select convert(nvarchar(10), retention_period), retention_period_units_desc, convert(nvarchar(1), is_auto_cleanup_on)
from sys.change_tracking_databases where database_id = db_id()`,
  )
  const [partitions] = await one(
    session,
    'select convert(nvarchar(10), count(*)) from sys.partitions where object_id = @id and index_id in (0, 1)',
    {
      id: String(catalog.id),
    },
  )
  const kept = cleanup === '0' ? 'AUTO_CLEANUP OFF' : `${period} ${units}`
  return [
    check(
      name,
      true,
      `更改跟踪保留 ${kept}：代理停用更久时将重新全量`,
      `Change Tracking keeps changes for ${kept}: an agent that was away longer takes a new snapshot`,
    ),
    check(
      name,
      true,
      `更改跟踪看不到物理恢复；TRUNCATE 由最小有效版本发现（${catalog.table}）；启用期间 ALTER TABLE … SWITCH 和删除主键会失败`,
      `Change Tracking does not see restores; TRUNCATE is seen by the valid version (${catalog.table}); while it is on, ALTER TABLE … SWITCH and dropping the primary key fail`,
    ),
    ...(Number(partitions) > 1
      ? [
          check(
            name,
            false,
            `${catalog.table} 是分区表：更改跟踪使分区切换失败，请改用 capture: triggers`,
            `${catalog.table} is partitioned: Change Tracking makes partition switches fail, use capture: triggers`,
          ),
        ]
      : []),
  ]
}

async function triggerChecks(session: Session, { source, catalog }: Plan): Promise<Check[]> {
  const name = `capture ${source.resource}`
  const [nested, owner, own] = await one(
    session,
    `select convert(nvarchar(1), (select value_in_use from sys.configurations where name = N'nested triggers')),
  convert(nvarchar(20), objectproperty(convert(int, @id), 'OwnerId')), convert(nvarchar(20), objectproperty(object_id(N'${streamTable}'), 'OwnerId'))`,
    { id: String(catalog.id) },
  )
  const checks = [
    check(
      name,
      true,
      '触发器看不到：TRUNCATE、未加 FIRE_TRIGGERS 的 BULK INSERT/bcp、分区切换、DISABLE TRIGGER 期间的修改；由定期核对发现。表上有触发器时，不带 INTO 的 OUTPUT 子句会失败',
      'triggers do not see TRUNCATE, BULK INSERT and bcp without FIRE_TRIGGERS, partition switches, changes while disabled; the scheduled reconciliation does. OUTPUT without INTO fails on a table that has triggers',
    ),
  ]
  if (nested === '0')
    checks.push(
      check(
        name,
        false,
        '服务器选项 nested triggers 为 0：其他触发器所做的修改看不到',
        'server option "nested triggers" is 0: what other triggers write is not seen',
      ),
    )
  if (owner && own && owner !== own)
    checks.push(
      check(
        name,
        false,
        `表 ${catalog.table} 与架构 qianzhi 的所有者不同：应用的用户将没有写队列的权限`,
        `${catalog.table} and schema qianzhi have different owners: the application's users could not write to the queue`,
      ),
    )
  return checks
}

async function sinkChecks(session: Session, sink: SinkTable): Promise<Check[]> {
  const name = `sink ${sink.route}`
  const table = await readTable(session, sink.table)
  if (!table) return [check(name, true, '落地表尚不存在，首次接收时建立', 'the table does not exist yet and will be made')]
  const there = check(name, true, `落地表 ${sink.table} 已存在`, `${sink.table} is there`)
  return [there, ...furtherUniqueCheck(sink, await uniqueColumns(session, table)), ...padCheck(sink, table, name)]
}

function padCheck(sink: SinkTable, table: CatalogTable, name: string): Check[] {
  const texts = sink.columns.filter(({ item }) => item.key && item.type === 'text').map(({ column }) => column.toLowerCase())
  const loose = table.columns.filter(({ column, collation }) => texts.includes(column.toLowerCase()) && collation !== binaryCollation)
  const padded = texts.length > 0 && !keyOf(sink, table)?.columns.some((column) => column.toLowerCase() === spacesColumn)
  if (loose.length === 0 && !padded) return []
  const list = loose.map(({ column, collation }) => `${column} (${collation})`).join(', ')
  return [
    check(
      name,
      true,
      `落地表 ${sink.table} 的主键不区分大小写或尾部空格${list && `：${list}`}；只差这些的行将被隔离`,
      `the key of ${sink.table} does not compare byte by byte${list && `: ${list}`}; rows that differ in nothing else are set aside`,
    ),
  ]
}
