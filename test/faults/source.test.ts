/** What happens to a source: its triggers, its table, its values, its keys. Held and said, or seen; both ends are equal at the end. */
import t, { type Test } from 'tap'
import { villageColumns, villagesResource } from '../../config-examples/demo/villages.ts'

import { openClient } from '../support/client.ts'
import { longer } from '../support/longer.ts'
import { findMariadb } from '../support/mariadb.ts'
import { startPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { equal, faulted, flowing, logged, sinkOf, sourceOf, startLine, type Line } from './line.ts'

const server = await startPostgres()
t.teardown(() => server.stop())

t.test('PostgreSQL', async (test) => {
  const line = await startLine(test, { server, provider: { batchBytes: 65_536 }, resource: roomy() })
  const { source, provider } = line

  await test.test('a trigger is dropped by hand: held, and after set-up a snapshot', async (dropped) => {
    for (const [name] of await source.query(`select tgname from pg_trigger where tgrelid = 'villages'::regclass and not tgisinternal`))
      await source.query(`drop trigger ${name} on villages`)
    await source.query(`update villages set name = 'unseen' where code like '%3'`)
    await faulted(() => sourceOf(line), 'QZ-SOURCE-NOT-SET-UP')
    dropped.ok(await until('the log says so', () => logged(provider, '"code":"QZ-SOURCE-NOT-SET-UP"')))
    await provider.command('setup')
    await snapshotAndEqual(dropped, line)
  })

  await test.test(
    'of what is held nobody says that it is level: rows that wait are counted, and data are as old as they are',
    async (held) => {
      const seen = async (column: string, table: string) => String((await line.store.query(`select ${column}::text from ${table}`))[0]![0])
      const polls = () => seen(`max(last_seen) filter (where id = '${provider.id}')`, 'agent')
      await source.query('alter table villages rename column name to renamed')
      await faulted(() => sourceOf(line), 'QZ-SOURCE-TABLE')
      await source.query(`update villages set renamed = 'waits' where code like '%1'`)
      await until('what waits is counted', async () => ((await sourceOf(line))?.waiting ?? 0) > 0)
      const said = await seen('head_statement', 'stream')
      for (let n = 0; n < 2; n++) {
        const before = await polls()
        await until('the provider polls', async () => (await polls()) !== before)
      }
      held.equal(await seen('head_statement', 'stream'), said, 'no newer word that this is all')
      await source.query('alter table villages rename column renamed to name')
      await flowing(line)
      await equal(held, line)
      await until('and then there is', async () => (await seen('head_statement', 'stream')) !== said)
    },
  )

  await test.test('tear-down and set-up again', async (again) => {
    await provider.command('teardown')
    await source.query(`delete from villages where code like '%4'`)
    await faulted(() => sourceOf(line), 'QZ-SOURCE-NOT-SET-UP')
    await provider.command('setup')
    await snapshotAndEqual(again, line)
  })

  await test.test('the key column is widened, and a longer key comes', async (wider) => {
    await source.query('alter table villages alter column code type varchar(40)')
    await source.query(`insert into villages values ('77', '短', '街', '区', '市', '省')`)
    await flowing(line)
    await equal(wider, line)
    await source.query(`update villages set code = '${'7'.repeat(20)}' where code = '77'`)
    await source.query(`insert into villages values ('78', '后', '街', '区', '市', '省')`)
    await until('the rest flows', async () => (await delivered(line, `code = '78'`)) === 1)
    wider.equal(await delivered(line, `code = '77'`), 0, 'the old key is deleted')
    await until('what is too long for the resource is in the quarantine', async () => (await sourceOf(line))?.quarantine === 1)
    await source.query(`delete from villages where length(code) > 12`)
    await equal(wider, line)
    await bothQuarantines(line, 0)
  })

  await test.test('a column is added with a default, a mapped one is widened', async (altered) => {
    await source.query(`alter table villages add column note text not null default 'x'`)
    await source.query('alter table villages alter column name type text')
    await source.query(`update villages set name = name || '宽' where code like '%5'`)
    await equal(altered, line)
    await source.query('alter table villages drop column note')
    await flowing(line)
  })

  await test.test('a mapped column is rewritten by ALTER … USING, which fires no trigger', async (rewritten) => {
    await source.query(`alter table villages alter column city type varchar(90) using city || '!'`)
    await equal(rewritten, line)
  })

  await test.test('a key changes its case only', async (cased) => {
    await source.query(`insert into villages values ('44010600002x', '甲', '街', '区', '市', '省')`)
    await equal(cased, line)
    await source.query(`update villages set code = upper(code) where code = '44010600002x'`)
    await equal(cased, line)
    cased.equal(await delivered(line, `code = '44010600002X'`), 1)
  })

  await test.test('the whole table is deleted and inserted again every night', async (nightly) => {
    for (const night of [1, 2, 3]) {
      await source.query('create table tonight as select * from villages')
      await source.query('delete from villages')
      await source.query(`insert into villages select * from tonight`)
      await source.query(`update villages set name = left(name, 20) || '夜${night}' where code like '%${night}'`)
      await source.query('drop table tonight')
    }
    await equal(nightly, line)
  })

  await test.test('a value too large for a batch', async (large) => {
    // Random text, which does not compress.
    await source.query(
      `update villages set province = (select string_agg(md5(random()::text || n), '') from generate_series(1, 8000) n)
       where code = '44010600002X'`,
    )
    await source.query(`update villages set name = '其余' where code like '%6'`)
    await bothQuarantines(line, 1)
    await until('the rest flows', async () => (await delivered(line, `name = '其余'`)) === (await supplied(line, `name = '其余'`)))
    large.equal(await delivered(line, `code = '44010600002X' and province = '省'`), 1, 'the receiver keeps the row as it was')
    await until('the office sees it at both ends', async () => {
      const { source: from, receiver: to } = (await line.exchange.office('explain', line.route)) as Explained
      return from.report?.quarantine === 1 && to.quarantine === 1
    })
    await source.query(`update villages set province = '小' where code = '44010600002X'`)
    await equal(large, line)
    await until(
      'both quarantines are empty',
      async () => (await sourceOf(line))?.quarantine === 0 && (await sinkOf(line))?.quarantine === 0,
    )
  })

  await test.test('a row that the target refuses', async (refused) => {
    await line.target.query(`alter table ${line.table} add constraint wanted check (name <> 'refuse me')`)
    await source.query(`update villages set name = 'refuse me' where code = '44010600002X'`)
    await source.query(`update villages set name = '好' where code like '%7'`)
    await until('it is set aside', async () => (await sinkOf(line))?.quarantine === 1)
    await until('the rest is applied', async () => (await delivered(line, `name = '好'`)) === (await supplied(line, `name = '好'`)))
    const [fault] = await line.target.query('select code, reason from qianzhi.quarantine')
    refused.equal(fault![0], 'QZ-ROW-REFUSED')
    refused.match(fault![1], /wanted/)
    await source.query(`update villages set name = 'take me' where code = '44010600002X'`)
    await until('it left the quarantine', async () => (await sinkOf(line))?.quarantine === 0)
    await equal(refused, line)
  })
})

t.test('the application’s own statements behave as without capture', async (test) => {
  const prepared = await startPostgres({ settings: { max_prepared_transactions: '5' } })
  test.teardown(() => prepared.stop())
  const line = await startLine(test, { server: prepared, rows: 50 })
  const { source } = line
  await source.query('create sequence number; create table other (id bigserial primary key, note text)')
  await source.query(`insert into other (note) values ('a')`)
  const before = await source.query('select lastval()')
  await source.query(`insert into villages values ('1', '一', '街', '区', '市', '省'), ('2', '二', '街', '区', '市', '省')`)
  test.strictSame(await source.query('select lastval()'), before, 'lastval')

  await source.query(`begin; update villages set name = '两阶段' where code = '1'; prepare transaction 'first'`)
  await source.query(`begin; update villages set name = '不要' where code = '2'; prepare transaction 'second'`)
  await source.query(`commit prepared 'first'`)
  await source.query(`rollback prepared 'second'`)
  await equal(test, line, 'two-phase commit')

  const stateOf = (sql: string) =>
    source.query(sql).then(
      () => 'none',
      (error: unknown) => (error as { code: string }).code,
    )
  test.equal(await stateOf(`insert into villages values ('1', '又', '街', '区', '市', '省')`), '23505', 'a key twice')
  test.equal(await stateOf(`insert into villages values ('3', null, repeat('长', 200), '区', '市', '省')`), '22001', 'too long')
  const changed = await source.query(`update villages set name = name || '+' where code in ('1', '2') returning code`)
  test.same(new Set(changed.flat()), new Set(['1', '2']), 'RETURNING')
  await source.query(
    `begin; savepoint s; delete from villages where code = '1'; rollback to s; delete from villages where code = '2'; commit`,
  )
  await source.query('drop sequence number')
  await equal(test, line)
})

const mariadb = await findMariadb()
t.test('MariaDB', { skip: mariadb ? longer : 'MariaDB is not reachable' }, async (test) => {
  const sourceUrl = await mariadb!.createDatabase()
  test.teardown(() => mariadb!.dropDatabase(sourceUrl))
  const admin = await openClient(sourceUrl)
  test.teardown(() => admin.end())
  await admin.query(
    `create table villages (${villageColumns.map((column) => `${column} varchar(${column === 'code' ? 12 : 100}) not null`).join(', ')},
     primary key (code)) character set utf8mb4 collate utf8mb4_general_ci`,
  )
  const line = await startLine(test, { server, sourceUrl, rows: 300 })

  await test.test('a key changes its case only, in a collation that does not tell', async (cased) => {
    await line.source.query(`insert into villages values ('44010600002x', '甲', '街', '区', '市', '省')`)
    await equal(cased, line)
    await line.source.query(`update villages set code = '44010600002X' where code = '44010600002x'`)
    await equal(cased, line)
    cased.strictSame(await line.target.query(`select code from ${line.table} where lower(code) = '44010600002x'`), [['44010600002X']])
  })

  await test.test('a trigger is dropped by hand', async (dropped) => {
    const triggers = await line.source.query('select trigger_name from information_schema.triggers where trigger_schema = database()')
    for (const [name] of triggers) await line.source.query(`drop trigger \`${name}\``)
    await line.source.query(`update villages set name = 'unseen' where code like '%3'`)
    await faulted(() => sourceOf(line), 'QZ-SOURCE-NOT-SET-UP')
    await line.provider.command('setup')
    await snapshotAndEqual(dropped, line)
  })

  await test.test('the whole table is deleted and inserted again', async (nightly) => {
    await line.source.query('create table tonight as select * from villages')
    await line.source.query('delete from villages')
    await line.source.query('insert into villages select * from tonight')
    await equal(nightly, line)
  })
})

interface Explained extends Record<string, unknown> {
  source: { report?: { quarantine: number } }
  receiver: { quarantine: number }
}

/** A province may be long. */
function roomy() {
  const resource = villagesResource()
  return { ...resource, items: resource.items.map((item) => (item.id === 'province' ? { ...item, length: 1_000_000 } : item)) }
}

async function bothQuarantines(line: Line, keys: number): Promise<void> {
  await until(
    `the quarantines of both ends hold ${keys} keys`,
    async () => (await sourceOf(line))?.quarantine === keys && (await sinkOf(line))?.quarantine === keys,
    30,
  )
}

async function snapshotAndEqual(test: Test, line: Line): Promise<void> {
  await flowing(line)
  await equal(test, line)
}

async function delivered({ target, table }: Line, where: string): Promise<number> {
  return Number((await target.query(`select count(*) from ${table} where ${where}`))[0]![0])
}

async function supplied({ source }: Line, where: string): Promise<number> {
  return Number((await source.query(`select count(*) from villages where ${where}`))[0]![0])
}
