/** How a delivered table follows its schema: columns added, texts lengthened, the key exchanged, vanished columns dropped. */
import { localizedReason } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import {
  addColumn,
  addedColumns,
  columnType,
  deliveredKey,
  deliveredTable,
  deliveredType,
  keyColumns,
  plainCondition,
  positionColumn,
  quoteName,
  quoteTable,
  sourceColumn,
  splitTable,
  type ApplyTable,
} from './sql.ts'
import { widerDecimal, type SinkTable } from '../../database.ts'
import { otherKey } from '../bookkeeping/delivery.ts'
import { sqlState, type Connection } from './connection.ts'
import { findTable, refuse, type Table, type TableColumn } from './table.ts'
import { canReceive, numericLimits } from './types.ts'

/** Statements that the receiver's own views, constraints or rows may forbid: then the table is refused and says why. */
async function alter(connection: Connection, sink: SinkTable, statements: readonly string[]): Promise<void> {
  try {
    for (const statement of statements) await connection.query(statement)
  } catch (error) {
    if (!/^(?:2B|0A|22|23|42)/.test(sqlState(error) ?? '') || sqlState(error) === '42501') throw error
    throw refuse(sink, localizedReason(error))
  }
}

/** True where delivery has been at work in the table before: then it may be changed as the schema does. */
export function wasDelivered(table: Table): boolean {
  return table.columns.has(positionColumn)
}

/** See `SinkEngine.provide`. */
export async function provideTable(connection: Connection, sink: SinkTable, name: string): Promise<ApplyTable> {
  if (!(await findTable(connection, name))) await createTable(connection, { ...sink, table: name })
  return checkedTable(connection, sink, await addMissing(connection, sink, name))
}

async function createTable(connection: Connection, sink: SinkTable): Promise<void> {
  const [schema, name] = splitTable(sink.table)
  if (name !== undefined) {
    const [row] = await connection.query('select to_regnamespace($1)', [quoteName(schema!)])
    if (row![0] === null) await connection.query(`create schema ${quoteName(schema!)}`)
  }
  for (const statement of deliveredTable(sink)) await connection.query(statement)
}

/** A table that the receiver made must have its mapped columns when it is first opened: a typing error is no column. */
export async function followSchema(connection: Connection, sink: SinkTable, table: Table, changed: boolean): Promise<void> {
  if (changed) await followItems(connection, sink, table)
  const now = await addMissing(connection, sink, sink.table)
  await shareKey(connection, sink, now)
  if (!keyOf(sink, (await findTable(connection, sink.table))!)) await replaceKey(connection, sink, now)
}

/** Columns of new items; texts and numbers that got longer. Those under a view cannot be altered: QZ-SINK-TABLE. */
export async function followItems(connection: Connection, sink: SinkTable, table: Table): Promise<void> {
  for (const mapped of sink.columns) {
    const found = table.columns.get(mapped.column)
    if (!found) await alter(connection, sink, addColumn(sink.table, mapped))
    else {
      const item = widerDecimal(mapped.item, numericLimits(found)) ?? (canReceive(mapped.item, found) ? undefined : mapped.item)
      if (item)
        await alter(connection, sink, [`alter table ${table.name} alter column ${quoteName(mapped.column)} type ${columnType(item)}`])
    }
  }
}

/** The columns that tell source, position and time. */
export async function addMissing(connection: Connection, sink: SinkTable, name: string): Promise<Table> {
  const table = (await findTable(connection, name))!
  const missing = addedColumns(sink.deletes).filter(({ column }) => !table.columns.has(column))
  if (missing.length === 0) return table
  const additions = missing.map(({ column, type }) => `add column ${quoteName(column)} ${type}`)
  await connection.query(`alter table ${quoteTable(name)} ${additions.join(', ')}`)
  return (await findTable(connection, name))!
}

export async function checkedTable(connection: Connection, sink: SinkTable, table: Table): Promise<ApplyTable> {
  const checked = checkTable(sink, table)
  return {
    ...checked,
    contested: await contestedItems(connection, sink, table, checked.key),
    readBack: await readBack(connection, sink, table),
    plain:
      !checked.overriding &&
      table.columns.size === sink.columns.length + addedColumns(sink.deletes).length &&
      (await isPlain(connection, table)),
  }
}

/** Items in unique indexes and exclusion constraints besides the key, also where only an expression or a condition has them. */
async function contestedItems(
  connection: Connection,
  { columns }: SinkTable,
  table: Table,
  key: readonly string[],
): Promise<ApplyTable['contested']> {
  const held = new Set(await uniqueColumns(connection, table))
  return columns.flatMap(({ item, column }) =>
    held.has(column) && !key.includes(column) ? [{ item: item.id, nullable: !table.columns.get(column)!.notNull }] : [],
  )
}

/** Columns of unique indexes and exclusion constraints, also where only an expression or a condition has them. */
export async function uniqueColumns(connection: Connection, { oid }: Pick<Table, 'oid'>): Promise<string[]> {
  const rows = await connection.query(
    `select distinct a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid
     where i.indrelid = $1 and (i.indisunique or i.indisexclusion) and (a.attnum = any(i.indkey::int2[])
       or exists (select from pg_depend d where d.objid = i.indexrelid and d.refobjid = i.indrelid and d.refobjsubid = a.attnum))`,
    [oid],
  )
  return rows.map(([name]) => name!)
}

/** Types hold their values or refuse them: what alters rows or drops them are triggers, rules and policies of the receiver's own. */
async function readBack(connection: Connection, { columns }: SinkTable, table: Table): Promise<ApplyTable['readBack']> {
  const [row] = await connection.query(
    `with recursive tree(oid) as (select $1::oid union select i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid)
     select exists (select from tree join pg_trigger t on t.tgrelid = tree.oid join pg_proc p on p.oid = t.tgfoid
         where not t.tgisinternal and t.tgenabled <> 'D' and p.pronamespace is distinct from to_regnamespace('qianzhi'))
       or exists (select from tree join pg_rewrite r on r.ev_class = tree.oid where r.ev_type <> '1')`,
    [table.oid],
  )
  return row![0] === 't' || table.rowSecurity ? columns : undefined
}

/** A publication would tell a row that is taken out and put in again as a delete and an insert. */
async function isPlain(connection: Connection, { oid }: Table): Promise<boolean> {
  const rows = await connection.query(
    `select from pg_class where oid = $1 and ${plainCondition} and not exists (select from pg_inherits where inhrelid = $1)
       and not exists (select from pg_publication) and has_table_privilege(oid, 'delete') and has_table_privilege(oid, 'insert')`,
    [oid],
  )
  return rows.length > 0
}

function checkTable(sink: SinkTable, table: Table): Omit<ApplyTable, 'contested' | 'readBack' | 'plain'> {
  for (const { item, column } of sink.columns) {
    const found = table.columns.get(column)
    if (!found) throw refuse(sink, { zh: `缺少列 ${column}`, en: `it has no column ${column}` })
    if (!canReceive(item, found))
      throw refuse(sink, {
        zh: `列 ${column}（${found.type}）不能保存 ${columnType(item)}`,
        en: `column ${column} (${found.type}) cannot hold ${columnType(item)}`,
      })
    if (found.generated || (found.identity && !item.key))
      throw refuse(sink, { zh: `列 ${column} 由数据库计算`, en: `column ${column} is filled by the database` })
    if (item.key && found.loose) throw refuse(sink, looseKey(table, found, columnType(item)))
    if (item.key && !found.notNull) throw refuse(sink, { zh: `主键列 ${column} 允许为空`, en: `key column ${column} may be null` })
  }
  const ours = new Set([...sink.columns, ...addedColumns(sink.deletes)].map(({ column }) => column))
  const foreign = [...table.columns.values()].find(
    (found) => found.notNull && !found.defaulted && !found.generated && !ours.has(found.name),
  )
  if (foreign)
    throw refuse(sink, {
      zh: `列 ${foreign.name} 必填，但不在交付范围内`,
      en: `column ${foreign.name} needs a value that is not delivered`,
    })
  const key = keyOf(sink, table)
  if (!key && keyOf(sink, { arbiters: table.keys }))
    throw refuse(sink, {
      zh: `(${keyNames(sink)}) 的约束可延迟（deferrable），不能按它更新：请另建唯一索引，create unique index on ${table.name} (${keyNames(sink)})`,
      en: `its constraint over (${keyNames(sink)}) is deferrable, by which no row can be updated: create unique index on ${table.name} (${keyNames(sink)})`,
    })
  if (!key)
    throw refuse(sink, {
      zh: `没有恰好由 (${keyNames(sink)}) 组成的主键或唯一约束`,
      en: `no primary key or unique constraint over exactly (${keyNames(sink)})`,
    })
  const overriding = sink.columns.some(({ column }) => table.columns.get(column)!.identity)
  return { name: table.name, columns: sink.columns, key, deletes: sink.deletes, takeOver: sink.takeOver ?? false, overriding }
}

/** The unique index over the key items, or over them and the source: no other where several sources fill the table. */
export function keyOf(sink: SinkTable, table: Pick<Table, 'arbiters'>): readonly string[] | undefined {
  const keys = keyColumns(sink.columns)
  for (const wanted of sink.shared ? [[...keys, sourceColumn]] : [keys, [...keys, sourceColumn]]) {
    const found = table.arbiters.find((key) => key.length === wanted.length && wanted.every((column) => key.includes(column)))
    if (found) return found
  }
  return undefined
}

function looseKey({ name }: Table, { name: column }: TableColumn, type: string): LocalizedText {
  const mend = `alter table ${name} alter column ${quoteName(column)} type ${type} collate "C"`
  return {
    zh: `主键列 ${column} 的排序规则会把不同的值视为相同：${mend}`,
    en: `the collation of key column ${column} takes different values for one: ${mend}`,
  }
}

function keyNames(sink: SinkTable): string {
  return [...keyColumns(sink.columns), ...(sink.shared ? [sourceColumn] : [])].join(', ')
}

/** A resource that came to follow a standard: its table's key gains the source. */
async function shareKey(connection: Connection, sink: SinkTable, table: Table): Promise<void> {
  if (!sink.shared || keyOf(sink, table) || !keyOf({ ...sink, shared: false }, table)) return
  await exchangeKey(connection, sink, table, keyColumns(sink.columns))
}

/**
 * Puts the sink's key in the place of an older one. The table must be without rows: those of the old key have none under the new
 * one. Throws QZ-SINK-TABLE where there are any.
 */
export async function replaceKey(connection: Connection, sink: SinkTable, table: Table, former = table.keys[0] ?? []): Promise<void> {
  const [row] = await connection.query(`select exists (select from ${table.name})`)
  if (row![0] === 't') throw refuse(sink, otherKey(sink))
  await exchangeKey(connection, sink, table, former)
}

/** Every unique index over the former key goes: rows of the new key would meet it. */
async function exchangeKey(connection: Connection, sink: SinkTable, table: Table, former: readonly string[]): Promise<void> {
  const keys = sink.columns.filter(({ item }) => item.key)
  const now = new Set([...keys.map(({ column }) => column), ...(sink.shared ? [sourceColumn] : [])])
  const prefix = `alter table ${table.name}`
  await alter(connection, sink, [
    ...(await withoutIndexes(connection, table, former)),
    ...former.filter((column) => !now.has(column)).map((column) => `${prefix} alter column ${quoteName(column)} drop not null`),
    ...keys
      .filter(({ column }) => !former.includes(column))
      .map(({ item, column }) => `${prefix} alter column ${quoteName(column)} type ${deliveredType(item)}`),
    ...[...now].map((column) => `${prefix} alter column ${quoteName(column)} set not null`),
    `${prefix} add ${deliveredKey(sink.columns, sink.shared)}`,
  ])
}

async function withoutIndexes(connection: Connection, table: Table, former: readonly string[]): Promise<string[]> {
  const rows = await connection.query(
    `select i.indexrelid::regclass::text, c.conname from pg_index i left join pg_constraint c on c.conindid = i.indexrelid and c.conrelid = i.indrelid
     where i.indrelid = $1 and i.indisunique and i.indpred is null and i.indexprs is null
       and array(select a.attname::text from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any(i.indkey) and a.attname <> $2 order by 1)
         = array(select unnest($3::text[]) order by 1)`,
    [table.oid, sourceColumn, former.filter((column) => column !== sourceColumn)],
  )
  return rows.map(([index, constraint]) => {
    return constraint ? `alter table ${table.name} drop constraint ${quoteName(constraint)}` : `drop index ${index!}`
  })
}

/** See `SinkEngine.dropColumns`: one that the receiver's own view reads stays, empty. */
export async function dropColumns(connection: Connection, sink: SinkTable, columns: readonly string[]): Promise<void> {
  for (const column of columns) {
    try {
      await connection.query(`alter table ${quoteTable(sink.table)} drop column if exists ${quoteName(column)}`)
    } catch (error) {
      if (sqlState(error) !== '2BP01') throw error
    }
  }
}
