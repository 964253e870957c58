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
import { keyReading } from './rows.ts'
import { readKeys, sourceNames } from './setup.ts'
import { sourceTable, tableMembers } from './table.ts'

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
function otherKey(keys: SourceTable['columns']): LocalizedText {
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
  const fail = (reason: LocalizedText): never => {
    throw new QianzhiError('QZ-SOURCE-NOT-SET-UP', { table: source.table, reason })
  }
  keyReading(source, await sourceTable(connection, source.table))
  const members = await memberCoverage(connection, source)
  const [root] = members
  if (!root || !covers(root.firing)) fail({ zh: '缺少触发器，或触发器已停用', en: 'triggers are missing or switched off' })
  const missing = members.filter(missesSome).map(({ name }) => name)
  if (missing.length > 0) {
    const list = missing.join(', ')
    fail({
      zh: `${list} 的触发器不是 ENABLE ALWAYS，或该表由订阅填充：复制会话的修改会遗漏`,
      en: `triggers on ${list} are not ENABLE ALWAYS, or a subscription fills it: what replication writes is missed`,
    })
  }
  const { queue, statementFunction } = sourceNames(source.resource)
  const [found] = await connection.query(
    `select to_regclass($1), to_regclass('qianzhi.stream'), (select prosrc from pg_proc where oid = to_regproc($2))`,
    [queue, statementFunction],
  )
  if (found!.includes(null)) fail({ zh: '缺少队列', en: 'its queue is missing' })
  const keys = source.columns.filter(({ item }) => item.key)
  if (!found![2]!.includes(readKeys(keys, 'qz_new'))) fail(otherKey(keys))
  const shape = await connection.query(
    `select concat_ws(' ', a.attname, a.attnum, a.attmissingval::text, a.xmin, d.xmin)
     from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated <> ''
     where a.attrelid = any($1::oid[]) and a.attname = any($2) order by a.attrelid = $3::oid desc, a.attrelid, a.attnum`,
    [members.map(({ oid }) => oid), source.columns.map(({ column }) => column), root!.oid],
  )
  const keyed = await connection.query(
    'select indexrelid from pg_index where indrelid = $1 and indisunique and indisvalid and indpred is null and indexprs is null order by 1',
    [root!.oid],
  )
  const labels = await enumLabels(connection, source)
  const text = JSON.stringify([
    members.map((member) => [member.oid, member.fingerprint]),
    shape,
    keyed,
    ...(labels.length > 0 ? [labels] : []),
  ])
  return createHash('sha256').update(text).digest('hex')
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
