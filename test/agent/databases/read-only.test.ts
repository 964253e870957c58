/** A read replica given by mistake, and a full disk: refused with a code that says so, and nothing lost. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Database } from '../../../agent/database.ts'
import { openMysql } from '../../../agent/databases/mysql/engine.ts'
import { openPostgres } from '../../../agent/databases/postgres/engine.ts'
import { openClient } from '../../support/client.ts'
import { startMariadb } from '../../support/mariadb.ts'
import { startPostgres } from '../../support/postgres.ts'
import { smallDisk } from '../../support/small-disk.ts'
import { at, licence, sinkOf, sourceOf } from './conformance/fixture.ts'

async function refusesReplica(t: Test, database: Database, check: string): Promise<void> {
  const [source, sink] = [sourceOf(licence), sinkOf(licence)]
  const code = 'QZ-DB-READ-ONLY'
  await t.rejects(database.openCapture([source]), { code }, 'capture')
  await t.rejects(database.openDelivery([sink]), { code }, 'delivery')
  await t.rejects(database.run(await database.setupScript(source)), { code }, 'setup')
  const found = async (...tables: Parameters<Database['doctor']>) => (await database.doctor(...tables)).find(({ name }) => name === check)
  t.match(await found([source], [sink]), { ok: false }, 'doctor')
  t.not((await found([{ ...source, capture: 'compare' }], []))?.ok, false, 'which has nothing against it where nothing is written')
  const reading = await database.openReading()
  t.equal(await reading.count({ ...source, capture: 'compare' }), 1, 'what only reads may')
  await reading.close()
}

t.test('a standby of PostgreSQL', async (t) => {
  const dataDir = join(mkdtempSync(join(tmpdir(), 'qianzhi-standby-')), 'data')
  t.teardown(() => rmSync(join(dataDir, '..'), { recursive: true, force: true }))
  // The server's own user must get there.
  chmodSync(join(dataDir, '..'), 0o755)
  mkdirSync(dataDir)
  const primary = await startPostgres({ dataDir })
  await makeTable(await primary.createDatabase('front'))
  await primary.stop()
  writeFileSync(join(dataDir, 'standby.signal'), '')
  const standby = await startPostgres({ dataDir })
  t.teardown(() => standby.stop())
  await refusesReplica(t, await openPostgres({ name: 'front', url: standby.url('front'), pace: 5 }), 'primary')
})

t.test('MariaDB with read_only', async (t) => {
  const server = await startMariadb()
  if (!server) return void t.pass('read_only', { skip: 'mariadb-server is not installed' })
  t.teardown(() => server.stop())
  const url = await server.createDatabase()
  await makeTable(url)
  const admin = await openClient(url)
  t.teardown(() => admin.end())
  await admin.query('set global read_only = 1')
  await refusesReplica(t, await openMysql({ name: 'front', url, pace: 5 }), 'writable')
})

t.test('MariaDB whose disk is full', async (t) => {
  const server = await startMariadb()
  if (!server) return void t.pass('full', { skip: 'mariadb-server is not installed' })
  t.teardown(() => server.stop())
  const disk = smallDisk(t, statSync(server.dataDir).uid)
  if (!disk) return void t.pass('full', { skip: 'a tmpfs cannot be mounted here' })
  const url = await server.createDatabase()
  const admin = await openClient(url)
  t.teardown(() => admin.end())
  await admin.query(
    `create table delivered (id varchar(20) character set utf8mb4 collate utf8mb4_nopad_bin primary key, name varchar(100) character set utf8mb4,
     amount decimal(12,2)) engine=InnoDB data directory='${disk.folder}'`,
  )
  const database = await openMysql({ name: 'front', url, pace: 5 })
  const delivery = await database.openDelivery([])
  t.teardown(() => delivery.close())
  const sink = sinkOf(licence)
  await delivery.open(sink)
  disk.fill()
  const columns = [
    Array.from({ length: 6000 }, (_, i) => `k${i}`),
    Array.from({ length: 6000 }, () => '名'.repeat(100)),
    Array.from({ length: 6000 }, () => '1.00'),
  ]
  const apply = () => delivery.apply(sink, 'live', delivery.prepare(sink, { from: null, to: at(1), rows: 6000, columns }))
  await t.rejects(apply(), { code: 'QZ-DB-UNREACHABLE', message: /full/ })
  t.same(await database.quarantine(undefined, 10), [], 'no row is blamed')
  disk.free()
  t.match(await apply(), { written: 6000, quarantine: 0 }, 'the same batch goes in when there is room')
})

async function makeTable(url: string): Promise<void> {
  const client = await openClient(url)
  await client.query('create table licence (id varchar(20) primary key, name varchar(100), amount decimal(12,2))')
  await client.query(`insert into licence values ('a', 'n', 1)`)
  await client.end()
}
