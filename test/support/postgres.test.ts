import { existsSync } from 'node:fs'
import pg from 'pg'
import t from 'tap'
import { startPostgres } from './postgres.ts'

async function query(connectionString: string, sql: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows
  } finally {
    await client.end()
  }
}

t.test('a committed row survives SIGKILL, and stop leaves nothing', async (t) => {
  const server = await startPostgres({ settings: { wal_level: 'logical' } })
  t.teardown(() => server.stop())
  const url = await server.createDatabase('样例')
  await query(url, `create table rows (id int primary key, name text); insert into rows values (1, '许可证')`)
  t.same(await query(url, 'show wal_level'), [['logical']])
  t.same(await query(url, 'show fsync'), [['on']])
  const pid = server.pid()
  await server.kill('SIGKILL')
  await t.rejects(query(url, 'select 1'))
  t.throws(() => process.kill(pid, 0))
  await server.restart()
  t.not(server.pid(), pid)
  t.same(await query(url, 'select * from rows'), [[1, '许可证']])
  await server.restart()
  t.same(await query(url, 'select id from rows'), [[1]])
  await server.stop()
  t.notOk(existsSync(server.dataDir))
})
