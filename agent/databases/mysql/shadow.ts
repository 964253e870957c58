/** The shadow of a delivered table: how it is made, and how its rows or the table itself take the live one's place. */
import { positionNumber, type ChainPosition } from '../../../protocol/position.ts'
import type { Part, Row, SinkTable } from '../../database.ts'
import type { StoredState } from '../bookkeeping/route-book.ts'
import { place, readTable, type CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { safeName } from './names.ts'
import { exchangeKey, keyOf } from './shape.ts'
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
  type ApplyTable,
} from './sql.ts'
import { keysCondition } from './writing.ts'

/** The table of a part, as configured or its shadow beside it: of a shared table each route has its own. */
export function partTable(session: Session, sink: Pick<SinkTable, 'table' | 'route' | 'shared'>, part: Part | 'old'): string {
  if (part === 'live') return sink.table
  const { database, name } = place(session, sink.table)
  return `${database}.${safeName(`qz_${part}_${name.toLowerCase()}${sink.shared ? `_${sink.route}` : ''}`, 64)}`
}

/**
 * An empty table with the sink's present columns. One that will be renamed into the live table's place keeps that one's indexes and the
 * receiver's own columns; of a shared table it holds nothing but this route's rows, which are copied.
 */
export async function makeShadow(session: Session, sink: SinkTable, state: StoredState | null): Promise<void> {
  const shadow = partTable(session, sink, 'shadow')
  const live = await readTable(session, sink.table)
  if (!live || (sink.shared && keyOf(sink, live))) {
    await session.run(deliveredTable({ ...sink, table: shadow }, session.server))
    return
  }
  const changes = changesOf(session, sink, live, state)
  await session.run(`create table ${quoteTable(shadow)} like ${quoteTable(sink.table)}`)
  if (changes.length > 0) await session.run(`alter table ${quoteTable(shadow)} ${changes.join(', ')}`)
}

function changesOf(session: Session, sink: SinkTable, live: CatalogTable, state: StoredState | null): string[] {
  const there = (column: string) => live.columns.some(({ column: name }) => name.toLowerCase() === column.toLowerCase())
  const definitions = columnDefinitions(sink.columns, session.server)
  const key = keyOf(sink, live)
  const former = (state?.keys ?? []).flatMap((id) => state?.columns[id] ?? [])
  const kept = new Set(sink.columns.map(({ column }) => column.toLowerCase()))
  const ended = Object.values(state?.columns ?? {}).filter((column) => !kept.has(column.toLowerCase()) && there(column))
  return [
    ...sink.columns.flatMap(({ item, column }, i) => {
      if (!there(column)) return [`add column ${definitions[i]!}`]
      return item.key ? [] : [`modify column ${definitions[i]!}`]
    }),
    ...(key ? [] : exchangeKey(session, sink, live, former).filter((change) => !addedAlready(change, sink, there))),
    ...ended.map((column) => `drop column ${quoteName(column)}`),
  ]
}

/** A key column that is new is added with its definition and needs no other. */
function addedAlready(change: string, sink: SinkTable, there: (column: string) => boolean): boolean {
  return sink.columns.some(({ column }) => !there(column) && change.startsWith(`modify column ${quoteName(column)} `))
}

export async function holdsOthers(session: Session, sink: SinkTable): Promise<boolean> {
  const where = `not (${sourceColumn} <=> ${quoteText(sink.source)})`
  return (await session.rows(`select 1 from ${quoteTable(sink.table)} where ${where} limit 1`)).length > 0
}

/** Both names change at once; whether the shadow is still there tells whether that has been done. */
export async function renameShadow(session: Session, sink: SinkTable): Promise<void> {
  const [shadow, old] = [partTable(session, sink, 'shadow'), partTable(session, sink, 'old')]
  if (!(await readTable(session, shadow))) return
  await session.run(`drop table if exists ${quoteTable(old)}`)
  const live = (await readTable(session, sink.table)) ? `${quoteTable(sink.table)} to ${quoteTable(old)}, ` : ''
  await session.run(`rename table ${live}${quoteTable(shadow)} to ${quoteTable(sink.table)}`)
}

/** This route's rows that the shadow does not hold go, quarantined keys excepted; its rows are written. */
export async function replaceRows(
  session: Session,
  sink: SinkTable,
  live: ApplyTable,
  shadow: string,
  { position, kept, emptied }: { position: ChainPosition; kept: readonly Row[]; emptied: readonly string[] },
): Promise<void> {
  const same = keyColumns(sink.columns).map(({ item, column }) => {
    const there = `t.${quoteName(column)}`
    return `s.${quoteName(column)} = ${item.type === 'text' ? `convert(${there} using utf8mb4) collate ${session.server.binaryCollation}` : there}`
  })
  const where = `where t.${sourceColumn} = ${quoteText(sink.source)}
    and not exists (select 1 from ${shadow} s where s.${sourceColumn} = ${quoteText(sink.source)} and ${same.join(' and ')})
    ${kept.length > 0 ? `and not (${keysCondition(live, kept, 't.')})` : ''}`
  if (sink.deletes === 'remove') await session.run(`delete t from ${live.name} t ${where}`)
  else {
    const marked = `t.qz_deleted = 1, t.qz_position = ${positionNumber(position)}, t.qz_received_at = utc_timestamp(6)`
    await session.run(`update ${live.name} t set ${marked} ${where} and t.qz_deleted = 0`)
  }
  await session.run(copyStatement(sink, live, shadow, emptied))
}

function copyStatement(sink: SinkTable, live: ApplyTable, shadow: string, emptied: readonly string[]): string {
  const columns = [...sink.columns.map(({ column }) => column), ...addedColumns(sink.deletes).map(({ column }) => column)]
  const keys = new Set([...keyColumns(sink.columns).map(({ column }) => column), sourceColumn])
  const changed = columns.filter((column) => !keys.has(column)).map((column) => `${quoteName(column)} = values(${quoteName(column)})`)
  return `insert into ${live.name} (${names(columns)}) select ${names(columns)} from ${shadow}
    on duplicate key update ${[...changed, ...emptied.map((column) => `${quoteName(column)} = null`)].join(', ')}`
}

export async function dropColumns(session: Session, sink: SinkTable, columns: readonly string[]): Promise<void> {
  await session.run(`alter table ${quoteTable(sink.table)} ${columns.map((column) => `drop column ${quoteName(column)}`).join(', ')}`)
}
