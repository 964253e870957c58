/** Tables altered by hand at both ends of a running line: held with the code that says who must act, resumed by itself, nothing lost. */
import { statSync } from 'node:fs'
import t, { type Test } from 'tap'
import { findMariadb } from '../support/mariadb.ts'
import { startPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { smallDisk } from '../support/small-disk.ts'
import { equal, faulted, flowing, sinkOf, sourceOf, startLine, type Line } from './line.ts'

const server = await startPostgres()
t.teardown(() => server.stop())

t.test('PostgreSQL', async (test) => {
  const line = await startLine(test, { server, rows: 200 })
  const { source, target, table } = line

  await test.test('the key column at the source is renamed, and named back', async (renamed) => {
    await source.query('alter table villages rename column code to bm')
    await source.query(`insert into villages values ('90', '改名后', '街', '区', '市', '省')`)
    renamed.pass('the application goes on')
    await heldSource(line, /QZ-SOURCE-(TABLE|NOT-SET-UP)/)
    await source.query('alter table villages rename column bm to code')
    await recovered(renamed, line)
  })

  await test.test('a column at the source becomes one that cannot supply its item', async (retyped) => {
    await source.query(`alter table villages alter column area type bytea using convert_to(area, 'UTF8')`)
    await source.query(`update villages set name = '改型' where code like '%1'`)
    await heldSource(line, /QZ-SOURCE-TYPE/)
    await source.query(`alter table villages alter column area type varchar(100) using '区'`)
    await recovered(retyped, line)
  })

  await test.test('another table takes the name of the source by RENAME: its triggers went with the old one', async (swapped) => {
    await source.query(`begin; alter table villages rename to villages_old; create table villages (like villages_old including all);
      insert into villages select * from villages_old where code like '%2%'; commit`)
    await source.query(`update villages_old set name = '旧表' where code like '%2'`)
    await source.query(`update villages set name = '新表' where code like '%22'`)
    await heldSource(line, /QZ-SOURCE-NOT-SET-UP/)
    await line.provider.command('setup')
    await recovered(swapped, line)
    await source.query(`update villages_old set name = '旧表' where code like '%2'`)
    await source.query(`delete from villages_old`)
    await source.query(`update villages set name = '后来' where code like '%22'`)
    await equal(swapped, line, 'what happens to the old table is of no concern')
    await source.query('drop table villages_old')
  })

  await test.test('a delivered column is dropped under way, and comes back empty: the table is filled anew', async (dropped) => {
    await target.query(`alter table ${table} drop column name`)
    await source.query(`update villages set name = '甲' where code like '%2'`)
    await faulted(() => sinkOf(line), 'QZ-SINK-TABLE')
    dropped.equal((await sinkOf(line))?.quarantine, 0, 'no row is blamed')
    await target.query(`alter table ${table} add column name varchar(100)`)
    await recovered(dropped, line)
  })

  await test.test('the key of the delivered table is dropped: rows would come twice', async (keyless) => {
    await target.query(`alter table ${table} drop constraint villages_pkey`)
    await source.query(`update villages set name = '乙' where code like '%2'`)
    await faulted(() => sinkOf(line), 'QZ-SINK-TABLE')
    await target.query(`alter table ${table} add primary key (code)`)
    await recovered(keyless, line)
  })

  await test.test('the target becomes read-only, as a replica is', async (readOnly) => {
    const database = (await target.query('select current_database()'))[0]![0]!
    const disconnect = `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`
    await target.query(`alter database "${database}" set default_transaction_read_only = on`)
    await target.query(disconnect)
    await faulted(() => sinkOf(line), 'QZ-DB-READ-ONLY')
    await source.query(`update villages set name = '丁' where code like '%2'`)
    await target.query('set default_transaction_read_only = off')
    await target.query(`alter database "${database}" reset default_transaction_read_only`)
    await target.query(disconnect)
    await recovered(readOnly, line)
  })

  await test.test('the disk of the target is full', async (full) => {
    const disk = smallDisk(full, statSync(server.dataDir).uid)
    if (!disk) return void full.pass('no small disk', { skip: 'a tmpfs cannot be mounted here' })
    await target.query(`create tablespace small location '${disk.folder}'`)
    full.teardown(() => target.query('drop tablespace if exists small'))
    await target.query(`alter table ${table} set tablespace small`)
    await recovered(full, line)
    disk.fill()
    await source.query(`insert into villages select 'x' || n, md5(n::text), '街', '区', '市', '省' from generate_series(1, 20000) n`)
    await faulted(() => sinkOf(line), 'QZ-DB-UNREACHABLE')
    full.match((await sinkOf(line))?.fault?.en, /space/i, 'the reason says so')
    full.equal((await sinkOf(line))?.quarantine, 0)
    disk.free()
    await recovered(full, line)
    await target.query(`alter table ${table} set tablespace pg_default`)
  })
})

const mariadb = await findMariadb()
t.test('MariaDB', { skip: mariadb ? false : 'MariaDB is not reachable' }, async (test) => {
  const urls = [await mariadb!.createDatabase(), await mariadb!.createDatabase()] as const
  test.teardown(async () => {
    for (const url of urls) await mariadb!.dropDatabase(url)
  })
  const line = await startLine(test, { server, sourceUrl: urls[0], targetUrl: urls[1], rows: 200 })
  const { source, target, table } = line

  await test.test('the key column at the source is renamed, and named back', async (renamed) => {
    await source.query('alter table villages change code bm varchar(12) not null')
    await heldSource(line, /QZ-SOURCE-(TABLE|NOT-SET-UP)/)
    await source.query('alter table villages change bm code varchar(12) not null')
    await recovered(renamed, line)
  })

  await test.test('another table takes the name of the source by RENAME', async (swapped) => {
    await source.query('create table villages_new like villages')
    await source.query(`insert into villages_new select * from villages where code like '%2%'`)
    await source.query('rename table villages to villages_old, villages_new to villages')
    await source.query(`update villages_old set name = '旧表' where code like '%2'`).catch(() => undefined)
    await heldSource(line, /QZ-SOURCE-NOT-SET-UP/)
    await line.provider.command('setup')
    await recovered(swapped, line)
  })

  await test.test('a delivered column is dropped under way, and comes back empty', async (dropped) => {
    await target.query(`alter table ${table} drop column name`)
    await source.query(`update villages set name = '甲' where code like '%2'`)
    await faulted(() => sinkOf(line), 'QZ-SINK-TABLE')
    await target.query(`alter table ${table} add column name varchar(100)`)
    await recovered(dropped, line)
  })

  await test.test('the key of the delivered table is dropped: rows would come twice', async (keyless) => {
    await target.query(`alter table ${table} drop primary key`)
    await source.query(`update villages set name = '乙' where code like '%2'`)
    await faulted(() => sinkOf(line), 'QZ-SINK-TABLE')
    await target.query(`alter table ${table} add primary key (code)`)
    await recovered(keyless, line)
  })
})

async function heldSource(line: Line, code: RegExp): Promise<void> {
  let last: unknown
  await until(
    `the source is held: ${code}`,
    async () => {
      const report = await sourceOf(line)
      last = report
      return report?.state === 'held' && code.test(report.fault?.code ?? '')
    },
    60,
  ).catch((cause: unknown) => {
    throw new Error(`not held: ${JSON.stringify(last)}`, { cause })
  })
}

async function recovered(test: Test, line: Line): Promise<void> {
  await flowing(line)
  await equal(test, line)
  test.equal((await sinkOf(line))?.quarantine, 0)
}
