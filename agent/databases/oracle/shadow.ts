/** The shadow of a delivered table: how it is made, and how its rows or the table itself take the live one's place. */
import { positionNumber, type ChainPosition } from '../../../protocol/position.ts'
import type { Part, Row, SinkTable } from '../../database.ts'
import type { StoredState } from '../bookkeeping/route-book.ts'
import { findColumn, place, readTable, sameName, type CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { safeName } from './names.ts'
import { alter, keyOf } from './shape.ts'
import { mergeTable, type ApplyTable } from './sql-rows.ts'
import {
  addedColumns,
  columnDefinition,
  deliveredTable,
  keyColumns,
  madeName,
  names,
  quoteName,
  sourceColumn,
  tableComments,
} from './sql.ts'
import { keptAddresses, removeAddresses } from './writing.ts'

/** The table of a part, as configured or its shadow beside it: of a shared table each route has its own. */
export function partTable(session: Session, sink: Pick<SinkTable, 'table' | 'route' | 'shared'>, part: Part | 'old'): string {
  if (part === 'live') return sink.table
  const { owner, name } = place(session, sink.table)
  const prefix = part === 'shadow' ? 'QZ_SHADOW_' : 'QZ_OLD_'
  return `${madeName(owner)}.${prefix}${safeName(`${name.toLowerCase()}${sink.shared ? `_${sink.route}` : ''}`, 20)}`
}

/**
 * An empty table with the sink's present columns. One that will be renamed into the live table's place keeps the receiver's own columns
 * and who may use it (not that one's other indexes, triggers and constraints: Oracle copies none); of a shared table it holds nothing
 * but this route's rows, which are copied.
 */
export async function makeShadow(session: Session, sink: SinkTable, state: StoredState | null): Promise<void> {
  const shadow = partTable(session, sink, 'shadow')
  const live = await readTable(session, sink.table)
  const made = deliveredTable({ ...sink, table: shadow }, session.server)
  if (!live || (sink.shared && keyOf(sink, live))) {
    for (const statement of made) await session.run(statement)
    return
  }
  const [owner, name] = shadow.split('.') as [string, string]
  const kept = (name: string) => sink.columns.some(({ column }) => sameName(column, name))
  const ended = Object.values(state?.columns ?? {}).flatMap((column) => (kept(column) ? [] : (findColumn(live, column)?.column ?? [])))
  await alter(session, sink, shadowStatements(sink, live, `${quoteName(owner)}.${quoteName(name)}`, ended, session.server))
  for (const statement of tableComments({ ...sink, table: shadow }, addedColumns(sink.deletes))) await session.run(statement)
}

/**
 * The receiver's own columns as they are, those of items as they are to be. CREATE TABLE AS SELECT carries NOT NULL over, but no key: a
 * column that was the key's and is no more, or is delivered no more, is left out and made anew or not at all.
 */
export function shadowStatements(
  sink: SinkTable,
  live: CatalogTable,
  name: string,
  ended: readonly string[],
  flavour: { unicode: boolean },
): string[] {
  const added = addedColumns(sink.deletes)
  const ours = (column: string) => sink.columns.some((one) => sameName(one.column, column)) || added.some((one) => one.column === column)
  const own = live.columns.map(({ column }) => column).filter((column) => !ours(column) && !ended.includes(column))
  const definitions = [
    ...sink.columns.map((column) => columnDefinition(column, flavour) + (column.item.key ? ' not null' : '')),
    ...added.map(({ column, type }) => `${quoteName(column)} ${type}${sink.shared && column === sourceColumn ? ' not null' : ''}`),
  ]
  const keys = keyColumns(sink.columns).map(({ column }) => madeName(column))
  const key = `primary key (${names(sink.shared ? [sourceColumn, ...keys] : keys)})`
  if (own.length === 0) return [`create table ${name} (\n  ${[...definitions, key].join(',\n  ')}\n)`]
  return [
    `create table ${name} as select ${names(own)} from ${live.name} where 1 = 0`,
    `alter table ${name} add (\n  ${definitions.join(',\n  ')}\n)`,
    `alter table ${name} add ${key}`,
  ]
}

export async function holdsOthers(session: Session, sink: SinkTable): Promise<boolean> {
  const live = (await readTable(session, sink.table))!
  const binds = session.binds()
  const other = `(${quoteName(sourceColumn)} is null or ${quoteName(sourceColumn)} <> ${binds.code(sink.source)})`
  return (await session.rows(`select 1 from ${live.name} where ${other} and rownum = 1`, binds)).length > 0
}

/**
 * The live table is renamed away, the shadow into its place; which tables are there tells which step is next. Between the two renames, for some
 * milliseconds, there is no table of the name: Oracle cannot rename two tables at once.
 */
export async function renameShadow(session: Session, sink: SinkTable): Promise<void> {
  const [shadow, old] = [partTable(session, sink, 'shadow'), partTable(session, sink, 'old')]
  const filled = await readTable(session, shadow)
  if (!filled) return
  const there = await readTable(session, sink.table)
  if (there) {
    await copyGrants(session, there, filled)
    await dropTable(session, old)
    await session.run(renameTable(there, old.split('.')[1]!))
  }
  await session.run(renameTable(filled, there?.table ?? madeName(sink.table.split('.').at(-1)!)))
}

export function renameTable({ name }: CatalogTable, to: string): string {
  return `alter table ${name} rename to ${quoteName(to)}`
}

/** Readers keep their rights: a right belongs to the table, not to its name. */
async function copyGrants(session: Session, from: CatalogTable, to: CatalogTable): Promise<void> {
  const binds = session.binds()
  const rights = await session.rows(
    `select privilege, grantee, grantable from all_tab_privs where table_schema = ${binds.code(from.owner)} and table_name = ${binds.code(from.table)}`,
    binds,
  )
  for (const [privilege, grantee, grantable] of rows(rights)) {
    const option = grantable === 'YES' ? ' with grant option' : ''
    await session.run(`grant ${privilege} on ${to.name} to ${grantee === 'PUBLIC' ? grantee : quoteName(grantee!)}${option}`)
  }
}

function rows(raw: readonly (string | Buffer | null)[][]): string[][] {
  return raw.map((row) => row.map(String))
}

/** Rows of this source that the shadow does not hold: placeholders the source, twice. */
export function vanishedRows(live: ApplyTable, shadow: ApplyTable): string {
  const same = live.columns.flatMap(({ item, column }, i) =>
    item.key ? [`s.${quoteName(shadow.columns[i]!.column)} = t.${quoteName(column)}`] : [],
  )
  const marked = live.deletes === 'mark' ? ` and t.${quoteName('QZ_DELETED')} = 0` : ''
  return `select rowidtochar(t.rowid) from ${live.name} t where t.${quoteName(sourceColumn)} = :1${marked}
and not exists (select 1 from ${shadow.name} s where s.${quoteName(sourceColumn)} = :2 and ${same.join(' and ')})`
}

/** See `SinkEngine.replaceRows`. */
export async function replaceRows(
  session: Session,
  sink: SinkTable,
  { live, shadow }: { live: ApplyTable; shadow: ApplyTable },
  { position, kept, emptied }: { position: ChainPosition; kept: readonly Row[]; emptied: readonly string[] },
): Promise<void> {
  const binds = session.binds()
  for (let i = 0; i < 2; i++) binds.code(sink.source)
  const gone = (await session.rows(vanishedRows(live, shadow), binds)).map((row) => String(row[0]))
  const spared = gone.length > 0 && kept.length > 0 ? await keptAddresses(session, live, kept) : new Set<string>()
  await removeAddresses(session, live, positionNumber(position), gone, spared)
  await session.run(mergeTable(live, shadow, emptied))
}

export async function dropColumns(session: Session, sink: SinkTable, columns: readonly string[]): Promise<void> {
  const { name } = (await readTable(session, sink.table))!
  await session.run(`alter table ${name} drop (${names(columns)})`)
}

export async function dropTable(session: Session, table: string): Promise<void> {
  const there = await readTable(session, table)
  if (there) await session.run(`drop table ${there.name} purge`)
}
