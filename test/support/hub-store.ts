/** Databases for hubs: with the tables that a hub's first start makes, and nothing in them. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { openStore } from '../../hub/store/store.ts'
import type { TestDatabases } from './postgres.ts'

const migrations = new URL('../../hub/store/migrations/', import.meta.url)

/** A database for one hub, copied from one that the run's first caller made. */
export async function hubStore(databases: TestDatabases): Promise<string> {
  const template = `hub_${migrationsHash()}`
  await databases.makeTemplate(template, async (url) => {
    await (await openStore(url)).close()
    return ''
  })
  return databases.createDatabase('hub', template)
}

/** Names a folder or a database by what the hub's tables are made from. */
export function migrationsHash(): string {
  const hash = createHash('sha256')
  for (const name of readdirSync(migrations).toSorted()) hash.update(name).update(readFileSync(new URL(name, migrations)))
  return hash.digest('hex').slice(0, 16)
}
