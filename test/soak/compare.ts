/** Compares two tables row by row by what their servers say in plain SQL. It shares no code with the exchange. */
import type { Client } from '../support/client.ts'
import type { Column, Table } from './tables.ts'

export interface TableDifference {
  rows: number
  /** Texts of rows whose key the target lacks, has otherwise, or has and should not. */
  lost: string[]
  different: string[]
  surplus: string[]
}

export async function compareTables(table: Table, source: Client, target: Client): Promise<TableDifference> {
  const [wanted, there] = [await rowsOf(table, source), await rowsOf(table, target)]
  const found: TableDifference = { rows: wanted.size, lost: [], different: [], surplus: [] }
  for (const [key, row] of wanted) {
    const other = there.get(key)
    if (other === undefined) found.lost.push(key)
    else if (other !== row) found.different.push(`${row} is ${other}`)
  }
  for (const key of there.keys()) if (!wanted.has(key)) found.surplus.push(key)
  return found
}

export function count({ lost, different, surplus }: TableDifference): number {
  return lost.length + different.length + surplus.length
}

async function rowsOf({ name, columns }: Table, client: Client): Promise<Map<string, string>> {
  const rows = await client.query(`select ${columns.map((column) => shown(column, client.engine)).join(', ')} from ${name}`)
  const keys = columns.flatMap(({ key }, i) => (key ? [i] : []))
  const found = new Map(rows.map((row) => [JSON.stringify(keys.map((i) => row[i])), JSON.stringify(row)]))
  if (found.size !== rows.length) throw new Error(`${name} has a key twice`)
  return found
}

function shown({ id, type }: Column, engine: Client['engine']): string {
  if (type === 'timestamp')
    return engine === 'postgres' ? `to_char(${id}, 'YYYY-MM-DD HH24:MI:SS.US')` : `date_format(${id}, '%Y-%m-%d %H:%i:%s.%f')`
  if (type === 'boolean') return `case when ${id} then 1 when not ${id} then 0 end`
  return engine === 'postgres' ? `${id}::text` : `cast(${id} as char)`
}
