/** The shadow of a delivered table: how it is made, and how its rows or the table itself take the live one's place. */
import { positionNumber, type ChainPosition } from '../../../protocol/position.ts'
import {
  columnDefinition,
  deliveredTable,
  keyColumns,
  madeName,
  names,
  quoteName,
  sourceColumn,
  tableComments,
  addedColumns,
} from './sql.ts'
import { mergeTable, type ApplyTable } from './sql-rows.ts'
import type { Row, SinkTable } from '../../database.ts'
import { findColumn, readTable, sameName, unfit, type CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { alter, followItems, keyOf, otherKey, provideTable } from './shape.ts'
import { dropTable, ofPart, partTable, positionTable, quarantineTable, readState, shadowStateToLive } from './state.ts'
import { keptAddresses, removeAddresses } from './writing.ts'

/** Columns that the live part was made with and that are delivered no more. */
async function endedColumns(session: Session, sink: SinkTable): Promise<{ id: string; column: string }[]> {
  const live = await readState(session, sink.route, 'live')
  const kept = (name: string) => sink.columns.some(({ column }) => sameName(column, name))
  return Object.entries(live?.columns ?? {}).flatMap(([id, column]) => (kept(column) ? [] : [{ id, column }]))
}

/**
 * An empty table with the sink's present columns. One that will be renamed into the live table's place keeps the receiver's own columns
 * and who may use it (not that one's other indexes, triggers and constraints: Oracle copies none); of a shared table it holds nothing
 * but this route's rows, which are copied.
 */
export async function makeShadow(session: Session, sink: SinkTable): Promise<void> {
  const shadow = partTable(session, sink, 'shadow')
  const live = await readTable(session, partTable(session, sink, 'live'))
  await dropTable(session, shadow)
  const made = deliveredTable({ ...sink, table: shadow }, session.server)
  if (!live || (sink.shared && keyOf(sink, live))) {
    for (const statement of made) await session.run(statement)
    return
  }
  const [owner, name] = shadow.split('.') as [string, string]
  const ended = (await endedColumns(session, sink))
    .map(({ column }) => findColumn(live, column)?.column)
    .filter((column) => column !== undefined)
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

/** The shadow takes the live table's place; of a shared table its rows take the place of this route's. Done again after a crash. */
export async function swapShadow(session: Session, sink: SinkTable): Promise<void> {
  const live = await readTable(session, partTable(session, sink, 'live'))
  const begun = (await readState(session, sink.route, 'shadow'))?.swapping
  if (sink.shared && live && !begun && keyOf(sink, live)) return copyShadow(session, sink)
  if (sink.shared && live && !begun && (await holdsOthers(session, sink, live))) throw unfit(sink, otherKey(sink))
  await renameShadow(session, sink)
}

async function holdsOthers(session: Session, sink: SinkTable, live: CatalogTable): Promise<boolean> {
  const binds = session.binds()
  const other = `(${quoteName(sourceColumn)} is null or ${quoteName(sourceColumn)} <> ${binds.code(sink.source)})`
  return (await session.rows(`select 1 from ${live.name} where ${other} and rownum = 1`, binds)).length > 0
}

/**
 * DDL commits, so the swap is steps that a crash may part: `swapping` is written down, the live table is renamed away, the shadow into
 * its place, the state follows. Which tables are there tells which step is next. Between the two renames, for some milliseconds, there is
 * no table of the name: Oracle cannot rename two tables at once.
 */
async function renameShadow(session: Session, sink: SinkTable): Promise<void> {
  const [live, shadow, old] = (['live', 'shadow', 'old'] as const).map((part) => partTable(session, sink, part)) as [string, string, string]
  const binds = session.binds()
  await session.run(`update ${session.own(positionTable)} set swapping = 1 where ${ofPart(binds, sink.route, 'shadow')}`, binds)
  const filled = await readTable(session, shadow)
  if (filled) {
    const there = await readTable(session, live)
    if (there) {
      await copyGrants(session, there, filled)
      await dropTable(session, old)
      await session.run(renameTable(there, old.split('.')[1]!))
    }
    await session.run(renameTable(filled, there?.table ?? madeName(live.split('.').at(-1)!)))
  }
  await session.transaction(() => shadowStateToLive(session, sink))
  await dropTable(session, old)
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

/** Other routes' rows stay as they are, and readers see the old rows of this one or the new ones: rows and state move in one transaction. */
async function copyShadow(session: Session, sink: SinkTable): Promise<void> {
  const ended = await endedColumns(session, sink)
  const position = (await readState(session, sink.route, 'shadow'))?.position
  if (!position) throw unfit(sink, '影子表为空 / its shadow holds nothing')
  await followItems(session, sink, partTable(session, sink, 'live'))
  const live = await provideTable(session, sink, 'live')
  const shadow = await provideTable(session, sink, 'shadow')
  const catalog = (await readTable(session, partTable(session, sink, 'live')))!
  const emptied = ended.flatMap(({ column }) => {
    const there = findColumn(catalog, column)
    return there?.nullable ? [there.column] : []
  })
  await session.transaction(async () => {
    await removeOthers(session, sink, { live, shadow, position })
    await session.run(mergeTable(live, shadow, emptied))
    await shadowStateToLive(session, sink)
  })
  await dropTable(session, partTable(session, sink, 'shadow'))
  await dropVanished(session, sink, ended)
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

/** This route's rows that the shadow does not hold go, quarantined keys excepted. */
async function removeOthers(
  session: Session,
  sink: SinkTable,
  { live, shadow, position }: { live: ApplyTable; shadow: ApplyTable; position: ChainPosition },
): Promise<void> {
  const binds = session.binds()
  for (let i = 0; i < 2; i++) binds.code(sink.source)
  const gone = (await session.rows(vanishedRows(live, shadow), binds)).map((row) => String(row[0]))
  const aside = session.binds()
  const kept = await session.rows(
    `select key_text from ${session.own(quarantineTable)} where ${ofPart(aside, sink.route, 'shadow')}`,
    aside,
  )
  const keys = kept.map((row) => JSON.parse(String(row[0])) as Row)
  const addresses = gone.length > 0 && keys.length > 0 ? await keptAddresses(session, live, keys) : new Set<string>()
  await removeAddresses(session, live, positionNumber(position), gone, addresses)
}

/** Columns of items that the resource has no more; another agency may still be at the version before, in the same table. */
async function dropVanished(session: Session, sink: SinkTable, ended: readonly { id: string; column: string }[]): Promise<void> {
  const registered = new Set(sink.schema.items.map(({ id }) => id))
  const binds = session.binds()
  const others = await session.rows(
    `select items from ${session.own(positionTable)} where route <> ${binds.code(sink.route)} and table_name = ${binds.text(sink.table)}`,
    binds,
  )
  const theirs = new Set(others.flatMap(([items]) => Object.values(JSON.parse(String(items)) as Record<string, string>)))
  const catalog = (await readTable(session, partTable(session, sink, 'live')))!
  const vanished = ended.flatMap(({ id, column }) => {
    const there = findColumn(catalog, column)
    return there && !registered.has(id) && !theirs.has(column) ? [there.column] : []
  })
  if (vanished.length > 0) await session.run(`alter table ${catalog.name} drop (${names(vanished)})`)
}
