/** How a delivered table follows its schema: what it must look like, columns added, texts lengthened, the key exchanged. */
import { localizedReason, QianzhiError } from '../../../protocol/errors.ts'
import type { Item } from '../../../protocol/schema.ts'
import {
  addedColumns,
  columnDefinition,
  columnType,
  deliveredTable,
  keyColumns,
  longestVarchar,
  madeName,
  names,
  quoteName,
  quoteText,
  sourceColumn,
} from './sql.ts'
import { type ApplyColumn, type ApplyTable } from './sql-rows.ts'
import { widerDecimal, type SinkTable } from '../../database.ts'
import { otherKey } from '../bookkeeping/delivery.ts'
import { findColumn, readTable, sameName, unfit, type CatalogColumn, type CatalogTable, type Key } from './catalog.ts'
import type { Session } from './connection.ts'
import { safeName } from './names.ts'
import { kindOf } from './types.ts'

/** Makes the table if it is missing, adds the qz_ columns to one that the receiver made, checks the rest. */
export async function provideTable(session: Session, sink: SinkTable, table: string): Promise<ApplyTable> {
  if (!(await readTable(session, table))) {
    for (const statement of deliveredTable({ ...sink, table }, session.server)) await session.run(statement)
  }
  await addMissingColumns(session, sink, (await needed(session, sink, table)).name, table)
  const catalog = await needed(session, sink, table)
  return checkedTable(sink, catalog, await hasTriggers(session, catalog))
}

/** Whether row triggers of the receiver's own could alter a row. */
async function hasTriggers(session: Session, { owner, table }: CatalogTable): Promise<boolean> {
  const binds = session.binds()
  const of = `table_owner = ${binds.code(owner)} and table_name = ${binds.code(table)}`
  const sql = `select 1 from all_triggers where ${of} and status = 'ENABLED' and trigger_name not like 'QZ\\_T\\_%' escape '\\' and rownum = 1`
  return (await session.rows(sql, binds)).length > 0
}

async function needed(session: Session, sink: SinkTable, table: string): Promise<CatalogTable> {
  const found = await readTable(session, table)
  if (!found) throw unfit(sink, { zh: `${table} 不存在，也不能建立`, en: `${table} does not exist and cannot be made` })
  return found
}

/** True where delivery has been at work in the table before: then it may be changed as the schema does. */
export function wasDelivered(catalog: CatalogTable): boolean {
  return findColumn(catalog, 'QZ_POSITION') !== undefined
}

/** Statements that the receiver's own constraints or rows may forbid: then the table is refused and says why. */
export async function alter(session: Session, sink: SinkTable, statements: readonly string[]): Promise<void> {
  for (const statement of statements) {
    try {
      await session.run(statement)
    } catch (error) {
      if (error instanceof QianzhiError) throw error
      throw unfit(sink, localizedReason(error), error)
    }
  }
}

/** Brings a table that was delivered into to the sink: columns of new items, longer texts, the source in the key; another key where it is empty. */
export async function followSchema(session: Session, sink: SinkTable, changed: boolean): Promise<void> {
  const { table } = sink
  if (changed) await followItems(session, sink, table)
  await addMissingColumns(session, sink, (await needed(session, sink, table)).name, table)
  const catalog = await needed(session, sink, table)
  if (keyOf(sink, catalog)) return
  const held =
    !keyOf({ ...sink, shared: false }, catalog) && (await session.rows(`select 1 from ${catalog.name} where rownum = 1`)).length > 0
  if (held) throw unfit(sink, otherKey(sink))
  await alter(session, sink, exchangeKey(sink, catalog, catalog.keys[0]?.columns ?? []))
}

export async function followItems(session: Session, sink: SinkTable, table: string): Promise<void> {
  await alter(session, sink, itemChanges(sink, await needed(session, sink, table), session.server))
}

/** `unicode`: see Flavour. */
export function itemChanges(sink: SinkTable, catalog: CatalogTable, flavour: { unicode: boolean }): string[] {
  return sink.columns.flatMap((mapped) => {
    const { item, column } = mapped
    const there = findColumn(catalog, column)
    const spare = spareName(column)
    if (!there && findColumn(catalog, spare)) return [renameColumn(catalog, spare, madeName(column))]
    if (!there) return addColumn(catalog, mapped, flavour)
    const wider = widerDecimal(item, there.type === 'NUMBER' && there.precision !== undefined ? limitsOf(there) : {})
    if (wider) return [`alter table ${catalog.name} modify (${quoteName(there.column)} ${columnType(wider, flavour)})`]
    if (item.type !== 'text' || !isShort(there, item)) return []
    if (item.length !== undefined && item.length <= longestVarchar) {
      const type = there.type.startsWith('N') ? `nvarchar2(${2 * item.length})` : `varchar2(${item.length} char)`
      return [`alter table ${catalog.name} modify (${quoteName(there.column)} ${type})`]
    }
    return toLarge(catalog, { column: there.column, spare }, flavour)
  })
}

function limitsOf({ precision, scale }: CatalogColumn): { precision?: number; scale?: number } {
  return { ...(precision !== undefined && { precision }), ...(scale !== undefined && { scale }) }
}

function isShort({ type, length, countsBytes }: CatalogColumn, item: Item): boolean {
  if (type === 'NVARCHAR2') return (length ?? 0) < 2 * (item.length ?? Infinity)
  return type === 'VARCHAR2' && (length ?? 0) < (countsBytes ? 4 : 1) * (item.length ?? Infinity)
}

function addColumn(catalog: CatalogTable, mapped: SinkTable['columns'][number], flavour: { unicode: boolean }): string[] {
  return [
    `alter table ${catalog.name} add (${columnDefinition(mapped, flavour)})`,
    `comment on column ${catalog.name}.${quoteName(madeName(mapped.column))} is ${quoteText(mapped.item.label)}`,
  ]
}

/** Of a column as configured. */
function spareName(column: string): string {
  return `QZ_NEW_${safeName(column, 23)}`
}

function renameColumn({ name }: CatalogTable, from: string, to: string): string {
  return `alter table ${name} rename column ${quoteName(from)} to ${quoteName(to)}`
}

/** A character column cannot be modified into a large object: its texts move. Begun anew, or finished, after a crash. */
function toLarge(catalog: CatalogTable, { column, spare }: { column: string; spare: string }, flavour: { unicode: boolean }): string[] {
  const add = `alter table ${catalog.name} add (${quoteName(spare)} ${columnType({ type: 'text' }, flavour)})`
  return [
    ...(findColumn(catalog, spare) ? [] : [add]),
    `update ${catalog.name} set ${quoteName(spare)} = ${quoteName(column)}`,
    `alter table ${catalog.name} drop column ${quoteName(column)}`,
    renameColumn(catalog, spare, column),
  ]
}

function keyNames(sink: SinkTable): string[] {
  return sink.columns.filter(({ item }) => item.key).map(({ column }) => column)
}

/** The unique key over the key items, with or without the source: with it where several sources fill the table. */
export function keyOf(sink: SinkTable, catalog: CatalogTable): string[] | undefined {
  const keys = keyNames(sink)
  const fits = ({ columns }: Key) =>
    keys.every((key) => columns.some((column) => sameName(column, key))) &&
    columns.every((column) => column === sourceColumn || keys.some((key) => sameName(column, key))) &&
    (!sink.shared || columns.includes(sourceColumn))
  return catalog.keys.find(fits)?.columns
}

/** Changes that put the sink's key in the place of the former one, of which every index goes: an upsert would meet it. */
export function exchangeKey(sink: SinkTable, catalog: CatalogTable, former: readonly string[]): string[] {
  const before = former.filter((column) => !sameName(column, sourceColumn))
  const gone = catalog.keys.filter(({ columns }) => {
    const items = columns.filter((column) => column !== sourceColumn)
    return items.length === before.length && items.every((column) => before.some((name) => sameName(name, column)))
  })
  const columns = keyColumns(sink.columns).map(({ column }) => findColumn(catalog, column)?.column ?? madeName(column))
  const all = sink.shared ? [sourceColumn, ...columns] : columns
  const nullable = all.filter((name) => findColumn(catalog, name)?.nullable !== false)
  const freed = before.flatMap((name) => findColumn(catalog, name) ?? []).filter((one) => !one.nullable && !all.includes(one.column))
  const kept = catalog.keys.some((key) => key.primary && !gone.includes(key))
  return [
    ...gone.map(({ constraint, primary, index, columns: held }) =>
      constraint === undefined
        ? `drop index ${quoteName(catalog.owner)}.${quoteName(index)}`
        : `alter table ${catalog.name} drop ${primary ? 'primary key' : `unique (${names(held)})`} cascade drop index`,
    ),
    ...freed.map(({ column }) => `alter table ${catalog.name} modify (${quoteName(column)} null)`),
    ...nullable.map((name) => `alter table ${catalog.name} modify (${quoteName(name)} not null)`),
    `alter table ${catalog.name} add ${kept ? 'unique' : 'primary key'} (${names(all)})`,
  ]
}

async function addMissingColumns(session: Session, sink: SinkTable, name: string, table: string): Promise<void> {
  const catalog = await needed(session, sink, table)
  const missing = addedColumns(sink.deletes).filter(({ column }) => !findColumn(catalog, column))
  if (missing.length === 0) return
  const list = missing.map(({ column }) => column).join(', ')
  try {
    await session.run(`alter table ${name} add (${missing.map(({ column, type }) => `${quoteName(column)} ${type}`).join(', ')})`)
    for (const { column, comment } of missing) await session.run(`comment on column ${name}.${quoteName(column)} is ${quoteText(comment)}`)
  } catch (error) {
    throw unfit(sink, { zh: `缺少列 ${list} 且不能添加`, en: `columns ${list} are missing and cannot be added` }, error)
  }
}

export function checkedTable(sink: SinkTable, catalog: CatalogTable, triggers = false): ApplyTable {
  if (catalog.view) throw unfit(sink, { zh: '是视图', en: 'it is a view' })
  if (catalog.temporary) throw unfit(sink, { zh: '是临时表', en: 'it is a temporary table' })
  const columns = sink.columns.map(({ item, column }): ApplyColumn => {
    const there = findColumn(catalog, column)
    if (!there) throw unfit(sink, { zh: `缺少列 ${column}`, en: `column ${column} is missing` })
    const kind = kindOf(there)
    if (!kind || kind === 'raw' || !holds(there, item)) {
      throw unfit(sink, {
        zh: `列 ${column}（${there.type}）不能无损保存 ${item.id}`,
        en: `column ${column} (${there.type}) cannot hold ${item.id} (${item.type}) without loss`,
      })
    }
    return { item, column: there.column, kind }
  })
  const key = keyOf(sink, catalog)
  if (!key) {
    const list = keyNames(sink).join(', ')
    throw unfit(sink, { zh: `主键信息项 (${list}) 不是非空唯一键`, en: `the key items (${list}) are not a unique key of not-null columns` })
  }
  const contested = columns.flatMap(({ item, column }) => {
    const held = catalog.uniqueColumns.includes(column) && !key.includes(column)
    return held ? [{ item: item.id, nullable: findColumn(catalog, column)!.nullable }] : []
  })
  return {
    name: catalog.name,
    columns,
    key,
    deletes: sink.deletes,
    source: sink.source,
    takeOver: sink.takeOver ?? false,
    contested,
    readBack: triggers ? sink.columns : undefined,
  }
}

/** Whether the server would keep the value or refuse it: what it would round or pad without an error is not for delivery. */
export function holds(column: CatalogColumn, item: Item): boolean {
  const kind = kindOf(column)
  const { scale } = column
  const number = kind === 'number' && column.type === 'NUMBER'
  switch (item.type) {
    case 'integer':
    case 'boolean':
      return number && (scale ?? 0) >= 0
    case 'decimal':
      return number && (scale === undefined || scale >= (item.scale ?? 0))
    case 'date':
      return kind === 'date'
    case 'timestamp':
      return kind === 'timestamp' && (scale ?? 6) >= 6
    case 'timestamptz':
      return (kind === 'timestamptz' || kind === 'localtime') && (scale ?? 6) >= 6
    case 'time':
      return (kind === 'interval' && (scale ?? 6) >= 6) || kind === 'text' || kind === 'ntext'
    case 'binary':
      return kind === 'blob'
    case 'json':
    case 'text':
      return kind === 'text' || kind === 'ntext' || kind === 'clob' || kind === 'nclob'
  }
}
