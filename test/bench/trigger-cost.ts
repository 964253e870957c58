/** Installs trigger capture on a benchmark table without any agent behind it. */
import { openPostgres } from '../../agent/databases/postgres/engine.ts'
import type { SourceTable } from '../../agent/database.ts'
import { licencesResource } from './licences.ts'

export async function installCapture(url: string): Promise<void> {
  const database = await openPostgres({ name: 'bench', url, pace: 50 })
  const schema = { ...licencesResource(), version: 1 }
  const columns = schema.items.map((item) => ({ item, column: item.name }))
  const source: SourceTable = {
    resource: 'licences',
    table: 'licences',
    schema,
    columns,
    capture: 'triggers',
    zeroDates: 'refuse',
    valueLimit: 786_432,
    queueLimit: 1024 ** 3,
  }
  await database.run(await database.setupScript(source))
  await database.close()
}
