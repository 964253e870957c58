/** What must hold for the running agent, each as one line with its remedy, asked as the user that runs it. */
import { codedError } from '../../../protocol/errors.ts'
import { furtherUniqueCheck } from '../bookkeeping/own-rows.ts'
import { onlyReads, type Check, type SinkTable, type SourceTable } from '../../database.ts'
import type { Connection } from './connection.ts'
import { slotName, unloggedKeys, unreadableLog } from './log/slot.ts'
import { coverageOf, covers, memberCoverage, type MemberCoverage } from './trigger-fingerprint.ts'
import { readerOf } from './rows.ts'
import { notSetUp } from './capture.ts'
import { sourceNames } from './setup.ts'
import { uniqueColumns } from './shape.ts'
import { findTable, sourceTable, type Table } from './table.ts'

const oldestVersion = 130_000
const clockLimitMs = 60_000

export async function doctor(connection: Connection, sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
  const watched = sources.filter((source) => !onlyReads(source))
  const checks = await serverChecks(connection, watched.length + sinks.length > 0)
  for (const source of watched) checks.push(...(await attempt(`source ${source.table}`, () => sourceChecks(connection, source))))
  for (const sink of sinks) checks.push(...(await attempt(`sink ${sink.table}`, () => sinkChecks(connection, sink))))
  return checks
}

function failed(name: string, error: unknown): Check {
  const coded = codedError(error)
  return { name, ok: false, zh: coded.text('zh'), en: coded.text('en') }
}

async function attempt(name: string, work: () => Promise<Check[]>): Promise<Check[]> {
  try {
    return await work()
  } catch (error) {
    return [failed(name, error)]
  }
}

/** A replica is good enough for an agent that only reads. */
async function serverChecks(connection: Connection, writes: boolean): Promise<Check[]> {
  const [row] = await connection.query(
    `select current_setting('server_version_num'), current_setting('server_version'), pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean, current_setting('server_encoding'),
       current_setting('max_prepared_transactions'), extract(epoch from clock_timestamp()) * 1000`,
  )
  const [number, version, recovery, encoding, prepared, clock] = row!
  const ahead = Math.round(Number(clock) - Date.now())
  return [
    {
      name: 'version',
      ok: Number(number) >= oldestVersion,
      zh: `PostgreSQL ${version}（需要 13 或更高版本）`,
      en: `PostgreSQL ${version} (13 or later is needed)`,
    },
    recovery === 't' && writes
      ? {
          name: 'primary',
          ok: false,
          zh: '只读副本或只读设置：请连接主库',
          en: 'A read replica, or set to read only: connect to the primary',
        }
      : {
          name: 'primary',
          ok: true,
          zh: recovery === 't' ? '只读副本或只读设置（只用于读取）' : '主库',
          en: recovery === 't' ? 'A read replica, or set to read only; it is only read' : 'The primary server',
        },
    { name: 'encoding', ok: encoding === 'UTF8', zh: `数据库编码 ${encoding}（需要 UTF8）`, en: `Encoding ${encoding} (UTF8 is needed)` },
    {
      name: 'clock',
      ok: Math.abs(ahead) < clockLimitMs,
      zh: `数据库时钟与本机相差 ${ahead} 毫秒`,
      en: `The server clock is ${ahead} ms ahead of this machine`,
    },
    prepared === '0'
      ? { name: 'wake-up', ok: true, zh: '空闲时由 NOTIFY 唤醒', en: 'An idle agent is woken by NOTIFY' }
      : {
          name: 'wake-up',
          ok: true,
          zh: `max_prepared_transactions = ${prepared}：不使用 NOTIFY（否则两阶段提交会失败），按 pace 轮询`,
          en: `max_prepared_transactions = ${prepared}: no NOTIFY, which would make two-phase commits fail; queues are looked at by pace`,
        },
  ]
}

async function sourceChecks(connection: Connection, source: SourceTable): Promise<Check[]> {
  const name = `source ${source.table}`
  const table = await sourceTable(connection, source.table)
  const checks = [...(await attempt(name, async () => (readerOf(source, table), []))), ...(await missingParts(connection, source, name))]
  if (source.capture === 'log') return [...checks, ...(await logChecks(connection, source, name))]
  const members = await memberCoverage(connection, source)
  checks.push(...members.map((member) => triggerCheck(name, member)))
  if (table.persistence === 'u') {
    checks.push({
      name,
      ok: false,
      zh: 'UNLOGGED 表在数据库崩溃后会被清空，触发器看不到',
      en: 'The table is UNLOGGED: a crash empties it, which no trigger sees',
    })
  }
  checks.push({
    name,
    ok: true,
    zh: '触发器看不到 ALTER TABLE 改写的值：列定义变化后会自动重新全量',
    en: 'Triggers do not see values rewritten by ALTER TABLE: a changed column asks for a new snapshot',
  })
  return [...checks, ...(await logProposal(connection, source, table))]
}

async function logChecks(connection: Connection, source: SourceTable, name: string): Promise<Check[]> {
  const reason = await unreadableLog(connection)
  if (reason) return [{ name, ok: false, ...reason }]
  return attempt(name, async () => {
    await coverageOf(connection, source)
    const [kept] = await connection.query(
      `select pg_size_pretty(pg_current_wal_lsn() - restart_lsn), wal_status in ('reserved', 'extended'), current_setting('max_slot_wal_keep_size')
       from pg_replication_slots where slot_name = ${slotName}`,
    )
    if (!kept) throw notSetUp(source, { zh: '缺少复制槽', en: 'its replication slot is missing' })
    const [size, sound, limit] = kept
    if (sound === 't')
      return [
        {
          name,
          ok: true,
          zh: `读取日志：复制槽为代理保留 ${size}，上限 ${limit}`,
          en: `The log is read: the slot keeps ${size} of it for the agent, ${limit} at most`,
        },
      ]
    return [
      {
        name,
        ok: false,
        zh: `复制槽已到上限 ${limit}（保留 ${size}）：请确认代理在运行；复制槽失效后代理会自动重建并重新全量`,
        en: `The slot has come to its limit of ${limit} (${size} kept): see that the agent runs; when it is lost the agent makes it anew and takes a snapshot`,
      },
    ]
  })
}

/** Where the log can be read, nothing of ours need be at the table. */
async function logProposal(connection: Connection, source: SourceTable, table: Table): Promise<Check[]> {
  const name = `capture ${source.table}`
  const reason = (await unreadableLog(connection)) ?? (await unloggedKeys(connection, source, table))
  if (reason)
    return [{ name, ok: true, zh: `不能改读日志：${reason.zh}`, en: `The log cannot be read in the place of triggers: ${reason.en}` }]
  return [
    {
      name,
      ok: true,
      zh: '可改读日志，表上不设触发器：写 capture: log 后停止代理，执行 setup，再启动；不重新全量',
      en: 'The log can be read instead, without a trigger at the table: write capture: log, stop the agent, run setup, start it; no snapshot is taken',
    },
  ]
}

function triggerCheck(name: string, { name: table, firing, weak }: MemberCoverage): Check {
  if (!covers(firing)) {
    return {
      name,
      ok: false,
      zh: `${table} 缺少触发器或已停用：请重新执行 setup（无权限时由 DBA 执行 setup --print 的脚本）`,
      en: `${table}: triggers are missing or off: run setup again (without the rights: have the DBA run the script of setup --print)`,
    }
  }
  if (weak.length > 0) {
    return {
      name,
      ok: false,
      zh: `${table} 的触发器不是 ENABLE ALWAYS，复制会话的修改会遗漏：请重新执行 setup`,
      en: `${table}: triggers are not ENABLE ALWAYS, so replicated writes are missed: run setup again`,
    }
  }
  return { name, ok: true, zh: `${table} 的触发器齐全`, en: `${table}: triggers are in place` }
}

/** What set-up makes. */
async function missingParts(connection: Connection, source: SourceTable, name: string): Promise<Check[]> {
  const parts = ['stream', 'sleeper', 'source_quarantine', sourceNames(source.resource).queue.replace('qianzhi.', '')]
  const rows = await connection.query(
    `select name from unnest($1::text[]) as name where not exists (
       select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'qianzhi' and c.relname = name)`,
    [parts],
  )
  if (rows.length === 0) return []
  const list = rows.map(([part]) => `qianzhi.${part}`).join(', ')
  return [failed(name, notSetUp(source, { zh: `缺少 ${list}`, en: `${list} is missing` }))]
}

async function sinkChecks(connection: Connection, sink: SinkTable): Promise<Check[]> {
  const name = `sink ${sink.table}`
  const table = await findTable(connection, sink.table)
  if (!table) return [{ name, ok: true, zh: '落地表尚不存在，首次接收时建立', en: 'The table does not exist yet and will be made' }]
  const there = { name, ok: true, zh: '落地表已存在', en: 'The table is there' }
  return [there, ...furtherUniqueCheck(sink, await uniqueColumns(connection, table))]
}
