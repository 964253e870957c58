/** What must hold for the running agent, each as one line with its remedy. */
import type { Check, SinkTable, SourceTable } from '../database.ts'
import type { Connection } from './postgres-connection.ts'

export async function doctor(
  open: () => Promise<Connection>,
  _sources: readonly SourceTable[],
  _sinks: readonly SinkTable[],
): Promise<Check[]> {
  const connection = await open()
  await connection.close()
  return []
}
