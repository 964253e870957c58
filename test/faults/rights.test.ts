/** A right is taken away under way, at either end: held with the code that says so, nobody's row blamed, resumed by itself after the grant. */
import t, { type Test } from 'tap'
import { openClient } from '../support/client.ts'
import { startPostgres } from '../support/postgres.ts'
import { equal, faulted, flowing, sinkOf, sourceOf, startLine, type Line } from './line.ts'

t.test('PostgreSQL', async (test) => {
  const server = await startPostgres()
  test.teardown(() => server.stop())
  const admin = await openClient(server.url())
  await admin.query('create role front login')
  /** A database that the agent uses with no more than its own rights, and the DBA's connection to it. */
  const database = async (name: string) => {
    const url = new URL(await server.createDatabase(name))
    await admin.query(`alter database ${name} owner to front`)
    const dba = await openClient(url.href)
    test.teardown(() => dba.end())
    url.username = 'front'
    return { url: url.href, dba }
  }
  const [from, to] = [await database('supplied'), await database('received')]
  await admin.end()
  const line = await startLine(test, { server, sourceUrl: from.url, targetUrl: to.url, rows: 50 })
  const { source } = line

  await test.test('SELECT at the source', async (revoked) => {
    await from.dba.query('revoke select on villages from front')
    await from.dba.query(`update villages set name = '甲' where code like '%1'`)
    await faulted(() => sourceOf(line), 'QZ-DB-RIGHTS')
    revoked.match((await sourceOf(line))?.fault?.en, /villages/, 'the reason names the table')
    await from.dba.query('grant select on villages to front')
    await recovered(revoked, line)
  })

  await test.test('INSERT into the delivered table', async (revoked) => {
    await to.dba.query(`revoke insert on ${line.table} from front`)
    await source.query(`insert into villages values ('90', '新', '街', '区', '市', '省')`)
    await faulted(() => sinkOf(line), 'QZ-DB-RIGHTS')
    revoked.match((await sinkOf(line))?.fault?.en, /villages/, 'the reason names the table')
    revoked.equal((await sinkOf(line))?.quarantine, 0, 'no row is blamed')
    await to.dba.query(`grant insert on ${line.table} to front`)
    await recovered(revoked, line)
  })
})

async function recovered(test: Test, line: Line): Promise<void> {
  await flowing(line)
  await equal(test, line)
  test.equal((await sinkOf(line))?.quarantine, 0)
}
