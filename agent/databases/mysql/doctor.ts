/** What `doctor` finds out about a MySQL or MariaDB server: versions, settings, triggers, and what capture cannot see. */
import { codedError } from '../../../protocol/errors.ts'
import { onlyReads, type Check, type SinkTable, type SourceTable } from '../../database.ts'
import { furtherUniqueCheck } from '../bookkeeping/own-rows.ts'
import { readTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { quoteText } from './sql.ts'
import { cascadeCoverage } from './cascades.ts'
import { coverageOf, notSetUp } from './trigger-fingerprint.ts'
import { keptSeconds, unloggedKeys, unreadableLog } from './log/place.ts'
import { readPlan, requireWatchable, type Plan } from './plan.ts'
import { probe } from './trigger.ts'
import { procedureName, queueName, triggerEvents, triggerName } from './names.ts'

export async function diagnose(session: Session, sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
  const watched = sources.filter((source) => !onlyReads(source))
  const checks = [versionCheck(session), await clockCheck(session)]
  if (watched.length + sinks.length > 0) checks.push(await writableCheck(session))
  if (watched.some(({ capture }) => capture !== 'log')) checks.push(await binlogCheck(session))
  for (const source of watched)
    checks.push(
      await sourceCheck(session, source),
      ...(await (source.capture === 'log' ? logChecks(session, source) : captureChecks(session, source))),
    )
  if (sinks.length > 0) checks.push(loadCheck(session), packetCheck(session))
  for (const sink of sinks) checks.push(await sinkCheck(session, sink), ...(await uniqueCheck(session, sink)))
  return checks
}

function check(name: string, ok: boolean, zh: string, en: string): Check {
  return { name, ok, zh, en }
}

async function one(session: Session, sql: string): Promise<string[]> {
  return (await session.rows(sql))[0]?.map(String) ?? []
}

function versionCheck({ server }: Session): Check {
  const [major = 0, minor = 0] = server.version.split('.').map((part) => Number.parseInt(part, 10))
  const ok = server.mariadb ? major > 10 || (major === 10 && minor >= 3) : major >= 8
  return check(
    'version',
    ok,
    `数据库版本 ${server.version}（需 MariaDB 10.3 或 MySQL 8.0 以上）`,
    `server ${server.version} (MariaDB 10.3 or MySQL 8.0 and later are supported)`,
  )
}

/** A replica's triggers do not fire for replicated rows, and a read-only server takes no queue entries. */
async function writableCheck(session: Session): Promise<Check> {
  const [readOnly] = await one(session, 'select @@global.read_only')
  return check(
    'writable',
    String(readOnly) === '0',
    `数据库可写（只读或从库不能使用）`,
    'the server is writable (a read-only server or a replica cannot be used)',
  )
}

async function clockCheck(session: Session): Promise<Check> {
  const [now] = await one(session, 'select cast(unix_timestamp(now(3)) as char)')
  const seconds = Math.abs(Number(now) - Date.now() / 1000)
  return check('clock', seconds < 60, `与数据库的时钟相差 ${seconds.toFixed(1)} 秒`, `the server's clock is ${seconds.toFixed(1)} s away`)
}

async function binlogCheck(session: Session): Promise<Check> {
  const [log, trust, format] = await one(session, 'select @@log_bin, @@log_bin_trust_function_creators, @@global.binlog_format')
  const on = String(log) === '1'
  const ok = !on || format !== 'STATEMENT'
  return check(
    'binlog',
    ok,
    on
      ? `binlog 已开启，格式 ${format}（不支持 STATEMENT）；log_bin_trust_function_creators=${trust}，为 0 时 setup 需要 SUPER 权限`
      : 'binlog 未开启',
    on
      ? `the binlog is on as ${format} (not STATEMENT, which READ COMMITTED needs); log_bin_trust_function_creators=${trust}: set-up needs SUPER where it is 0`
      : 'the binlog is off',
  )
}

async function sourceCheck(session: Session, source: SourceTable): Promise<Check> {
  const name = `source ${source.resource}`
  try {
    const plan = await readPlan(session, source)
    requireWatchable(plan)
    if (source.capture === 'log') {
      await coverageOf(session, plan)
      return check(
        name,
        true,
        `来源表 ${source.table} 的引擎和队列齐全，读取日志`,
        `engine and queue of ${source.table} are in place, the log is read`,
      )
    }
    const missing = (await missingParts(session, source, plan.catalog.database)).join(', ')
    // The catalogue shows no triggers to an account without that right.
    if (missing) throw notSetUp(source, { zh: `没有或此账号看不到 ${missing}`, en: `${missing} is missing, or hidden from this account` })
    return check(
      name,
      true,
      `来源表 ${source.table} 的引擎、队列和触发器齐全`,
      `engine, queue and triggers of ${source.table} are in place`,
    )
  } catch (error) {
    const coded = codedError(error)
    return check(name, false, coded.text('zh'), coded.text('en'))
  }
}

async function missingParts(session: Session, { resource }: SourceTable, database: string): Promise<string[]> {
  const triggers = await session.rows(`select trigger_name from information_schema.triggers where trigger_schema = ${quoteText(database)}`)
  const there = new Set(triggers.map((row) => String(row[0])))
  const missing = triggerEvents.map((event) => triggerName(resource, event)).filter((name) => !there.has(name))
  return (await readTable(session, queueName(resource))) ? missing : [...missing, queueName(resource)]
}

/** What is named `capture` is told after set-up too: reconciliation finds what triggers do not see within its interval. */
async function captureChecks(session: Session, source: SourceTable): Promise<Check[]> {
  const name = `capture ${source.resource}`
  const limits = check(
    name,
    true,
    '触发器看不到：TRUNCATE、分区操作、SET sql_log_bin 之外的物理恢复；由定期核对发现',
    'triggers do not see TRUNCATE, partition exchange, physical restores; the scheduled reconciliation does',
  )
  try {
    const plan = await readPlan(session, source)
    return [
      limits,
      ...(await cascadeChecks(session, name, plan)),
      ...(await definerChecks(session, name, plan)),
      await logProposal(session, name, plan),
    ]
  } catch {
    // That the table cannot be used is told by the check before.
    return [limits]
  }
}

const day = 86_400

/** What the log does not hold, and how long the agent may be away. */
async function logChecks(session: Session, { resource }: SourceTable): Promise<Check[]> {
  const name = `capture ${resource}`
  const seconds = await keptSeconds(session)
  const [zhKept, enKept] =
    seconds === 0 ? ['不限', 'for ever'] : [`${(seconds / day).toFixed(1)} 天`, `for ${(seconds / day).toFixed(1)} days`]
  return [
    check(
      name,
      true,
      '日志看不到：SET sql_log_bin = 0 的会话所写、物理恢复；由定期核对发现',
      'the log does not hold what sessions with sql_log_bin = 0 write, nor physical restores; the scheduled reconciliation finds it',
    ),
    check(
      name,
      seconds === 0 || seconds >= day,
      `日志保留 ${zhKept}（binlog_expire_logs_seconds、expire_logs_days）：代理停机更久时会自动重新全量`,
      `the log is kept ${enKept} (binlog_expire_logs_seconds, expire_logs_days): an agent that was away for longer takes a snapshot by itself`,
    ),
  ]
}

/** Where the log can be read, nothing of ours need be at the table. */
async function logProposal(session: Session, name: string, plan: Plan): Promise<Check> {
  const reason = (await unreadableLog(session, [plan.catalog.database])) ?? (await unloggedKeys(session, plan))
  if (reason) return check(name, true, `不能改读日志：${reason.zh}`, `The log cannot be read in the place of triggers: ${reason.en}`)
  return check(
    name,
    true,
    '可改读日志，表上不设触发器：写 capture: log 后停止代理，执行 setup，再启动；不重新全量',
    'The log can be read instead, without a trigger at the table: write capture: log, stop the agent, run setup, start it; no snapshot is taken',
  )
}

async function cascadeChecks(session: Session, name: string, plan: Plan): Promise<Check[]> {
  const coverage = await cascadeCoverage(session, plan)
  return coverage.map(({ cascade: { from, event, links }, wanted, there }) => {
    const ok = there.length === wanted.length
    const [key, table] = [links.map((link) => link.name).join(', '), `${from.database}.${from.table}`]
    const what = { update: { zh: '修改', en: 'updates' }, delete: { zh: '删除', en: 'deletes' } }[event]
    return check(
      name,
      ok,
      `外键级联（${key}）：${table} 的${what.zh}会改动本表而不触发其触发器，${ok ? `已由 ${table} 上的触发器记录` : '尚未记录：请重新执行 setup'}`,
      `foreign keys (${key}): ${what.en} of ${table} change rows here without firing triggers here; ${ok ? `triggers on ${table} write them down` : 'nothing writes them down: run setup again'}`,
    )
  })
}

async function definerChecks(session: Session, name: string, plan: Plan): Promise<Check[]> {
  const [[definer], [self]] = await Promise.all([
    one(
      session,
      `select definer from information_schema.routines where routine_schema = database() and routine_name = ${quoteText(procedureName(plan.source.resource))}`,
    ),
    one(session, 'select current_user()'),
  ])
  if (definer === undefined) return []
  const fault = await probe(session, plan)
  if (fault) return [check(name, false, fault.zh, fault.en)]
  const other = definer === self ? undefined : definer
  return [
    check(
      name,
      true,
      other ? `触发器以 ${other} 的权限运行：删除该账号会使应用的写入失败（setup --user 可指定定义者）` : '触发器以代理账号的权限运行',
      other
        ? `the triggers run with the rights of ${other}: the application's writes would fail without that account (setup --user names another)`
        : 'the triggers run with the rights of the agent',
    ),
  ]
}

function loadCheck({ server }: Session): Check {
  const state = server.localInfile ? 'ON' : 'OFF'
  return check(
    'local_infile',
    true,
    `local_infile=${state}（关闭时较慢）`,
    `local_infile=${state} (rows go as values where it is off: slower)`,
  )
}

function packetCheck({ server }: Session): Check {
  const mebibytes = server.maxPacket / 1048576
  return check(
    'max_allowed_packet',
    mebibytes >= 4,
    `max_allowed_packet 为 ${mebibytes} MiB`,
    `max_allowed_packet is ${mebibytes} MiB (4 or more)`,
  )
}

async function uniqueCheck(session: Session, sink: SinkTable): Promise<Check[]> {
  const table = await readTable(session, sink.table)
  return table
    ? furtherUniqueCheck(
        sink,
        table.allUniques.flatMap(({ columns }) => columns),
      )
    : []
}

async function sinkCheck(session: Session, sink: SinkTable): Promise<Check> {
  const table = await readTable(session, sink.table)
  const texts = sink.columns.filter(({ item }) => item.key && item.type === 'text').map(({ column }) => column.toLowerCase())
  const padded =
    table?.columns.filter(({ column, collation }) => texts.includes(column.toLowerCase()) && !/(nopad|0900)_bin$/.test(collation ?? '')) ??
    []
  const which = padded.map(({ column, collation }) => `${column} (${collation})`).join(', ')
  return check(
    `sink ${sink.route}`,
    padded.length === 0,
    which ? `落地表 ${sink.table} 的主键列不区分大小写或尾部空格：${which}` : `落地表 ${sink.table}`,
    which ? `key columns of ${sink.table} do not compare byte by byte: ${which}` : `delivered table ${sink.table}`,
  )
}
