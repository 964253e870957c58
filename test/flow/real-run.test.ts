import t, { type Test } from 'tap'
import { readVillages } from '../../config-examples/demo/villages.ts'
import { longer } from '../support/longer.ts'
import { findMariadb } from '../support/mariadb.ts'
import { findPostgres } from '../support/postgres.ts'
import { makeFile } from '../support/sqlite.ts'
import { realRun } from './real-run.ts'

const mariadb = await findMariadb()
const skip = mariadb ? false : 'no MariaDB is reachable (QIANZHI_TEST_MARIADB_URL)'
const postgres = await findPostgres()
t.teardown(() => postgres.stop())

/** The first load of all villages in one direction, of some in the others; in the longer run of all in each. */
const some = longer ? 6_000 : undefined

async function run(t: Test, sourceUrl: string, targetUrl: string, limit = some): Promise<void> {
  const rows = readVillages().slice(0, limit)
  const result = await realRun({ sourceUrl, targetUrl, rows, writers: 4, transactions: 100, note: (line) => t.comment(line) })
  t.ok(result.changes > 1_000, 'the writers changed rows')
  t.same(result.missing.slice(0, 3), [], 'no row is missing')
  t.same(result.surplus.slice(0, 3), [], 'no row is too many')
}

t.test('PostgreSQL to PostgreSQL', { skip: longer }, async (t) =>
  run(t, await postgres.createDatabase('a'), await postgres.createDatabase('b')),
)

t.test('MariaDB to PostgreSQL', { skip }, async (t) =>
  run(t, await mariadb!.createDatabase(), await postgres.createDatabase('c'), Infinity),
)

t.test('PostgreSQL to MariaDB', { skip }, async (t) => run(t, await postgres.createDatabase('d'), await mariadb!.createDatabase()))

t.test('MariaDB to MariaDB', { skip: skip || longer }, async (t) =>
  run(t, await mariadb!.createDatabase(), await mariadb!.createDatabase()),
)

t.test('SQLite to SQLite', async (t) => run(t, await file(t), await file(t)))

async function file(t: Test): Promise<string> {
  const { url, drop } = await makeFile()
  t.teardown(drop)
  return url
}
