import { existsSync } from 'node:fs'
import { createConnection } from 'mysql2/promise'
import t from 'tap'
import { findMariadb, startMariadb } from './mariadb.ts'

async function query(uri: string, sql: string): Promise<unknown> {
  const connection = await createConnection({ uri, rowsAsArray: true })
  try {
    return (await connection.query(sql))[0]
  } finally {
    await connection.end()
  }
}

t.test('the machine’s server gives fresh databases', async (t) => {
  const server = await findMariadb()
  if (!server) return t.pass('MariaDB', { skip: 'no server is reachable' })
  const url = await server.createDatabase()
  await query(url, 'create table fresh (id int primary key)')
  t.same(await query(url, 'select * from fresh'), [])
  await server.dropDatabase(url)
  await t.rejects(query(url, 'select 1'))
})

t.test('a committed row survives SIGKILL, and stop leaves nothing', async (t) => {
  const server = await startMariadb()
  if (!server) return t.pass('MariaDB', { skip: 'mariadb-server is not installed' })
  t.teardown(() => server.stop())
  const url = await server.createDatabase()
  await query(url, 'create table numbered (id int primary key, name text)')
  await query(url, `insert into numbered values (1, '许可证𠮷')`)
  await server.kill('SIGKILL')
  await t.rejects(query(url, 'select 1'))
  await server.restart()
  t.same(await query(url, 'select * from numbered'), [[1, '许可证𠮷']])
  await server.stop()
  t.notOk(existsSync(server.dataDir))
})
