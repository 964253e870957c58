import type { ColumnsAnswer, TablesAnswer } from '../../protocol/asks.ts'
import { codedError, QianzhiError } from '../../protocol/errors.ts'
import type { Database, Row } from '../database.ts'
import { proposeColumns, sampleRows, worthSampling } from './proposals.ts'

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
  const columns = await database.describe(table)
  const sampled = worthSampling(columns)
  const samples = sampled.length > 0 ? await sampleOf(database, table, sampled) : []
  return {
    database: database.options.name,
    table,
    columns: proposeColumns(columns, sampled, samples),
    sampled: samples.length,
  }
}

/** A table that may not be read, or not in time, is described by its columns alone. */
async function sampleOf(database: Database, table: string, columns: readonly string[]): Promise<Row[]> {
  try {
    return await database.sample(table, columns, sampleRows)
  } catch {
    return []
  }
}
