/** How a delivered table follows its schema: what it must look like, columns added, texts lengthened, the key exchanged. */
import { localizedReason } from '../../../protocol/errors.ts'
import {
  addColumn,
  addedColumns,
  deliveredKey,
  deliveredTable,
  deliveredType,
  hasTextKey,
  keyColumns,
  positionColumn,
  quoteName,
  sourceColumn,
  spacesColumn,
  spacesDefinition,
  splitTable,
  quoteText,
  type ApplyTable,
  type TextColumn,
} from './sql.ts'
import { widerDecimal, type SinkTable } from '../../database.ts'
import { otherKey } from '../bookkeeping/delivery.ts'
import {
  findColumn,
  fullType,
  readTable,
  sameName,
  textColumn,
  unfit,
  type CatalogColumn,
  type CatalogTable,
  type UniqueIndex,
} from './catalog.ts'
import type { Session } from './connection.ts'
import { errorNumber } from './errors.ts'
import { canReceive } from './types.ts'

/** Statements that the receiver's own constraints, views or rows may forbid: then the table is refused and says why. */
async function alter(session: Session, sink: SinkTable, statements: readonly string[]): Promise<void> {
  try {
    for (const statement of statements) await session.query(statement)
  } catch (error) {
    if (errorNumber(error) === undefined || (error as { code?: string }).code?.startsWith('QZ-')) throw error
    throw unfit(sink, localizedReason(error), error)
  }
}

/** Makes the table if it is missing, adds the qz_ columns to one that the receiver made, checks the rest. */
export async function provideTable(session: Session, sink: SinkTable, name: string): Promise<ApplyTable> {
  const table = session.qualify(name)
  if (!(await readTable(session, name))) {
    const { schema } = splitTable(table)
    await alter(session, sink, [makeSchemaOf(schema!), ...deliveredTable({ ...sink, table })])
  }
  return checkedTable(session, sink, await addMissing(session, sink, name))
}

export function makeSchemaOf(schema: string): string {
  return `if schema_id(${quoteText(schema)}) is null exec(${quoteText(`create schema ${quoteName(schema)}`)})`
}

/** True where delivery has been at work in the table before: then it may be changed as the schema does. */
export function wasDelivered(table: CatalogTable): boolean {
  return findColumn(table, positionColumn) !== undefined
}

/** Brings a table that was delivered into to the sink: columns of new items, longer texts, the source in the key; another key where it is empty. */
export async function followSchema(session: Session, sink: SinkTable, changed: boolean): Promise<void> {
  if (changed) await followItems(session, sink)
  const table = await addMissing(session, sink, sink.table)
  if (keyOf(sink, table)) return
  if (!keyOf({ ...sink, shared: false }, table) && (await holdsRows(session, table))) throw unfit(sink, otherKey(sink))
  await exchangeKey(session, sink, table)
}

async function holdsRows(session: Session, { name }: CatalogTable): Promise<boolean> {
  return (await session.query(`select top (1) 1 from ${name}`)).length > 0
}

/** Columns of new items; texts and numbers that got longer. Those of the key cannot be altered under it: it is dropped and made again. */
export async function followItems(session: Session, sink: SinkTable): Promise<void> {
  const table = (await readTable(session, sink.table))!
  const key = keyOf(sink, table)
  let rekeyed = false
  for (const mapped of sink.columns) {
    const found = findColumn(table, mapped.column)
    if (!found) await alter(session, sink, addColumn(table.table, mapped))
    else {
      const item = widerDecimal(mapped.item, decimalLimits(found)) ?? (canReceive(mapped.item, found) ? undefined : mapped.item)
      if (item?.key && key) rekeyed = true
      else if (item) await alter(session, sink, [alterColumn(table, found, deliveredType(item), found.nullable)])
    }
  }
  if (rekeyed) await exchangeKey(session, sink, (await readTable(session, sink.table))!, key!.columns)
}

function decimalLimits({ type, precision, scale }: CatalogColumn): { precision?: number; scale?: number } {
  return type === 'decimal' || type === 'numeric' ? { precision, scale } : {}
}

/** Whether it may be null must be said again, or it may. */
function alterColumn({ name }: CatalogTable, { column }: Pick<CatalogColumn, 'column'>, type: string, nullable: boolean): string {
  return `alter table ${name} alter column ${quoteName(column)} ${type}${nullable ? ' null' : ' not null'}`
}

/** The columns that tell source, position and time. */
export async function addMissing(session: Session, sink: SinkTable, name: string): Promise<CatalogTable> {
  const table = (await readTable(session, name))!
  const missing = addedColumns(sink.deletes).filter(({ column }) => !findColumn(table, column))
  if (missing.length === 0) return table
  const additions = missing.map(({ column, type }) => `${quoteName(column)} ${type}${type.includes('not null') ? '' : ' null'}`)
  await alter(session, sink, [`alter table ${table.name} add ${additions.join(', ')}`])
  return (await readTable(session, name))!
}

export async function checkedTable(session: Session, sink: SinkTable, table: CatalogTable): Promise<ApplyTable> {
  const checked = checkTable(sink, table)
  const found = await session.query(factsQuery, { id: String(table.id) })
  const held = found.flatMap(([column]) => (column === null ? [] : [String(column)]))
  const contested = sink.columns.flatMap(({ item, column }) =>
    held.some((name) => sameName(name, column)) && !checked.key.includes(column)
      ? [{ item: item.id, nullable: findColumn(table, column)!.nullable }]
      : [],
  )
  return { ...checked, contested, readBack: found.length > held.length ? sink.columns : undefined }
}

/** Columns of unique indexes, also of those with a filter; null where a trigger of the receiver's own may alter rows. */
const factsQuery = `select distinct c.name from sys.indexes i join sys.index_columns k on k.object_id = i.object_id and k.index_id = i.index_id
  join sys.columns c on c.object_id = k.object_id and c.column_id = k.column_id
where i.object_id = convert(int, @id) and i.is_unique = 1 and i.is_disabled = 0 and k.key_ordinal > 0
union all select null from sys.triggers where parent_id = convert(int, @id) and is_disabled = 0`

export async function uniqueColumns(session: Session, { id }: CatalogTable): Promise<string[]> {
  return (await session.query(factsQuery, { id: String(id) })).flatMap(([column]) => (column === null ? [] : [String(column)]))
}

function checkTable(sink: SinkTable, table: CatalogTable): Omit<ApplyTable, 'contested' | 'readBack'> {
  if (table.kind !== 'table') throw unfit(sink, { zh: '是视图', en: 'it is a view' })
  for (const { item, column } of sink.columns) {
    const found = findColumn(table, column)
    if (!found) throw unfit(sink, { zh: `缺少列 ${column}`, en: `it has no column ${column}` })
    if (found.computed || found.identity || found.automatic)
      throw unfit(sink, { zh: `列 ${column} 由服务器填写`, en: `column ${column} is filled by the server` })
    if (!canReceive(item, found))
      throw unfit(sink, {
        zh: `列 ${column}（${fullType(found)}）不能无损保存 ${item.id}（${deliveredType(item)}）`,
        en: `column ${column} (${fullType(found)}) cannot hold ${item.id} (${deliveredType(item)}) without loss`,
      })
    if (item.key && found.nullable) throw unfit(sink, { zh: `主键列 ${column} 允许为空`, en: `key column ${column} may be null` })
  }
  const ours = [...sink.columns, ...addedColumns(sink.deletes), spacesDefinition].map(({ column }) => column.toLowerCase())
  const foreign = table.columns.find(
    ({ column, nullable, defaulted, computed, identity, automatic }) =>
      !(nullable || defaulted || computed || identity || automatic || ours.includes(column.toLowerCase())),
  )
  if (foreign)
    throw unfit(sink, {
      zh: `列 ${foreign.column} 必填，但不在交付范围内`,
      en: `column ${foreign.column} needs a value that is not delivered`,
    })
  const key = keyOf(sink, table)
  if (!key)
    throw unfit(sink, {
      zh: `没有恰好由 (${keyNames(sink)}) 组成的主键或唯一索引`,
      en: `no primary key or unique index over exactly (${keyNames(sink)})`,
    })
  return {
    name: table.name,
    columns: sink.columns,
    key: asMapped(sink, key.columns),
    texts: textsOf(sink, table),
    deletes: sink.deletes,
    takeOver: sink.takeOver ?? false,
  }
}

/** Names as the sink writes them. */
function asMapped(sink: SinkTable, columns: readonly string[]): string[] {
  return columns.map((name) => sink.columns.find(({ column }) => sameName(column, name))?.column ?? name.toLowerCase())
}

function textsOf(sink: SinkTable, table: CatalogTable): Map<string, TextColumn> {
  return new Map(
    keyColumns(sink.columns).flatMap(({ item, column }) => {
      const text = item.type === 'text' ? textColumn(findColumn(table, column)!) : undefined
      return text ? [[column, text] as const] : []
    }),
  )
}

/** The unique index over the key items, with or without what delivery adds; with the source where several sources fill the table. */
export function keyOf(sink: SinkTable, { uniques }: CatalogTable): UniqueIndex | undefined {
  const keys = keyColumns(sink.columns).map(({ column }) => column.toLowerCase())
  return uniques.find(({ columns }) => {
    const names = columns.map((name) => name.toLowerCase())
    const added = names.filter((name) => !keys.includes(name))
    return (
      keys.every((key) => names.includes(key)) &&
      added.every((name) => name === sourceColumn || (name === spacesColumn && hasTextKey(sink.columns))) &&
      (!sink.shared || added.includes(sourceColumn))
    )
  })
}

function keyNames(sink: SinkTable): string {
  return [...keyColumns(sink.columns).map(({ column }) => column), ...(sink.shared ? [sourceColumn] : [])].join(', ')
}

/** Puts the sink's key in the place of the former one, of which every unique index goes: rows of the new key would meet it. */
export async function exchangeKey(
  session: Session,
  sink: SinkTable,
  table: CatalogTable,
  former: readonly string[] = table.uniques[0]?.columns ?? [],
): Promise<void> {
  const keys = keyColumns(sink.columns)
  const isKey = (name: string) => keys.some(({ column }) => sameName(column, name))
  const statements = table.uniques.filter(({ columns }) => sameItems(columns, former)).map((index) => dropIndex(table, index))
  for (const name of former.filter((name) => !isAdded(name) && !isKey(name))) {
    const column = findColumn(table, name)
    if (column) statements.push(alterColumn(table, column, asDeclared(column), true))
  }
  for (const { item, column } of keys) statements.push(alterColumn(table, { column }, deliveredType(item), false))
  if (sink.shared) statements.push(alterColumn(table, { column: sourceColumn }, addedColumns('remove')[0]!.type, false))
  if (hasTextKey(sink.columns) && !findColumn(table, spacesColumn)) {
    statements.push(`alter table ${table.name} add ${quoteName(spacesColumn)} ${spacesDefinition.type}`)
  }
  const key = deliveredKey(sink.columns, sink.shared)
  const kept = table.uniques.some(({ primary, columns }) => primary && !sameItems(columns, former))
  statements.push(`alter table ${table.name} add ${kept ? key.replace(/^primary key( nonclustered)?/, 'unique') : key}`)
  await alter(session, sink, statements)
}

const isAdded = (name: string): boolean => sameName(name, sourceColumn) || sameName(name, spacesColumn)

function sameItems(a: readonly string[], b: readonly string[]): boolean {
  const items = (columns: readonly string[]) =>
    columns
      .filter((name) => !isAdded(name))
      .map((name) => name.toLowerCase())
      .toSorted()
      .join('\n')
  return items(a) === items(b)
}

function dropIndex({ name }: CatalogTable, index: UniqueIndex): string {
  const made = index.primary || index.constraint
  return made ? `alter table ${name} drop constraint ${quoteName(index.name)}` : `drop index ${quoteName(index.name)} on ${name}`
}

function asDeclared(column: CatalogColumn): string {
  return `${fullType(column)}${column.collation ? ` collate ${column.collation}` : ''}`
}

/** See `SinkEngine.dropColumns`: one that something of the receiver's own needs stays, empty. */
export async function dropColumns(session: Session, sink: SinkTable, columns: readonly string[]): Promise<void> {
  const table = (await readTable(session, sink.table))!
  for (const column of columns) {
    await session.query(`alter table ${table.name} drop column ${quoteName(column)}`).catch((error: unknown) => {
      if (errorNumber(error) === undefined || (error as { code?: string }).code?.startsWith('QZ-')) throw error
    })
  }
}
