/**
 * The fingerprint of what covers a source: the triggers and functions, the tables that hold its rows, and the shape of the supplied
 * columns, because `ALTER TABLE … ADD … DEFAULT`, `ALTER … TYPE … USING` and `ALTER TYPE … RENAME VALUE` change rows without firing a
 * trigger. Catalog rows are told apart by their `xmin`: what was switched off and on again is another row.
 */
import { createHash } from 'node:crypto'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { SourceTable } from '../../database.ts'
import type { Connection, Texts } from './connection.ts'
import { logCoverage, publication, triggerCoverage, unloggedKeys } from './log/slot.ts'
import { keyReading } from './rows.ts'
import { keysOfQueue, readKeys, sourceNames, type Move } from './setup.ts'
import { sourceTable, tableMembers, type Table } from './table.ts'

export interface MemberCoverage {
  oid: string
  name: string
  /** A subscription fills it. */
  subscribed: boolean
  /** Names (without the source's prefix) of the triggers that fire. */
  firing: string[]
  /** Names of those that are switched off, or fire only outside or only inside replication. */
  weak: string[]
  fingerprint: string
}

export async function memberCoverage(connection: Connection, source: SourceTable): Promise<MemberCoverage[]> {
  const table = await sourceTable(connection, source.table)
  const members = await tableMembers(connection, table.oid)
  const { trigger } = sourceNames(source.resource)
  const rows = await connection.query(
    `select t.tgrelid, substr(t.tgname, $3), t.tgenabled, concat_ws(' ', t.oid, t.xmin, t.tgenabled, p.oid, p.xmin)
     from pg_trigger t join pg_proc p on p.oid = t.tgfoid
     where t.tgrelid = any($1::oid[]) and starts_with(t.tgname, $2) order by t.tgname`,
    [members.map((member) => member.oid), `${trigger}_`, trigger.length + 2],
  )
  return members.map(({ oid, name, subscribed }) => {
    const own = rows.filter((row) => row[0] === oid)
    return {
      oid,
      name,
      subscribed,
      firing: own.filter((row) => row[2] === 'A' || row[2] === 'O').map((row) => row[1]!),
      weak: own.filter((row) => row[2] !== 'A').map((row) => row[1]!),
      fingerprint: own.map((row) => row[3]).join(';'),
    }
  })
}

/** The triggers were made for a version of the resource that had another key. */
function otherKey(keys: readonly { column: string }[]): LocalizedText {
  const list = keys.map(({ column }) => column).join(', ')
  return { zh: `主键已改为 (${list})`, en: `the key is (${list}) now` }
}

/** True where these triggers see every statement on their table. */
export function covers(firing: readonly string[]): boolean {
  return firing.includes('truncate') && (firing.includes('row') || ['insert', 'update', 'delete'].every((event) => firing.includes(event)))
}

/**
 * Whether what some sessions write is missed: those in the role of a replica, by triggers that fire only elsewhere, and a subscription's
 * apply, by triggers of statements.
 */
function missesSome({ weak, subscribed, firing }: MemberCoverage): boolean {
  return weak.length > 0 || (subscribed && !firing.includes('row'))
}

/** Throws QZ-SOURCE-TABLE, QZ-SOURCE-NOT-SET-UP. A partition without triggers only changes the fingerprint: writes through the table are seen. */
export async function coverageOf(connection: Connection, source: SourceTable): Promise<string> {
  const table = await sourceTable(connection, source.table)
  const keys = keyReading(source, table)
  const { queue, statementFunction } = sourceNames(source.resource)
  const members = await memberCoverage(connection, source)
  const log = source.capture === 'log'
  if (log) await requireLog(connection, source, table)
  else requireTriggers(source, members)
  const [found] = await connection.query(
    `select to_regclass($1), to_regclass('qianzhi.stream'), (select prosrc from pg_proc where oid = to_regproc($2)), obj_description(to_regclass($1))`,
    [queue, statementFunction],
  )
  const [there, stream, triggered, logged] = found!
  const madeFor = log ? logged : triggered
  if (there === null || stream === null || madeFor === null) throw uncovered(source, { zh: '缺少队列', en: 'its queue is missing' })
  if (log ? madeFor !== keysOfQueue(keys) : !madeFor!.includes(readKeys(keys, 'qz_new'))) throw uncovered(source, otherKey(keys))
  const covering = await coveringOf(connection, source, table, members)
  const shape = await connection.query(
    `select concat_ws(' ', a.attname, a.attnum, a.attmissingval::text, a.xmin, d.xmin)
     from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated <> ''
     where a.attrelid = any($1::oid[]) and a.attname = any($2) order by a.attrelid = $3::oid desc, a.attrelid, a.attnum`,
    [members.map(({ oid }) => oid), source.columns.map(({ column }) => column), table.oid],
  )
  const keyed = await connection.query(
    'select indexrelid from pg_index where indrelid = $1 and indisunique and indisvalid and indpred is null and indexprs is null order by 1',
    [table.oid],
  )
  const labels = await enumLabels(connection, source)
  const text = JSON.stringify([covering, shape, keyed, ...(labels.length > 0 ? [labels] : [])])
  return createHash('sha256').update(text).digest('hex')
}

const uncovered = ({ table }: SourceTable, reason: LocalizedText): QianzhiError =>
  new QianzhiError('QZ-SOURCE-NOT-SET-UP', { table, reason })

function requireTriggers(source: SourceTable, members: readonly MemberCoverage[]): void {
  const [root] = members
  if (!root || !covers(root.firing))
    throw uncovered(source, { zh: '缺少触发器，或触发器已停用', en: 'triggers are missing or switched off' })
  const missing = members.filter(missesSome).map(({ name }) => name)
  if (missing.length === 0) return
  const list = missing.join(', ')
  throw uncovered(source, {
    zh: `${list} 的触发器不是 ENABLE ALWAYS，或该表由订阅填充：复制会话的修改会遗漏`,
    en: `triggers on ${list} are not ENABLE ALWAYS, or a subscription fills it: what replication writes is missed`,
  })
}

async function requireLog(connection: Connection, source: SourceTable, table: Table): Promise<void> {
  const [there] = await connection.query(`select to_regclass('qianzhi.log')`)
  const [row] = there![0] === null ? [] : await connection.query(`select ${logCoverage(source.resource, table.oid)}`)
  if (!row || row[0] === null)
    throw uncovered(source, {
      zh: `发布（publication）${publication} 中没有该表，或不含全部操作`,
      en: `publication ${publication} does not have it, or not all operations`,
    })
  const reason = await unloggedKeys(connection, source, table)
  if (reason) throw uncovered(source, reason)
}

/** What a source is covered by; after a move without a gap what it was covered by before, until that changes. */
async function coveringOf(connection: Connection, source: SourceTable, table: Table, members: readonly MemberCoverage[]): Promise<unknown> {
  const log = source.capture === 'log'
  const now = log ? logCoverage(source.resource, table.oid) : triggerCoverage(table.oid, sourceNames(source.resource).trigger)
  const [row] = await connection.query(
    `select ${now}, to_jsonb(s) ->> 'moved_from', to_jsonb(s) ->> 'moved_to' from qianzhi.stream s where resource = $1`,
    [source.resource],
  )
  const [text, from, to] = row ?? []
  if (from && to === text) return JSON.parse(from) as unknown
  return log ? text : members.map((member) => [member.oid, member.fingerprint])
}

/** How a source that is set up in another way, and nothing is missing, becomes one of this: undefined where it is begun anew. */
export async function moveOf(connection: Connection, source: SourceTable): Promise<Move | undefined> {
  const before: SourceTable = { ...source, capture: source.capture === 'log' ? 'triggers' : 'log' }
  try {
    await coverageOf(connection, before)
  } catch (error) {
    if (error instanceof QianzhiError && error.kind.scope === 'one') return undefined
    throw error
  }
  const table = await sourceTable(connection, source.table)
  return { from: JSON.stringify(await coveringOf(connection, before, table, await memberCoverage(connection, before))) }
}

/** The labels of the supplied columns' types, whose renaming is another text in every row that has them. */
async function enumLabels(connection: Connection, source: SourceTable): Promise<Texts[]> {
  const { columns } = await sourceTable(connection, source.table)
  const types = source.columns.map(({ column }) => columns.get(column)).filter((column) => column?.isEnum)
  if (types.length === 0) return []
  return connection.query(`select enumtypid, oid, enumlabel from pg_enum where enumtypid = any($1::regtype[]) order by oid`, [
    [...new Set(types.map((type) => type!.cast))],
  ])
}
