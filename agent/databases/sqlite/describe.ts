/** What people ask of a SQLite file by hand. */
import { type ColumnDescription, type PreviewRequest, type Row, type Rows, type SourceTable, type TableListing } from '../../database.ts'
import { readSource } from './catalog.ts'
import { readPlan, rowsAfter, rowsWhere, type Plan } from './plan.ts'
import type { Session } from './session.ts'
import { names, quoteName, stored } from './sql.ts'
import { proposedType } from './types.ts'

export async function describeTable(session: Session, table: string): Promise<ColumnDescription[]> {
  const { columns, uniques } = await readSource(session, { table })
  const key = uniques[0]?.columns ?? []
  return columns.map((column) => {
    const proposal = proposedType(column, key.includes(column.column))
    return {
      column: column.column,
      type: column.type,
      nullable: !column.notNull,
      key: key.includes(column.column),
      comment: '',
      ...(proposal && { proposal }),
    }
  })
}

/** SQLite has no comments. A name with a dot in it could not be configured. */
export async function listTables(session: Session, limit: number): Promise<TableListing[]> {
  const found = await session.rows(
    `select name, type = 'view' from sqlite_schema where type in ('table', 'view') and name not like 'sqlite\\_%' escape '\\'
     and name not like 'qz\\_%' escape '\\' and instr(name, '.') = 0 order by name limit ${limit}`,
  )
  return found.map(([name, view]) => ({ table: String(name), view: Number(view) === 1, comment: '', rows: null }))
}

export async function sampleRows(session: Session, table: string, columns: readonly string[], rows: number): Promise<Row[]> {
  const { from } = await readSource(session, { table })
  const values = columns.map((column) => `substr(cast(t.${quoteName(column)} as text), 1, 64)`).join(', ')
  const found = await session.rows(`select ${values} from ${from} t limit ${rows}`)
  return found.map((row) => row.map((value) => (value === null ? null : String(value))))
}

export async function previewRows(session: Session, source: SourceTable, { rows, filter }: PreviewRequest): Promise<Rows> {
  const plan = await readPlan(session, source)
  if (filter.length > 0) return rowsLike(session, plan, { rows, filter })
  const { rows: found, faults } = await rowsAfter(session, plan, null, rows)
  return { rows: found, faults }
}

export function rowsLike(session: Session, plan: Plan, { rows, filter }: PreviewRequest): Promise<Rows> {
  const wanted = filter.map(({ item: id, value }) => ({ ...plan.columns.find(({ item }) => item.id === id)!, value }))
  const conditions = wanted.map(({ column, value }) => `${names([column], 't.')} ${value === null ? 'is null' : '= ? collate binary'}`)
  const values = wanted.flatMap(({ item, value }) => (value === null ? [] : [stored(item, value)]))
  return rowsWhere(session, plan, { text: conditions.join(' and '), values }, rows)
}
