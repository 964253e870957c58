/** What `doctor` finds out about an Oracle server: versions, character sets, rights, triggers, and what capture cannot see. */
import { codedError } from '../../../protocol/errors.ts'
import { onlyReads, type Check, type SinkTable, type SourceTable } from '../../database.ts'
import { readTable } from './catalog.ts'
import { coverageOf } from './trigger-fingerprint.ts'
import type { Session } from './connection.ts'
import { sourceNames } from './names.ts'
import { readPlan } from './plan.ts'
import { furtherUniqueCheck } from '../bookkeeping/own-rows.ts'
import { checkedTable } from './shape.ts'

/** 11.2, which only a client library can speak to. */
const oldest = 1102000000

export async function diagnose(session: Session, sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
  const checks = [versionCheck(session), roleCheck(session), charsetCheck(session), await clockCheck(session)]
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

function versionCheck({ server }: Session): Check {
  const mode = server.thin ? 'thin' : 'thick'
  return check(
    'version',
    server.number >= oldest,
    `数据库版本 ${server.version}，驱动方式 ${mode}（thin 需 12.1 以上；11.2 须在地址中用 client= 指定客户端库）`,
    `server ${server.version}, driver mode ${mode} (thin needs 12.1 or later; 11.2 needs client= in the URL)`,
  )
}

function roleCheck({ server }: Session): Check {
  return check(
    'primary',
    server.role === 'PRIMARY',
    `数据库角色 ${server.role}（采集和落地都须连接主库）`,
    `the database is ${server.role} (capture by triggers and delivery need the primary)`,
  )
}

function charsetCheck({ server }: Session): Check {
  const sets = `${server.charset} / ${server.nationalCharset}`
  return check(
    'charset',
    true,
    server.unicode ? `字符集 ${sets}` : `字符集 ${sets}：建表时文本用 NVARCHAR2、NCLOB；VARCHAR2 列存不下的字会使该行进入隔离区`,
    server.unicode
      ? `character sets ${sets}`
      : `character sets ${sets}: made tables keep texts in NVARCHAR2 and NCLOB; a character that a VARCHAR2 column lacks sets its row aside`,
  )
}

async function clockCheck(session: Session): Promise<Check> {
  const [row] = await session.rows(`select to_char(sys_extract_utc(systimestamp), 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') from dual`)
  const seconds = Math.abs(new Date(String(row![0])).getTime() - Date.now()) / 1000
  return check('clock', seconds < 60, `与数据库的时钟相差 ${seconds.toFixed(1)} 秒`, `the server's clock is ${seconds.toFixed(1)} s away`)
}

async function sourceChecks(session: Session, source: SourceTable): Promise<Check[]> {
  const name = `source ${source.resource}`
  const plan = await readPlan(session, source)
  const readable = check(name, true, `来源 ${source.table} 可读，列型相符`, `${source.table} can be read and its columns fit`)
  if (onlyReads(source)) return [readable]
  await coverageOf(session, plan)
  const { trigger } = sourceNames(source.resource)
  return [readable, await triggerCheck(session, name, trigger), await queueCheck(session, source), hiddenCheck(source)]
}

/** An invalid trigger that does not compile fails the application's statements. */
async function triggerCheck(session: Session, name: string, trigger: string): Promise<Check> {
  const binds = session.binds()
  const where = `owner = ${binds.code(session.server.user)} and name = ${binds.code(trigger)}`
  const [row] = await session.rows(`select max(text) from all_errors where ${where} and attribute = 'ERROR'`, binds)
  const fault = row?.[0]
  return check(
    name,
    !fault,
    fault ? `触发器 ${trigger} 编译失败，会使业务语句出错，请立即重新执行 setup：${String(fault)}` : `触发器 ${trigger} 正常`,
    fault
      ? `trigger ${trigger} does not compile and fails the application's statements: run setup again at once: ${String(fault)}`
      : `trigger ${trigger} is in place`,
  )
}

/** Bytes of an empty queue beyond which its emptied blocks cost more than they should. */
const largeQueue = 256 << 20

async function queueCheck(session: Session, { resource }: SourceTable): Promise<Check> {
  const { queue } = sourceNames(resource)
  const binds = session.binds()
  const [row] = await session.rows(`select nvl(sum(bytes), 0) from user_segments where segment_name = ${binds.code(queue)}`, binds)
  const bytes = Number(row![0])
  const mebibytes = Math.ceil(bytes / 1048576)
  return check(
    `source ${resource}`,
    true,
    `队列 ${queue} 占 ${mebibytes} MiB${bytes > largeQueue ? '；空闲时可执行 alter table … enable row movement、shrink space cascade 收缩' : ''}`,
    `queue ${queue} takes ${mebibytes} MiB${bytes > largeQueue ? '; in a quiet hour alter table … enable row movement and shrink space cascade make it small' : ''}`,
  )
}

/** Not a fault, but to be known: reconciliation finds these changes within its interval. */
function hiddenCheck({ resource }: SourceTable): Check {
  return check(
    `capture ${resource}`,
    true,
    '触发器看不到：SQL*Loader 直接路径装载（装载时停用触发器）、TRUNCATE、分区交换（二者在下次检查覆盖时以重新全量补上）、GoldenGate 等复制进程写入、闪回表、数据泵直接路径；由定期核对发现',
    'the trigger does not see direct-path loads of SQL*Loader (which disables it), TRUNCATE and partition exchange (both end in a snapshot when coverage is next looked at), rows that GoldenGate and other apply processes write, flashback of the table, direct-path imports; the scheduled reconciliation does',
  )
}

async function sinkChecks(session: Session, sink: SinkTable): Promise<Check[]> {
  const name = `sink ${sink.route}`
  const table = await readTable(session, sink.table)
  if (!table) return [check(name, true, `落地表 ${sink.table} 尚不存在，将由前置建立`, `${sink.table} does not exist yet and will be made`)]
  const delivered = table.columns.some(({ column }) => column === 'QZ_POSITION')
  const further = furtherUniqueCheck(sink, table.uniqueColumns)
  if (!delivered || sink.shared) return [check(name, true, `落地表 ${sink.table} 已存在`, `${sink.table} is there`), ...further]
  checkedTable(sink, table)
  return [...further, check(name, true, `落地表 ${sink.table} 相符`, `${sink.table} fits`)]
}
