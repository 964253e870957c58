/** A table as the agent describes it to those who register it: by what its account may see, and what it may not. */
import t from 'tap'
import { openPostgres } from '../../../agent/databases/postgres/engine.ts'
import { describeTable } from '../../../agent/operator/describe.ts'
import { openClient } from '../../support/client.ts'
import { findPostgres } from '../../support/postgres.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

t.test('the comment of a table, however it is named; the grant to copy where its rows or it are not to be seen', async (t) => {
  const url = await server.createDatabase('described')
  const admin = await openClient(url)
  const user = `reader_${process.pid}`
  await admin.query(`create role ${user} login password 'x'`)
  await admin.query('create table licence (id int primary key, flag boolean)')
  await admin.query(`comment on table licence is '行政许可'`)
  await admin.query('create schema apart; create table apart.licence (id int primary key, name text)')
  const own = new URL(url)
  own.username = user
  own.password = 'x'
  const database = await openPostgres({ name: 'front', url: own.href, pace: 5 })
  t.teardown(async () => {
    await database.close()
    await admin.query(`drop owned by ${user}; drop role ${user}`)
    await admin.end()
  })
  const describe = (table: string) => describeTable(new Map([['front', database]]), 'front', table)
  const granted = async (said: string | undefined) => {
    const [, grants = ''] = /have the DBA run (.*) \(or it does not exist\)/.exec(said ?? '') ?? []
    for (const grant of grants.split('; ')) await admin.query(grant)
    return grants
  }

  const blind = await describe('public.licence')
  t.match(blind, { sampled: 0, columns: [{ column: 'id' }, { column: 'flag' }] })
  t.equal(await granted(blind.notes?.[0]?.en), `grant select ("id", "flag") on "public"."licence" to "${user}"`)
  for (const table of ['licence', 'public.licence']) t.match(await describe(table), { comment: '行政许可', notes: [] })

  const hidden = await describe('apart.licence').then(String, (error: Error) => error.message)
  t.equal(await granted(hidden), `grant usage on schema "apart" to "${user}"; grant select on "apart"."licence" to "${user}"`)
  t.notOk('comment' in (await describe('apart.licence')), "another schema's is another table")
  await t.rejects(describe('nowhere'), { code: 'QZ-SOURCE-TABLE', message: /does not exist$/ })
})
