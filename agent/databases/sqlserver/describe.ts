/** Looking at the tables of SQL Server for those who register a resource: names, columns, samples, and rows as they would be sent. */
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import { lengthProperty, quoteName } from './sql.ts'
import {
  previewTimeoutMs,
  type ColumnDescription,
  type PreviewRequest,
  type Row,
  type Rows,
  type SourceTable,
  type TableListing,
} from '../../database.ts'
import { fullType, needTable, type CatalogColumn, type CatalogTable } from './catalog.ts'
import { reads, type Session } from './connection.ts'
import { isContention, isMissing } from './errors.ts'
import { readPlan, reference, rowsAfter, rowsWhere, type Plan } from './plan.ts'
import { proposedType } from './proposal.ts'
import { queueText } from './types.ts'

/** Reads only, and not for long. The session is for this work alone. */
export async function readOnly<T>(session: Session, table: string, work: () => Promise<T>): Promise<T> {
  const late = new QianzhiError('QZ-DB-UNREACHABLE', {
    database: session.server.database,
    reason: { zh: `${previewTimeoutMs} 毫秒内没有答复`, en: `no answer within ${previewTimeoutMs} ms` },
  })
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(late), previewTimeoutMs)))
  try {
    await session.query(`set lock_timeout ${previewTimeoutMs}`).catch(() => {})
    return await Promise.race([work(), limit])
  } catch (error) {
    if (isMissing(error)) throw new QianzhiError('QZ-SOURCE-TABLE', { table, reason: reasonOf(error) }, { cause: error })
    throw isContention(error) ? late : error
  } finally {
    clearTimeout(timer)
  }
}

/** A name with a dot in it could not be configured. The catalogue shows only what the account has some right to. */
export const tablesStatement = `select top (convert(int, @limit)) case when s.name = @schema then o.name else s.name + N'.' + o.name end as place, rtrim(o.type),
  (select top (1) convert(nvarchar(4000), e.value) from sys.extended_properties e
    where e.class = 1 and e.major_id = o.object_id and e.minor_id = 0 and e.name = N'MS_Description'),
  (select sum(p.rows) from sys.partitions p where p.object_id = o.object_id and p.index_id in (0, 1))
from sys.objects o join sys.schemas s on s.schema_id = o.schema_id
where o.type in ('U', 'V') and o.is_ms_shipped = 0 and s.name not in (N'qianzhi', N'sys', N'INFORMATION_SCHEMA')
  and o.name not like N'qz[_]%' and charindex(N'.', o.name) = 0 and charindex(N'.', s.name) = 0
order by place`

export async function listTables(session: Session, limit: number): Promise<TableListing[]> {
  const found = await session.query(tablesStatement, { limit: String(limit), schema: session.server.schema })
  return found.map(([table, type, comment, rows]) => {
    const view = type === 'V'
    return {
      table: String(table),
      view,
      comment: comment === null ? '' : String(comment),
      rows: view || rows === null || Number(rows) < 0 ? null : Number(rows),
    }
  })
}

export async function describeTable(session: Session, name: string): Promise<ColumnDescription[]> {
  const table = await needTable(session, name)
  const key = table.uniques[0]?.columns ?? []
  const [comments, lengths] = [await propertiesOf(session, table, 'MS_Description'), await propertiesOf(session, table, lengthProperty)]
  return table.columns.map((column) => described(column, key.includes(column.column), comments, lengths))
}

function described(
  column: CatalogColumn,
  key: boolean,
  comments: ReadonlyMap<number, string>,
  lengths: ReadonlyMap<number, string>,
): ColumnDescription {
  const made = lengths.get(column.id)
  const proposal = proposedType(column, key, made === undefined ? undefined : Number(made))
  return {
    column: column.column,
    type: fullType(column),
    nullable: column.nullable,
    key,
    comment: comments.get(column.id) ?? '',
    ...(proposal && { proposal }),
  }
}

async function propertiesOf(session: Session, { id }: CatalogTable, name: string): Promise<Map<number, string>> {
  const found = await session.query(
    `select convert(int, e.minor_id), convert(nvarchar(4000), e.value) from sys.extended_properties e
where e.class = 1 and e.major_id = convert(int, @id) and e.minor_id > 0 and e.name = @name`,
    { id: String(id), name },
  )
  return new Map(found.map(([column, value]) => [Number(column), String(value)]))
}

export async function sampleRows(session: Session, name: string, columns: readonly string[], rows: number): Promise<Row[]> {
  const table = await needTable(session, name)
  const values = columns.map((column) => `left(convert(nvarchar(max), t.${quoteName(column)}), 64)`)
  const found = await session.query(reads(session.server, `select top (convert(int, @limit)) ${values.join(', ')} from ${table.name} t`), {
    limit: String(rows),
  })
  return found.map((row) => row.map((value) => (value === null ? null : String(value))))
}

export async function previewRows(session: Session, source: SourceTable, { rows, filter }: PreviewRequest): Promise<Rows> {
  const plan = await readPlan(session, source)
  if (filter.length > 0) return rowsLike(session, plan, { rows, filter })
  const { rows: found, faults } = await rowsAfter(session, plan, null, rows)
  return { rows: found, faults }
}

/** Compared in the column's own type, so that an index serves; then byte by byte, where the collation makes different texts equal. */
export async function rowsLike(session: Session, plan: Plan, { rows, filter }: PreviewRequest): Promise<Rows> {
  const parameters: Record<string, string> = {}
  const wanted = filter.map(({ item: id, value }, i) => {
    const at = plan.columns.findIndex(({ item }) => item.id === id)
    const column = plan.columns[at]!
    if (value !== null) parameters[`wanted${i}`] = queueText(column.item.type, value)
    const condition = `${reference(column)} ${value === null ? 'is null' : `= ${column.fromText(`@wanted${i}`)}`}`
    return { at, item: column.item, value, condition }
  })
  const found = await rowsWhere(
    session,
    plan,
    wanted.map(({ condition }) => condition),
    parameters,
    rows,
  )
  return { ...found, rows: found.rows.filter((row) => wanted.every(({ at, item, value }) => item.type !== 'text' || row[at] === value)) }
}
