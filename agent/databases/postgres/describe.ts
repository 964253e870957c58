/** Looking at PostgreSQL's tables for those who register a resource: names, columns, samples, and rows as they would be sent. */
import { quoteName } from './sql.ts'
import type { ColumnDescription, PreviewRequest, Row, Rows, SourceTable, TableListing } from '../../database.ts'
import { sqlState, withTable, type Connection } from './connection.ts'
import { proposedType } from './proposal.ts'
import { readAfter, readerOf, readWhere, type Reader } from './rows.ts'
import { sourceRelation, sourceTable, type Table } from './table.ts'

/** A name with a dot in it could not be configured. */
const tablesQuery = `
  select case when pg_table_is_visible(c.oid) then c.relname else n.nspname || '.' || c.relname end as name, c.relkind in ('v', 'm'),
    coalesce(obj_description(c.oid, 'pg_class'), ''), case when c.relkind <> 'v' and c.reltuples >= 0 then c.reltuples::bigint end
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
    and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'qianzhi') and position('.' in n.nspname || c.relname) = 0
    and has_schema_privilege(n.oid, 'usage') and has_any_column_privilege(c.oid, 'select')
  order by name limit $1`

export async function listTables(connection: Connection, limit: number): Promise<TableListing[]> {
  const found = await connection.query(tablesQuery, [limit])
  return found.map(([table, view, comment, rows]) => ({
    table: table!,
    view: view === 't',
    comment: comment!,
    rows: rows === null ? null : Number(rows),
  }))
}

export async function describeTable(connection: Connection, name: string): Promise<ColumnDescription[]> {
  const table = await sourceTable(connection, name)
  const key = table.keys[0] ?? []
  const comments = await commentsOf(connection, table)
  return [...table.columns.values()].map((column) => {
    const isKey = key.includes(column.name)
    const proposal = proposedType(column, isKey)
    return {
      column: column.name,
      type: column.type,
      nullable: !column.notNull,
      key: isKey,
      comment: comments.get(column.name) ?? '',
      ...(proposal && { proposal }),
    }
  })
}

async function commentsOf(connection: Connection, { oid }: Table): Promise<Map<string, string>> {
  const found = await connection.query(
    `select a.attname, d.description from pg_description d join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid
     where d.objoid = $1 and d.classoid = 'pg_class'::regclass`,
    [oid],
  )
  return new Map(found.map(([column, comment]) => [column!, comment!]))
}

export async function sampleRows(connection: Connection, name: string, columns: readonly string[], rows: number): Promise<Row[]> {
  const table = await sourceTable(connection, name)
  const values = columns.map((column) => `left(r.${quoteName(column)}::text, 64)`)
  try {
    return await connection.query(`select ${values.join(', ')} from ${table.name} r limit ${rows}`)
  } catch (error) {
    throw withTable(error, name, 'QZ-SOURCE-TABLE')
  }
}

export async function previewRows(connection: Connection, source: SourceTable, { rows, filter }: PreviewRequest): Promise<Rows> {
  const table = await sourceRelation(connection, source)
  const reader = readerOf(source, table)
  try {
    if (filter.length > 0) return await rowsLike(connection, reader, table, { rows, filter })
    const { rows: found, faults } = await readAfter(connection, reader, null, rows)
    return { rows: found, faults }
  } catch (error) {
    throw withTable(error, source.table, 'QZ-SOURCE-TABLE')
  }
}

/** Compared in the column's own type, so that an index serves; then byte by byte, where the type makes different texts equal. */
export async function rowsLike(connection: Connection, reader: Reader, table: Table, { rows, filter }: PreviewRequest): Promise<Rows> {
  const values: string[] = []
  const wanted = filter.map(({ item: id, value }) => {
    const place = reader.columns.findIndex(({ item }) => item.id === id)
    const { item, column } = reader.columns[place]!
    if (value === null) return { place, item, value, condition: `r.${quoteName(column)} is null` }
    values.push(value)
    const given = item.type === 'binary' ? `decode($${values.length}, 'base64')` : `$${values.length}::${table.columns.get(column)!.cast}`
    return { place, item, value, condition: `r.${quoteName(column)} = ${given}` }
  })
  const conditions = wanted.map(({ condition }) => condition).join(' and ')
  const found = await readWhere(connection, reader, conditions, values, rows).catch(nothingWhereNoValue)
  return {
    ...found,
    rows: found.rows.filter((row) => wanted.every(({ place, item, value }) => item.type !== 'text' || row[place] === value)),
  }
}

/** A text that is no value of the column's type (SQLSTATE class 22): no row has it. */
function nothingWhereNoValue(error: unknown): Rows {
  if (sqlState(error)?.startsWith('22')) return { rows: [], faults: [] }
  throw error
}
