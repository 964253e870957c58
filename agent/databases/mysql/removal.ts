/**
 * Removing a source's rows. A foreign key into the same table is checked row by row here, also for a row that refers to itself: rows to which
 * others refer go after those, and where rows refer to one another in a ring they let go first.
 */
import { place, readTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { names, quoteTable, quoteText, sourceColumn } from './sql.ts'

/** Columns of the table itself, and those of it to which they refer. */
interface Reference {
  columns: string[]
  to: string[]
  nullable: boolean
}

/** See `SinkEngine.removeSome`. */
export async function removeSome(session: Session, table: string, source: string, limit: number, past?: number): Promise<number> {
  const found = await readTable(session, table)
  if (!found?.columns.some(({ column }) => column.toLowerCase() === sourceColumn)) return 0
  const name = quoteTable(table)
  const own = `${sourceColumn} = ${quoteText(source)}`
  const remove = async (condition: string, most: number) =>
    (await session.run(`delete from ${name} where ${own}${condition} limit ${most}`)).affectedRows
  const [key] = found.uniques
  if (past !== undefined && key) {
    const order = key.columns.map((column) => `${names([column])} desc`).join(', ')
    const some = `select ${names(key.columns)} from ${name} where ${own} order by ${order} limit ${limit} offset ${past}`
    return remove(` and (${names(key.columns)}) in (select * from (${some}) some)`, limit)
  }
  const references = await selfReferences(session, table)
  let removed = 0
  if (references.length > 0) {
    const free = references.map((one) => ` and ${notReferred(name, one)}`).join('')
    for (let letGo = false; removed < limit;) {
      const gone = await remove(free, limit - removed)
      removed += gone
      if (gone > 0) continue
      if (letGo) break
      // Only rows of rings are left, those that they refer to, and what others refer to.
      letGo = true
      for (const { columns, nullable } of references)
        if (nullable)
          await session.run(`update ${name} set ${columns.map((column) => `${names([column])} = null`).join(', ')} where ${own}`)
    }
  }
  return removed < limit ? removed + (await remove('', limit - removed)) : removed
}

/** Read as a table of its own: a statement may not read the one from which it deletes. */
function notReferred(name: string, { columns, to }: Reference): string {
  const filled = columns.map((column) => `${names([column])} is not null`).join(' and ')
  return `(${names(to)}) not in (select * from (select distinct ${names(columns)} from ${name} where ${filled}) others)`
}

async function selfReferences(session: Session, table: string): Promise<Reference[]> {
  const { database, name } = place(session, table)
  const [schema, own] = [quoteText(database), quoteText(name)]
  const rows = await session.rows(
    `select k.constraint_name, k.column_name, k.referenced_column_name, c.is_nullable from information_schema.key_column_usage k
     join information_schema.columns c on c.table_schema = k.table_schema and c.table_name = k.table_name and c.column_name = k.column_name
     where k.table_schema = ${schema} and k.table_name = ${own} and k.referenced_table_schema = ${schema} and k.referenced_table_name = ${own}
     order by k.constraint_name, k.ordinal_position`,
  )
  return Array.from(
    Map.groupBy(rows, ([constraint]) => constraint),
    ([, parts]) => ({
      columns: parts.map((part) => String(part[1])),
      to: parts.map((part) => String(part[2])),
      nullable: parts.every((part) => part[3] === 'YES'),
    }),
  )
}
