/**
 * Tables altered by hand at both ends of a running line: found before a row is harmed, held with the code that says who must act, told to
 * those people, resumed by itself when it is put right, both ends equal.
 */
import { statSync } from 'node:fs'
import t, { type Test } from 'tap'
import { tableRows } from '../support/client.ts'
import { longer } from '../support/longer.ts'
import { findMariadb } from '../support/mariadb.ts'
import { startPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { smallDisk } from '../support/small-disk.ts'
import { equal, faulted, flowing, logged, logLength, sinkOf, sourceOf, startLine, type Line } from './line.ts'

// Both halves mostly wait.
t.jobs = 2
const server = await startPostgres()
t.teardown(() => server.stop())
const hub = { supervision: { everySeconds: 1 } }
const rows = 50

t.test('PostgreSQL', { buffered: true }, async (test) => {
  const line = await startLine(test, { server, rows, hub })
  const { source, target, table } = line
  await driftsAtSource(test, line)

  await test.test('a column at the source becomes one that cannot supply its item', async (retyped) => {
    await source.query(`alter table villages alter column area type bytea using convert_to(area, 'UTF8')`)
    await source.query(`update villages set name = '改型' where code like '%1'`)
    await faulted(() => sourceOf(line), 'QZ-SOURCE-TYPE')
    await source.query(`alter table villages alter column area type varchar(100) using '区'`)
    await recovered(retyped, line)
  })

  await driftsAtTarget(test, line, { dropKey: `alter table ${table} drop constraint villages_pkey` })

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
t.test('MariaDB', { buffered: true, skip: mariadb ? longer : 'MariaDB is not reachable' }, async (test) => {
  const urls = [await mariadb!.createDatabase(), await mariadb!.createDatabase()] as const
  test.teardown(async () => {
    for (const url of urls) await mariadb!.dropDatabase(url)
  })
  const line = await startLine(test, { server, sourceUrl: urls[0], targetUrl: urls[1], rows, hub })
  await driftsAtSource(test, line)
  await driftsAtTarget(test, line, { dropKey: `alter table ${line.table} drop primary key` })
})

async function driftsAtSource(test: Test, line: Line): Promise<void> {
  const { source, provider } = line
  await test.test('the key column at the source is renamed, and named back', async (renamed) => {
    const before = await deliveredRows(line)
    await source.query('alter table villages rename column code to bm')
    // What becomes of this is the engine's matter; the line must find out either way.
    await source.query(`insert into villages values ('90', '改名后', '街', '区', '市', '省')`).catch(() => undefined)
    await faulted(() => sourceOf(line), 'QZ-SOURCE-TABLE')
    await told(renamed, line, { agent: provider.id, agency: 'statistics', code: 'QZ-SOURCE-TABLE' })
    renamed.same(await deliveredRows(line), before, 'no row is harmed')
    await source.query('alter table villages rename column bm to code')
    await recovered(renamed, line)
  })

  await test.test('a mapped column at the source is dropped, and comes back', async (dropped) => {
    const before = await deliveredRows(line)
    await source.query('alter table villages drop column street')
    await source.query(`update villages set name = '去列' where code like '%1'`)
    await faulted(() => sourceOf(line), 'QZ-SOURCE-TABLE')
    dropped.same(await deliveredRows(line), before, 'no row is harmed')
    await source.query(`alter table villages add column street varchar(100) not null default '新街'`)
    await recovered(dropped, line)
    dropped.ok(
      (await deliveredRows(line)).every((row) => row.includes('新街')),
      'what the new column holds is delivered',
    )
  })

  await test.test('another table takes the name of the source by RENAME: its triggers went with the old one', async (swapped) => {
    await source.query('create table villages_new as select * from villages where 1 = 0')
    await source.query('alter table villages_new add primary key (code)')
    await source.query(`insert into villages_new select * from villages where code like '%2%'`)
    const before = await deliveredRows(line)
    await source.query('alter table villages rename to villages_old')
    await source.query('alter table villages_new rename to villages')
    // Triggers that went with the old table may go on queueing, also keys that the new one does not have; a snapshot would not meet them.
    await source.query(`update villages_old set name = '旧表' where code like '%1'`).catch(() => undefined)
    await provider.command('resync', 'villages')
    await faulted(() => sourceOf(line), 'QZ-SOURCE-NOT-SET-UP')
    swapped.same(await deliveredRows(line), before, 'no row is harmed')
    await provider.command('setup')
    await recovered(swapped, line)
    await source.query(`update villages_old set name = '旧表' where code like '%2'`).catch(() => undefined)
    await source.query(`update villages set name = '后来' where code like '%22'`)
    await equal(swapped, line, 'what happens to the old table is of no concern')
    await source.query('drop table villages_old')
  })
}

async function driftsAtTarget(test: Test, line: Line, { dropKey }: { dropKey: string }): Promise<void> {
  const { source, target, table, receiver } = line
  await test.test('a delivered column is dropped under way, and comes back empty: the table is filled anew', async (dropped) => {
    const before = await deliveredRows(line, 'code, street')
    await target.query(`alter table ${table} drop column name`)
    await source.query(`update villages set name = '甲', street = '甲街' where code like '%2'`)
    await faulted(() => sinkOf(line), 'QZ-SINK-TABLE')
    await told(dropped, line, { agent: receiver.id, agency: 'civil-affairs', code: 'QZ-SINK-TABLE' })
    dropped.same(await deliveredRows(line, 'code, street'), before, 'no row is harmed')
    dropped.equal((await sinkOf(line))?.quarantine, 0, 'no row is blamed')
    await target.query(`alter table ${table} add column name varchar(100)`)
    await recovered(dropped, line)
  })

  await test.test('the key of the delivered table is dropped: rows would come twice', async (keyless) => {
    const before = await deliveredRows(line)
    await target.query(dropKey)
    await source.query(`update villages set name = '乙' where code like '%2'`)
    await faulted(() => sinkOf(line), 'QZ-SINK-TABLE')
    keyless.same(await deliveredRows(line), before, 'no row comes twice')
    await target.query(`alter table ${table} add primary key (code)`)
    await recovered(keyless, line)
  })

  await test.test('the delivered table is dropped by hand: it is made and filled anew', async (gone) => {
    const from = logLength(receiver)
    await target.query(`drop table ${table}`)
    await source.query(`update villages set name = '丙' where code like '%2'`)
    await recovered(gone, line)
    gone.ok(await until('the log says so', () => logged(receiver, '"code":"QZ-SINK-TABLE"', from)), 'it was noticed when a batch came')
    gone.ok((await deliveredRows(line)).length > 0)
  })
}

/** The hub learns of it from the agent's own report, and tells the IT people of the machine's agency with this code. */
async function told(test: Test, { store }: Line, { agent, agency, code }: { agent: string; agency: string; code: string }): Promise<void> {
  const people = await until(`${agency} is told of ${code}`, async () => {
    const found = await store.query(
      `select agency, role from notice where kind = 'line-held' and object = $1 and zh like $2 and en like $2 order by role`,
      [`agent ${agent}`, `%${code}%`],
    )
    return found.length > 0 && found
  })
  test.same(people[0], [agency, 'agency-it'])
  test.ok(
    people.every(([of]) => of === agency),
    'nobody else',
  )
}

function deliveredRows({ target, table }: Line, columns = 'code, name, street'): Promise<string[]> {
  return tableRows(target, table, [columns])
}

async function recovered(test: Test, line: Line): Promise<void> {
  await flowing(line)
  await equal(test, line)
  test.equal((await sinkOf(line))?.quarantine, 0)
}
