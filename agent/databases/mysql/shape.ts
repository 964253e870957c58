/** How a delivered table follows its schema: what it must look like, columns added, texts lengthened, the key exchanged. */
import { localizedReason } from '../../../protocol/errors.ts'
import type { Item } from '../../../protocol/schema.ts'
import {
  addedColumns,
  columnDefinitions,
  deliveredKey,
  deliveredTable,
  keySource,
  quoteName,
  quoteTable,
  quoteText,
  sourceColumn,
  type ApplyTable,
} from './sql.ts'
import { widerDecimal, type SinkTable } from '../../database.ts'
import { otherKey } from '../bookkeeping/delivery.ts'
import { readTable, unfit, type CatalogColumn, type CatalogTable } from './catalog.ts'
import { errorNumber, type Session } from './connection.ts'

/** Makes the table if it is missing, adds the qz_ columns to one that the receiver made, checks the rest. */
export async function provideTable(session: Session, sink: SinkTable, table: string): Promise<ApplyTable> {
  if (!(await readTable(session, table))) await session.run(deliveredTable({ ...sink, table }, session.server))
  await addMissingColumns(session, sink, (await readTable(session, table))!, table)
  const catalog = (await readTable(session, table))!
  return checkedTable(sink, catalog, table, await hasTriggers(session, catalog))
}

/** Whether triggers of the receiver's own could alter a row before it is written. */
async function hasTriggers(session: Session, { database, table }: CatalogTable): Promise<boolean> {
  const where = `event_object_schema = ${quoteText(database)} and event_object_table = ${quoteText(table)}`
  const found = await session.rows(
    `select 1 from information_schema.triggers where ${where} and action_timing = 'BEFORE' and event_manipulation <> 'DELETE' limit 1`,
  )
  return found.length > 0
}

/** True where delivery has been at work in the table before: then it may be changed as the schema does. */
export function wasDelivered({ columns }: CatalogTable): boolean {
  return columns.some(({ column }) => column.toLowerCase() === 'qz_position')
}

/** Statements that the receiver's own constraints or rows may forbid: then the table is refused and says why. */
export async function alter(session: Session, sink: SinkTable, table: string, changes: readonly string[]): Promise<void> {
  if (changes.length === 0) return
  try {
    await session.run(`alter table ${quoteTable(table)} ${changes.join(', ')}`)
  } catch (error) {
    if (errorNumber(error) === undefined) throw error
    throw unfit(sink, localizedReason(error), error)
  }
}

/** Brings a table that was delivered into to the sink: columns of new items, longer texts, the source in the key; another key where it is empty. */
export async function followSchema(session: Session, sink: SinkTable, changed: boolean): Promise<void> {
  const { table } = sink
  if (changed) await followItems(session, sink, table)
  await addMissingColumns(session, sink, (await readTable(session, table))!, table)
  const catalog = (await readTable(session, table))!
  if (keyOf(sink, catalog)) return
  if (!keyOf({ ...sink, shared: false }, catalog) && (await session.rows(`select 1 from ${quoteTable(table)} limit 1`)).length > 0)
    throw unfit(sink, otherKey(sink))
  await alter(session, sink, table, exchangeKey(session, sink, catalog, catalog.uniques[0]?.columns ?? []))
}

export async function followItems(session: Session, sink: SinkTable, table: string): Promise<void> {
  const catalog = (await readTable(session, table))!
  const definitions = columnDefinitions(sink.columns, session.server)
  const changes = sink.columns.flatMap(({ item, column }, i) => {
    const there = find(catalog, column)
    if (!there) return [`add column ${definitions[i]!}`]
    const wider = widerDecimal(item, there.type === 'decimal' ? there : {})
    if (wider) return [`modify column ${columnDefinitions([{ item: wider, column }], session.server)[0]!}`]
    const short = item.type === 'text' && there.type === 'varchar' && (there.length ?? Infinity) < (item.length ?? Infinity)
    return short ? [`modify column ${definitions[i]!}`] : []
  })
  await alter(session, sink, table, changes)
}

function find({ columns }: Pick<CatalogTable, 'columns'>, column: string): CatalogColumn | undefined {
  return columns.find(({ column: name }) => name.toLowerCase() === column.toLowerCase())
}

function keyNames(sink: SinkTable): string[] {
  return sink.columns.filter(({ item }) => item.key).map(({ column }) => column.toLowerCase())
}

/** The unique index over the key items, with or without the source: with it where several sources fill the table. */
export function keyOf(sink: SinkTable, catalog: CatalogTable): string[] | undefined {
  const keys = keyNames(sink)
  const fits = (columns: string[]) =>
    keys.every((key) => columns.includes(key)) &&
    columns.every((name) => keys.includes(name) || name === sourceColumn) &&
    (!sink.shared || columns.includes(sourceColumn))
  return catalog.uniques.find(({ columns }) => fits(columns.map((name) => name.toLowerCase())))?.columns
}

/** Changes that put the sink's key in the place of the former one, of which every index goes: an upsert would meet it. */
export function exchangeKey(session: Session, sink: SinkTable, catalog: CatalogTable, former: readonly string[]): string[] {
  const before = new Set(former.map((column) => column.toLowerCase()).filter((column) => column !== sourceColumn))
  const gone = catalog.uniques.filter(({ columns }) => {
    const items = columns.map((column) => column.toLowerCase()).filter((column) => column !== sourceColumn)
    return items.length === before.size && items.every((column) => before.has(column))
  })
  const definitions = columnDefinitions(sink.columns, session.server)
  const keys = sink.columns.flatMap(({ item }, i) => (item.key ? [`modify column ${definitions[i]!}`] : []))
  const wantedKeys = keyNames(sink)
  // A column of the former key must not be null, but is no longer delivered, or may be without a value.
  const freed = [...before].flatMap((column) => {
    const there = wantedKeys.includes(column) ? undefined : find(catalog, column)
    return there ? [`modify column ${quoteName(there.column)} ${nullableType(there)}`] : []
  })
  const kept = catalog.uniques.some((unique) => unique.name === 'PRIMARY' && !gone.includes(unique))
  const wanted = deliveredKey(sink.columns, sink.shared)
  return [
    ...gone.map(({ name }) => (name === 'PRIMARY' ? 'drop primary key' : `drop index ${quoteName(name)}`)),
    ...(sink.shared ? [`modify column ${quoteName(sourceColumn)} ${keySource}`] : []),
    ...freed,
    ...keys,
    `add ${kept ? wanted.replace('primary key', 'unique key') : wanted}`,
  ]
}

function nullableType({ fullType, charset, collation }: CatalogColumn): string {
  return `${fullType}${charset === undefined ? '' : ` character set ${charset} collate ${collation}`} null`
}

async function addMissingColumns(session: Session, sink: SinkTable, { columns }: CatalogTable, table: string): Promise<void> {
  const missing = addedColumns(sink.deletes).filter(({ column }) => !columns.some((there) => there.column.toLowerCase() === column))
  if (missing.length === 0) return
  const add = missing.map(({ column, definition }) => `add column ${quoteName(column)} ${definition}`)
  try {
    await session.run(`alter table ${quoteTable(table)} ${add.join(', ')}`)
  } catch (error) {
    throw unfit(
      sink,
      {
        zh: `缺少列 ${missing.map(({ column }) => column).join(', ')} 且不能添加`,
        en: `columns ${missing.map(({ column }) => column).join(', ')} are missing and cannot be added`,
      },
      error,
    )
  }
}

function checkedTable(sink: SinkTable, catalog: CatalogTable, table: string, triggers: boolean): ApplyTable {
  if (catalog.kind !== 'BASE TABLE')
    throw unfit(sink, { zh: `类型为 ${catalog.kind.toLowerCase()}，不是表`, en: `it is a ${catalog.kind.toLowerCase()}` })
  if (catalog.engine.toLowerCase() !== 'innodb')
    throw unfit(sink, {
      zh: `存储引擎是 ${catalog.engine}，数据与位置不能一同提交`,
      en: `its engine is ${catalog.engine}: rows and position would not commit together`,
    })
  const columns = sink.columns.map((mapped) => {
    const { item, column } = mapped
    const there = find(catalog, column)
    if (!there) throw unfit(sink, { zh: `缺少列 ${column}`, en: `column ${column} is missing` })
    if (!holds(there, item))
      throw unfit(sink, {
        zh: `列 ${column}（${there.fullType}）不能无损保存 ${item.id}（${item.type}）`,
        en: `column ${column} (${there.fullType}) cannot hold ${item.id} (${item.type}) without loss`,
      })
    if (there.generated) throw unfit(sink, { zh: `列 ${column} 由数据库计算`, en: `column ${column} is filled by the database` })
    const { charset, collation } = there
    return { ...mapped, ...(charset !== undefined && { charset }), ...(collation !== undefined && { collation }) }
  })
  const key = keyOf(sink, catalog)
  if (!key)
    throw unfit(sink, {
      zh: `主键信息项 (${keyNames(sink).join(', ')}) 不是非空列上的唯一索引`,
      en: `the key items (${keyNames(sink).join(', ')}) are not a unique index of not-null columns`,
    })
  const ours = new Set([...sink.columns, ...addedColumns(sink.deletes)].map(({ column }) => column.toLowerCase()))
  const foreign = catalog.columns.find((one) => !(one.nullable || one.defaulted || one.generated || ours.has(one.column.toLowerCase())))
  if (foreign)
    throw unfit(sink, {
      zh: `列 ${foreign.column} 必填，但不在交付范围内`,
      en: `column ${foreign.column} needs a value that is not delivered`,
    })
  const readable = sink.columns.map((mapped) => readColumn(mapped, find(catalog, mapped.column)!))
  const altering = sink.columns.some(({ item, column }) => !faithful(item, find(catalog, column)!))
  return {
    name: quoteTable(table),
    columns,
    key,
    deletes: sink.deletes,
    source: sink.source,
    takeOver: sink.takeOver ?? false,
    contested: contestedItems(sink, catalog, key),
    staged: sink.columns.every(({ column }) => find(catalog, column)!.type !== 'bit'),
    readBack: altering || triggers ? readable : undefined,
  }
}

/** Items in unique indexes besides the key. */
function contestedItems(sink: SinkTable, { allUniques, ...catalog }: CatalogTable, key: readonly string[]): ApplyTable['contested'] {
  const held = new Set(allUniques.flatMap(({ columns }) => columns.map((column) => column.toLowerCase())))
  const keys = new Set(key.map((column) => column.toLowerCase()))
  return sink.columns.flatMap(({ item, column }) => {
    const name = column.toLowerCase()
    return held.has(name) && !keys.has(name) ? [{ item: item.id, nullable: find(catalog, column)!.nullable }] : []
  })
}

/** Whether the server would keep the value or refuse it: what it would round or clip without an error is not for delivery. */
function holds({ type, scale = 0, fraction = 0 }: CatalogColumn, item: Item): boolean {
  const text = /(char|text)$|^json$/.test(type)
  const integer = type.endsWith('int')
  switch (item.type) {
    case 'integer':
      return integer || type === 'decimal'
    case 'decimal':
      return (type === 'decimal' && scale >= (item.scale ?? 0)) || (integer && !item.scale)
    case 'boolean':
      return integer || type === 'bit'
    case 'date':
      return type === 'date' || type === 'datetime'
    case 'timestamp':
      return type === 'datetime' && fraction === 6
    case 'timestamptz':
      return (type === 'datetime' || type === 'timestamp') && fraction === 6
    case 'time':
      return type === 'time' && fraction === 6
    case 'binary':
      return /(blob|binary)$/.test(type)
    default:
      return text || (item.type === 'text' && ['enum', 'set', 'uuid', 'inet4', 'inet6'].includes(type))
  }
}

/** Whether the server itself refuses whatever the column would not give back as it came. Clipped blanks, padding and labels it does not. */
function faithful(item: Item, { type, length = 0, charset }: CatalogColumn): boolean {
  if (['char', 'binary', 'enum', 'set', 'uuid', 'inet4', 'inet6', 'bit', 'year', 'json'].includes(type)) return false
  if (item.type !== 'text') return charset === undefined || charset.startsWith('utf8') || item.type !== 'json'
  return charset !== undefined && charset.startsWith('utf8') && (/^(medium|long)text$/.test(type) || length >= (item.length ?? Infinity))
}

/** The column as a source of the widest item of its kind. */
function readColumn({ item, column }: SinkTable['columns'][number], { type, scale = 0 }: CatalogColumn): SinkTable['columns'][number] {
  const { length: _length, precision: _precision, scale: _scale, ...plain } = item
  if (item.type === 'integer' || item.type === 'decimal' || item.type === 'boolean') {
    const number = { ...plain, type: 'decimal' as const, precision: 65, scale }
    return { column, item: type === 'decimal' ? number : { ...plain, type: 'integer' } }
  }
  if (item.type === 'date' && type === 'datetime') return { column, item: { ...plain, type: 'timestamp' } }
  return { column, item: plain }
}
