/** The shadow of a delivered table: how it is made, and how its rows or the table itself take the live one's place. */
import {
  addedColumns,
  columnDefinitions,
  deliveredTable,
  keyColumns,
  names,
  quoteName,
  quoteTable,
  quoteText,
  sourceColumn,
} from './sql.ts'
import { positionNumber, type ChainPosition } from '../../../protocol/position.ts'
import type { Row, SinkTable } from '../../database.ts'
import { readTable, unfit, type CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { exchangeKey, followItems, keyOf, otherKey, provideTable } from './shape.ts'
import { ofPart, partTable, positionTable, quarantineTable, readState, shadowStateToLive } from './state.ts'
import { keysCondition } from './writing.ts'

/** Columns that the live part was made with and that are delivered no more. */
async function endedColumns(session: Session, sink: SinkTable): Promise<{ id: string; column: string }[]> {
  const live = await readState(session, sink.route, 'live')
  const kept = new Set(sink.columns.map(({ column }) => column.toLowerCase()))
  return Object.entries(live?.columns ?? {}).flatMap(([id, column]) => (kept.has(column.toLowerCase()) ? [] : [{ id, column }]))
}

/**
 * An empty table with the sink's present columns. One that will be renamed into the live table's place keeps that one's indexes and the
 * receiver's own columns; of a shared table it holds nothing but this route's rows, which are copied.
 */
export async function makeShadow(session: Session, sink: SinkTable): Promise<void> {
  const shadow = partTable(session, sink, 'shadow')
  const live = await readTable(session, partTable(session, sink, 'live'))
  await session.run(`drop table if exists ${quoteTable(shadow)}`)
  if (!live || (sink.shared && keyOf(sink, live))) {
    await session.run(deliveredTable({ ...sink, table: shadow }, session.server))
    return
  }
  const changes = await changesOf(session, sink, live)
  await session.run(`create table ${quoteTable(shadow)} like ${quoteTable(partTable(session, sink, 'live'))}`)
  if (changes.length > 0) await session.run(`alter table ${quoteTable(shadow)} ${changes.join(', ')}`)
}

async function changesOf(session: Session, sink: SinkTable, live: CatalogTable): Promise<string[]> {
  const state = await readState(session, sink.route, 'live')
  const there = (column: string) => live.columns.some(({ column: name }) => name.toLowerCase() === column.toLowerCase())
  const definitions = columnDefinitions(sink.columns, session.server)
  const key = keyOf(sink, live)
  const former = (state?.keys ?? []).flatMap((id) => state?.columns[id] ?? [])
  const ended = (await endedColumns(session, sink)).filter(({ column }) => there(column))
  return [
    ...sink.columns.flatMap(({ item, column }, i) => {
      if (!there(column)) return [`add column ${definitions[i]!}`]
      return item.key ? [] : [`modify column ${definitions[i]!}`]
    }),
    ...(key ? [] : exchangeKey(session, sink, live, former).filter((change) => !addedAlready(change, sink, there))),
    ...ended.map(({ column }) => `drop column ${quoteName(column)}`),
  ]
}

/** A key column that is new is added with its definition and needs no other. */
function addedAlready(change: string, sink: SinkTable, there: (column: string) => boolean): boolean {
  return sink.columns.some(({ column }) => !there(column) && change.startsWith(`modify column ${quoteName(column)} `))
}

/** The shadow takes the live table's place; of a shared table its rows take the place of this route's. Done again after a crash. */
export async function swapShadow(session: Session, sink: SinkTable): Promise<void> {
  const live = await readTable(session, partTable(session, sink, 'live'))
  const begun = (await readState(session, sink.route, 'shadow'))?.swapping
  if (sink.shared && live && !begun && keyOf(sink, live)) return copyShadow(session, sink)
  if (sink.shared && live && !begun && (await holdsOthers(session, sink))) throw unfit(sink, otherKey(sink))
  await renameShadow(session, sink)
}

async function holdsOthers(session: Session, sink: SinkTable): Promise<boolean> {
  const live = quoteTable(partTable(session, sink, 'live'))
  return (await session.rows(`select 1 from ${live} where not (${sourceColumn} <=> ${quoteText(sink.source)}) limit 1`)).length > 0
}

/**
 * DDL commits, so the swap is three steps that a crash may part: `swapping` is written down, the tables are renamed at once, the state
 * follows. Whether the shadow is still there tells which step is next.
 */
async function renameShadow(session: Session, sink: SinkTable): Promise<void> {
  const [live, shadow, old] = (['live', 'shadow', 'old'] as const).map((part) => partTable(session, sink, part)) as [string, string, string]
  await session.run(`update ${positionTable} set swapping = 1 where ${ofPart(sink.route, 'shadow')}`)
  if (await readTable(session, shadow)) {
    await session.run(`drop table if exists ${quoteTable(old)}`)
    const away = (await readTable(session, live)) ? `${quoteTable(live)} to ${quoteTable(old)}, ` : ''
    await session.run(`rename table ${away}${quoteTable(shadow)} to ${quoteTable(live)}`)
  }
  await session.transaction(() => shadowStateToLive(session, sink))
  await session.run(`drop table if exists ${quoteTable(old)}`)
}

/** Other routes' rows stay as they are, and readers see the old rows of this one or the new ones: rows and state move in one transaction. */
async function copyShadow(session: Session, sink: SinkTable): Promise<void> {
  const shadow = partTable(session, sink, 'shadow')
  const ended = await endedColumns(session, sink)
  const position = (await readState(session, sink.route, 'shadow'))?.position
  if (!position) throw unfit(sink, 'its shadow holds nothing')
  await followItems(session, sink, partTable(session, sink, 'live'))
  await provideTable(session, sink, 'live')
  const there = (await readTable(session, partTable(session, sink, 'live')))!.columns.map(({ column }) => column.toLowerCase())
  const emptied = ended.map(({ column }) => column).filter((column) => there.includes(column.toLowerCase()))
  await session.transaction(async () => {
    await removeOthers(session, sink, position)
    await session.run(copyStatement(session, sink, emptied))
    await shadowStateToLive(session, sink)
  })
  await session.run(`drop table if exists ${quoteTable(shadow)}`)
  await dropVanished(session, sink, ended)
}

/** This route's rows that the shadow does not hold go, quarantined keys excepted. */
async function removeOthers(session: Session, sink: SinkTable, position: ChainPosition): Promise<void> {
  const [live, shadow] = [quoteTable(partTable(session, sink, 'live')), quoteTable(partTable(session, sink, 'shadow'))]
  const same = keyColumns(sink.columns).map(({ item, column }) => {
    const there = `t.${quoteName(column)}`
    return `s.${quoteName(column)} = ${item.type === 'text' ? `convert(${there} using utf8mb4) collate ${session.server.binaryCollation}` : there}`
  })
  const rows = await session.rows(`select key_text from ${quarantineTable} where ${ofPart(sink.route, 'shadow')}`)
  const kept = rows.map((row) => JSON.parse(String(row[0])) as Row).filter((key) => !key.includes(null))
  const where = `where t.${sourceColumn} = ${quoteText(sink.source)}
    and not exists (select 1 from ${shadow} s where s.${sourceColumn} = ${quoteText(sink.source)} and ${same.join(' and ')})
    ${kept.length > 0 ? `and not (${keysCondition({ columns: sink.columns }, kept, 't.')})` : ''}`
  if (sink.deletes === 'remove') await session.run(`delete t from ${live} t ${where}`)
  else {
    const marked = `t.qz_deleted = 1, t.qz_position = ${positionNumber(position)}, t.qz_received_at = utc_timestamp(6)`
    await session.run(`update ${live} t set ${marked} ${where} and t.qz_deleted = 0`)
  }
}

function copyStatement(session: Session, sink: SinkTable, emptied: readonly string[]): string {
  const columns = [...sink.columns.map(({ column }) => column), ...addedColumns(sink.deletes).map(({ column }) => column)]
  const keys = new Set([...keyColumns(sink.columns).map(({ column }) => column), sourceColumn])
  const changed = columns.filter((column) => !keys.has(column)).map((column) => `${quoteName(column)} = values(${quoteName(column)})`)
  const [live, shadow] = [quoteTable(partTable(session, sink, 'live')), quoteTable(partTable(session, sink, 'shadow'))]
  return `insert into ${live} (${names(columns)}) select ${names(columns)} from ${shadow}
    on duplicate key update ${[...changed, ...emptied.map((column) => `${quoteName(column)} = null`)].join(', ')}`
}

/** Columns of items that the resource has no more; another agency may still be at the version before, in the same table. */
async function dropVanished(session: Session, sink: SinkTable, ended: readonly { id: string; column: string }[]): Promise<void> {
  const registered = new Set(sink.schema.items.map(({ id }) => id))
  const rows = await session.rows(
    `select items from ${positionTable} where route <> ${quoteText(sink.route)} and table_name = ${quoteText(sink.table)}`,
  )
  const theirs = new Set(rows.flatMap(([items]) => Object.values(JSON.parse(String(items)) as Record<string, string>)))
  const table = partTable(session, sink, 'live')
  const there = (await readTable(session, table))!.columns.map(({ column }) => column)
  const vanished = ended.filter(({ id, column }) => !registered.has(id) && !theirs.has(column) && there.includes(column))
  if (vanished.length === 0) return
  await session.run(`alter table ${quoteTable(table)} ${vanished.map(({ column }) => `drop column ${quoteName(column)}`).join(', ')}`)
}
