/**
 * Rows that the agent has, as a FROM item of a statement. A few go as parameters; more are loaded into a temporary table of the session,
 * which every version and every compatible server takes (OPENJSON came with 2016, a statement has at most 2,100 parameters).
 */
import { binaryCollation } from './sql.ts'
import type { LoadColumn, SqlParameters, Session } from './connection.ts'

export type StageType = 'nvarchar(4000)' | 'nvarchar(max)' | 'varbinary(max)'

export interface Rowset {
  /** Named `s` (or as wished), with the columns c1, c2 … */
  from: string
  parameters: SqlParameters
}

/** Values up to here are parameters: few enough for any server, and of few different texts. */
const maxParameters = 60

/**
 * `name`: of the FROM item; `use`: row sets that are needed at the same time have different ones.
 */
export async function rowset(
  session: Session,
  types: readonly StageType[],
  rows: readonly (readonly (string | Buffer | null)[])[],
  name = 's',
  use = name,
): Promise<Rowset> {
  if (rows.length > 0 && rows.length * types.length <= maxParameters) return asParameters(types, rows, name)
  const table = await stageTable(session, types, use)
  await session.query(`truncate table ${table}`)
  if (rows.length > 0) await session.load(table, types.map(loadColumn), rows)
  return { from: `${table} ${name}`, parameters: {} }
}

function asParameters(types: readonly StageType[], rows: readonly (readonly (string | Buffer | null)[])[], name: string): Rowset {
  const parameters: Record<string, string | Buffer | null> = {}
  const lines = rows.map((row, i) => {
    const places = row.map((value, j) => {
      const parameter = `${name}${i * types.length + j + 1}`
      parameters[parameter] = value
      // An untyped null would take the type of text.
      return types[j] === 'varbinary(max)' ? `convert(varbinary(max), @${parameter})` : `@${parameter}`
    })
    return `(${places.join(', ')})`
  })
  return { from: `(values ${lines.join(', ')}) ${name}(${types.map((_, i) => `c${i + 1}`).join(', ')})`, parameters }
}

function loadColumn(type: StageType, i: number): LoadColumn {
  return { name: `c${i + 1}`, binary: type.startsWith('varbinary'), long: type.endsWith('(max)') }
}

async function stageTable(session: Session, types: readonly StageType[], use: string): Promise<string> {
  const definition = stageDefinition(types)
  const known = session.stages.get(`${use} ${definition}`)
  if (known) return known
  const table = `#qz_stage_${session.stages.size + 1}`
  await session.query(`create table ${table} (${definition})`)
  session.stages.set(`${use} ${definition}`, table)
  return table
}

export function stageDefinition(types: readonly StageType[]): string {
  return types.map((type, i) => `c${i + 1} ${type}${type.startsWith('nvarchar') ? ` collate ${binaryCollation}` : ''} null`).join(', ')
}
