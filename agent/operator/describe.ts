import type { ColumnsAnswer, TablesAnswer } from '../../protocol/asks.ts'
import { codedError, QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { ColumnDescription, Database, Row } from '../database.ts'
import { assumptions, proposeColumns, sampleRows, worthSampling } from './proposals.ts'

/** Tables that one answer lists. */
const maxTables = 2000
/** Characters of a table's comment that are told. */
const commentLength = 100

/** Tables and views of one database or all. A database that cannot be asked stands among `faults`. Throws QZ-NOT-FOUND. */
export async function describeDatabases(databases: ReadonlyMap<string, Database>, only: string | undefined): Promise<TablesAnswer> {
  const answer: TablesAnswer = { tables: [], more: false, faults: [] }
  for (const [name, database] of chosen(databases, only)) {
    try {
      const left = maxTables - answer.tables.length
      const found = await database.tables(left + 1)
      if (found.length > left) answer.more = true
      const listed = found.slice(0, left).map((table) => ({ database: name, ...table, comment: table.comment.slice(0, commentLength) }))
      answer.tables.push(...listed)
    } catch (error) {
      const coded = codedError(error)
      answer.faults.push({ database: name, code: coded.code, zh: coded.text('zh'), en: coded.text('en') })
    }
  }
  return answer
}

function chosen(databases: ReadonlyMap<string, Database>, only: string | undefined): Iterable<[string, Database]> {
  return only === undefined ? databases : [[only, named(databases, only)]]
}

/** Without a name, the only one. */
function named(databases: ReadonlyMap<string, Database>, name: string | undefined): Database {
  const database = name === undefined && databases.size === 1 ? databases.values().next().value : databases.get(name ?? '')
  if (!database) throw new QianzhiError('QZ-NOT-FOUND', { what: { zh: `databases 中的 ${name ?? ''}`, en: `databases: ${name ?? ''}` } })
  return database
}

/** Columns of a table with proposals. Samples are read here and stay here. Throws QZ-NOT-FOUND, QZ-SOURCE-TABLE. */
export async function describeTable(
  databases: ReadonlyMap<string, Database>,
  name: string | undefined,
  table: string,
): Promise<ColumnsAnswer> {
  const database = named(databases, name)
  const described = await database.describe(table)
  const sampled = worthSampling(described)
  const { rows, unread } = sampled.length > 0 ? await sampleOf(database, table, sampled, described) : { rows: [] }
  const columns = proposeColumns(described, sampled, rows)
  const comment = await commentOf(database, table)
  const notes = [...(unread ? [unread] : []), ...assumptions(columns)]
  return { database: database.options.name, table, ...(comment && { comment }), columns, notes, sampled: rows.length }
}

/** A table that may not be read, or not in time, is described by its columns alone. */
async function sampleOf(
  database: Database,
  table: string,
  sampled: readonly string[],
  described: readonly ColumnDescription[],
): Promise<{ rows: Row[]; unread?: LocalizedText }> {
  try {
    return { rows: await database.sample(table, sampled, sampleRows) }
  } catch {
    const columns = described.map(({ column }) => column)
    const unread = await database.unreadable(table, columns).catch(() => undefined)
    return { rows: [], ...(unread && { unread }) }
  }
}

/** Tables among which a comment is looked for. */
const everyTable = 100_000

/** As the table is listed: with its schema only where it needs that. */
async function commentOf(database: Database, table: string): Promise<string> {
  const listed = await database.tables(everyTable).catch(() => [])
  const bare = table.slice(table.lastIndexOf('.') + 1)
  const found = listed.find((one) => one.table === table) ?? listed.find((one) => one.table === bare)
  return found?.comment.slice(0, commentLength) ?? ''
}
