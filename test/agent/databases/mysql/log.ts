/** MySQL and MariaDB captured from the binlog: the conformance suite in that mode, and what a log has of its own. */
import type { Test } from 'tap'
import type { Random } from '../../../faults/random.ts'
import { binlogSettings, query, startMariadb } from '../../../support/mariadb.ts'
import { startMysql } from '../../../support/mysql.ts'
import { until } from '../../../support/programs.ts'
import { captureConformance } from '../conformance/capture.ts'
import { at, licence, openDatabase, setUp, sortRows, sourceOf } from '../conformance/fixture.ts'
import { logConformance } from '../conformance/log.ts'
import { byLog, drained, openedLog, plain, sessionOf, urlOf, type Held, type LoggedEngine } from '../conformance/log-fixture.ts'
import { setupConformance } from '../conformance/setup.ts'
import { conformance, type Dialect, type Session } from '../conformance/suite.ts'
import { queueName } from '../../../../agent/databases/mysql/names.ts'
import { dialectOf, freshDatabaseOn } from './engine.ts'
import { keyColumns } from './log-keys.ts'

const usual = {
  ...binlogSettings,
  'max-connections': '400',
  'innodb-flush-log-at-trx-commit': '0',
}

type Start = typeof startMariadb | typeof startMysql

interface LogServer {
  url(database: string): string
  createDatabase(name?: string): Promise<string>
  dropDatabase(nameOrUrl: string): Promise<void>
  kill(signal: NodeJS.Signals): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}

async function started(t: Test, start: Start, settings: Record<string, string> = {}): Promise<LogServer | undefined> {
  const all = { ...usual, ...settings }
  const server = start === startMysql ? await startMysql(all) : await startMariadb({ settings: all })
  if (!server) return undefined
  t.teardown(() => server.stop())
  return {
    dropDatabase: async (url) => void (await query(server.url('mysql'), `drop database \`${new URL(url).pathname.slice(1)}\``)),
    ...server,
  }
}

/** On a server of its own, where there is one. */
export async function logTests(t: Test, name: string, start: Start): Promise<void> {
  const server = await started(t, start)
  const version = server && (await query(server.url('mysql'), 'select version() as answer'))
  await t.test(`${name} by its log`, { skip: !server && `no ${name} server is here` }, (t) => {
    onServer(t, server!, start, version!)
    t.end()
  })
}

function onServer(t: Test, server: LogServer, start: Start, version: string): void {
  const isMariadb = version.includes('MariaDB')
  const logged: Dialect = {
    ...dialectOf({ version }),
    capture: 'log',
    seesTruncate: true,
    dropTriggers: async (session) => void (await session.query('delete from qz_logged')),
  }
  const fresh = () => freshDatabaseOn(server)
  conformance(t, logged, fresh, [captureConformance, setupConformance])

  const opened = (t: Test) => openedLog(t, { dialect: logged, fresh })
  const watched = async (t: Test) => setUp(t, await opened(t), byLog())

  logConformance(t, {
    dialect: logged,
    fresh,
    own: async (t) => {
      const own = (await started(t, start, { 'innodb-flush-log-at-trx-commit': '1' }))!
      return { fresh: () => freshDatabaseOn(own), kill: (signal) => own.kill(signal), restart: () => own.restart() }
    },
    triggers: 'select count(*) from information_schema.triggers where trigger_schema = database()',
    queued: ({ resource }) => `select hex(k1) from \`${queueName(resource)}\``,
    endStreams: withoutDumps,
    spoil,
    prepared: {
      begin: (id) => `xa start '${id}'`,
      prepare: (id) => [`xa end '${id}'`, `xa prepare '${id}'`],
      end: (id, how) => `xa ${how} '${id}'`,
      atOnce: (id) => [`xa end '${id}'`, `xa commit '${id}' one phase`],
      savepoints: false,
    },
    // On MySQL semi-synchronous replication is a plugin.
    ...(isMariadb ? { hold } : {}),
    // MariaDB comes up with sync_binlog = 0.
    marksAfterCrash: isMariadb,
    whole: [],
    widen: (column) => `alter table licence modify ${column} varchar(120)`,
    makeUser: (name) => `create user ${name}@'%' identified by 'secret'`,
    keyColumns,
    randomTable,
  })

  function randomTable(random: Random): ReturnType<LoggedEngine['randomTable']> {
    const image = random.pick(['FULL', 'MINIMAL', 'NOBLOB'])
    const settings = [`set session binlog_row_image = ${image}`]
    return {
      name: image,
      ddl: [
        `create table licence (note json, v bigint as (region + 1) virtual, w varchar(30) as (concat(code, 'w')) stored, region bigint not null, body text, name varchar(100), code varchar(20) character set ${random.pick(['utf8mb4', 'gbk'])} not null,
          primary key (code, region))`,
        'create table other (id bigint not null auto_increment primary key, t text)',
      ],
      writers: [
        [...settings, ...(isMariadb ? [] : ['set session binlog_transaction_compression = on'])],
        [...settings, ...(isMariadb || image === 'MINIMAL' ? [] : [`set session binlog_row_value_options = 'PARTIAL_JSON'`])],
        settings,
      ],
      changes: [
        (code) =>
          `insert into licence (note, region, body, name, code) values ('{"n": ${random.between(0, 9)}, "long": "${'x'.repeat(200)}"}', ${random.between(0, 4)}, repeat('y', ${random.between(0, 600)}), 'n', '${code}')`,
        () => `update licence set note = json_set(note, '$.n', ${random.between(0, 99)}) where region = ${random.between(0, 4)}`,
        (code) => `update licence set body = null where code = '${code}'`,
        () => `insert into other (t) values ('${'z'.repeat(random.between(0, 300))}')`,
      ],
      truncate: () => 'truncate table licence',
    }
  }

  /** Semi-synchronous replication without a replica. */
  async function hold(t: Test, test: Session): Promise<Held> {
    const before = await endOfLog(test)
    const set = (on: number) =>
      test.query(
        `set global rpl_semi_sync_master_wait_point = 'AFTER_SYNC', rpl_semi_sync_master_timeout = 60000, rpl_semi_sync_master_wait_no_slave = 1, rpl_semi_sync_master_enabled = ${on}`,
      )
    await set(1)
    t.teardown(() => set(0))
    return { isLogged: async () => (await endOfLog(test)) !== before, go: async () => void (await set(0)) }
  }

  async function spoil(test: Session): Promise<Record<string, () => Promise<void>>> {
    const [last] = (await endOfLog(test)).split(',')
    const statements =
      (...all: string[]) =>
      async () => {
        for (const sql of all) await test.query(sql)
      }
    return {
      'another file': statements('update qz_log set made = made - 1'),
      purged: async () => {
        if (isMariadb) await test.query('set global slave_connections_needed_for_purge = 0').catch(() => {})
        await withoutDumps(test)
        await statements(`insert into licence values ('x', null, null)`, 'flush logs')()
        // Kept while the engine may need it to recover.
        while ((await test.query('show binary logs'))[0]![0] === last)
          await test.query(`purge binary logs to '${(await endOfLog(test)).split(',')[0]}'`)
      },
      'begun anew': statements(isMariadb ? 'reset master' : 'reset binary logs and gtids', `insert into licence values ('y', null, null)`),
      'another server': statements(`update qz_log set server = 'other'`),
    }
  }

  t.test('the end of a prepared transaction that the log tells is waited for while the server still lists it', async (t) => {
    const { test, database, capture, source } = await watched(t)
    const [writer, other] = [await sessionOf(t, { test }), await sessionOf(t, { test })]
    const prepare = async (id: string) => {
      for (const sql of [`xa start 'again'`, `insert into licence values ('${id}', null, null)`, `xa end 'again'`, `xa prepare 'again'`])
        await writer.query(sql)
    }
    await prepare('a')
    await capture.waiting()
    await capture.close()
    await writer.query(`xa commit 'again'`)
    // Of the same name: to the reader it is as if the commit above had not come to its end.
    await prepare('b')
    const next = await database.openCapture([source])
    t.teardown(() => next.close())
    const taken = next.take(source, 10, new Set())
    for (let turn = 0; turn < 300; turn++)
      if (!t.same(await other.query(`select k1 from \`${queueName(source.resource)}\``), [], 'nothing is queued')) return
    await writer.query(`xa commit 'again'`)
    t.ok((await taken).keys.some(([id]) => id === 'a'))
    t.same((await drained({ capture: next, source })).rows.size, 2)
  })

  /** What they read is not purged. */
  async function withoutDumps(test: Session): Promise<void> {
    for (;;) {
      const dumps = await test.query(`select id from information_schema.processlist where command like 'Binlog Dump%'`)
      if (dumps.length === 0) return
      for (const [id] of dumps) await test.query(`kill ${id}`).catch(() => {})
    }
  }

  async function endOfLog(test: Session): Promise<string> {
    return String((await test.query(isMariadb ? 'show master status' : 'show binary log status'))[0]!.slice(0, 2))
  }

  t.test('the end of a transaction that was prepared before anything was read is a mark', async (t) => {
    const made = await opened(t)
    const prepared = await sessionOf(t, made)
    await prepared.query(`xa start 'early'`)
    await prepared.query(`insert into licence values ('prepared', null, 1)`)
    await prepared.query(`xa end 'early'`)
    await prepared.query(`xa prepare 'early'`)
    const { capture, source } = await setUp(t, made, byLog())
    await prepared.query(`xa commit 'early'`)
    t.ok((await capture.take(source, 10, new Set())).marked)
  })

  t.test('statements that tell no rows, and DDL, leave a mark; other tables’ do not', async (t) => {
    const { test, capture, source } = await watched(t)
    const writer = await sessionOf(t, { test })
    const marked = async (): Promise<boolean> => {
      const { entries, marked } = await capture.take(source, 100, new Set())
      await capture.mark(source, { entries })
      return marked
    }
    await test.query('create table elsewhere (id int primary key)')
    await test.query('alter table elsewhere add column licence int')
    await test.query(`create trigger log_t after insert on licence for each row set @x = 1`)
    await test.query('drop trigger log_t')
    await test.query('create view seen as select * from licence')
    t.ok(await marked(), 'a column of the table’s name is thought to be the table')
    await test.query('alter table elsewhere add column more int')
    await test.query('analyze table licence')
    t.notOk(await marked())
    await writer.query('set session binlog_format = statement')
    await writer.query('set session transaction isolation level repeatable read')
    await writer.query(`insert into licence values ('s', null, null)`)
    t.ok(await marked(), 'a statement')
    for (const ddl of [
      'alter table licence add column extra int',
      'truncate table licence',
      'rename table licence to other, other to licence',
    ]) {
      await test.query(ddl)
      t.ok(await marked(), ddl)
    }
    await test.query(`insert into licence (id) values ('after')`)
    t.same((await capture.take(source, 10, new Set())).keys, [['after']])
  })

  t.test('columns that are moved while the log is read', async (t) => {
    const { test, capture, source } = await watched(t)
    await test.query('alter table licence add column first varchar(30) first')
    await capture.waiting()
    await test.query(`insert into licence (id, first) values ('a', 'x')`)
    t.same((await capture.take(source, 10, new Set())).keys, [['a']])
    // The log is behind the catalog: what is told of rows between is not to be relied on, and marked.
    await test.query('alter table licence modify column id varchar(20) after name, add column second int first')
    await test.query(`insert into licence (id, first) values ('b', 'y')`)
    await test.query('alter table licence modify column id varchar(20) first')
    await test.query(`insert into licence (id, first) values ('c', 'y')`)
    const { keys, marked } = await capture.take(source, 10, new Set())
    t.ok(marked)
    t.ok(keys.some(([id]) => id === 'c'))
  })

  t.test('what the log does not tell is refused, with what to do', async (t) => {
    const { test, database } = await opened(t)
    const refused = (message: RegExp, source = byLog()) => t.rejects(database.setupScript(source), { code: 'QZ-SOURCE-TABLE', message })
    await test.query('create table parent (id varchar(20) primary key)')
    await test.query('alter table licence add foreign key (id) references parent (id) on delete cascade')
    await refused(/foreign keys/)
    await test.query(
      'create table computed (base varchar(20), id varchar(20) as (base) stored, name varchar(100), amount decimal(12,2), unique (id))',
    )
    await test.query('alter table computed modify id varchar(20) as (base) stored not null').catch(() => {})
    const computed = byLog({ table: 'computed' })
    await t.rejects(database.setupScript(computed), { code: 'QZ-SOURCE-TABLE' })
    await test.query('create table image (pk int primary key, id varchar(20) not null unique, name varchar(100), amount decimal(12,2))')
    const settings: [string, string, RegExp][] = [
      ['binlog_format', `'MIXED'`, /binlog_format/],
      ['binlog_row_image', `'MINIMAL'`, /binlog_row_image/],
      ...(isMariadb ? [] : [['binlog_order_commits', 'off', /binlog_order_commits/] as [string, string, RegExp]]),
    ]
    await database.setupScript(byLog({ table: 'image' }))
    for (const [name, value, message] of settings) {
      const [[before] = []] = await test.query(`select @@global.${name}`)
      await test.query(`set global ${name} = ${value}`)
      try {
        await refused(message, byLog({ table: 'image' }))
      } finally {
        await test.query(`set global ${name} = ${/^\d+$/.test(before!) ? before : `'${before}'`}`)
      }
    }
    const without = (await (start === startMysql ? startMysql() : startMariadb())) as LogServer
    t.teardown(() => without.stop())
    const dropped = { createDatabase: () => without.createDatabase(), dropDatabase: async () => {} }
    const off = await openDatabase(t, logged, () => freshDatabaseOn(dropped))
    await off.test.query(plain)
    const wanted = isMariadb ? /server_id, binlog_format = ROW/ : /set log_bin, server_id under/
    await t.rejects(off.database.setupScript(byLog()), { code: 'QZ-SOURCE-TABLE', message: wanted })
    const checks = await off.database.doctor([byLog()], [])
    t.ok(checks.some(({ ok }) => !ok))
    await off.database.run(await off.database.setupScript(sourceOf(licence)))
    const proposal = (await off.database.doctor([sourceOf(licence)], [])).map(({ en }) => en)
    t.ok(proposal.some((en) => en.includes('log_bin = OFF')))
  })

  t.test('a server whose log leaves the database out', async (t) => {
    const own = (await started(t, start, { 'binlog-ignore-db': 'qz_hidden' }))!
    const url = await own.createDatabase('qz_hidden')
    const database = await logged.open({ name: 'front', url, pace: 5 })
    t.teardown(() => database.close())
    await query(url, plain)
    await t.rejects(database.setupScript(byLog()), { code: 'QZ-SOURCE-TABLE', message: /binlog_ignore_db/ })
  })

  t.test('doctor says for how long the log is kept, and which right is missing', async (t) => {
    const { test, database } = await opened(t)
    const user = `runner_${Math.random().toString(36).slice(2, 8)}`
    await test.query(`create user ${user}@'%' identified by 'secret'`)
    await database.run(await database.setupScript(byLog(), user))
    t.match((await database.doctor([byLog()], [])).map(({ en }) => en).join('\n'), /the log is kept/)
    await test.query(`revoke replication slave on *.* from ${user}@'%'`)
    const poor = await logged.open({ name: 'front', url: urlOf(test, user), pace: 5 })
    t.teardown(() => poor.close())
    const rights = (await poor.doctor([byLog()], [])).filter(({ ok }) => !ok)
    t.match(rights, [{ en: /grant replication slave/ }])
  })

  t.test('binlog_order_commits that was off for a moment is a mark', { skip: isMariadb && 'it has no such setting' }, async (t) => {
    const { test, capture, source } = await watched(t)
    for (const value of ['off', 'on']) await test.query(`set global binlog_order_commits = ${value}`)
    await until('it is noticed', async () => (await capture.take(source, 10, new Set())).marked)
    await test.query(`insert into licence values ('a', null, null)`)
    t.same((await capture.take(source, 10, new Set())).keys, [['a']], 'the reading goes on')
  })

  t.test('an account that must use TLS', { skip: isMariadb && 'it comes without a certificate' }, async (t) => {
    const { test, database } = await opened(t)
    const user = `runner_${Math.random().toString(36).slice(2, 8)}`
    await test.query(`create user ${user}@'%' identified by 'secret' require ssl`)
    await database.run(await database.setupScript(byLog(), user))
    const url = `${urlOf(test, user)}?ssl=${encodeURIComponent('{"rejectUnauthorized":false}')}`
    const own = await logged.open({ name: 'front', url, pace: 5 })
    t.teardown(() => own.close())
    const capture = await own.openCapture([byLog()])
    t.teardown(() => capture.close())
    await capture.record(byLog(), { from: null, to: at(1), entries: [], snapshot: null, faults: [], sent: [] })
    const writer = await sessionOf(t, { test })
    const values = Array.from({ length: 60_000 }, (_, i) => `('k${i}', null, null)`)
    await writer.query(`insert into licence values ${values.join(',')}`)
    await writer.query(`update licence set name = 'x' where id = 'k7'`)
    const model = await drained({ capture, source: byLog() })
    t.same([model.rows.size, model.marked], [60_000, false])
    t.equal(model.rows.get('["k7"]')![1], 'x')
  })

  t.test('compressed events', { skip: !isMariadb && 'compressed transactions are among the random ones' }, async (t) => {
    const { test, capture, source } = await watched(t)
    await test.query('set global log_bin_compress = 1, log_bin_compress_min_len = 10')
    const writer = await sessionOf(t, { test })
    await writer.query(`insert into licence values ('a', repeat('n', 100), 1), ('b', repeat('n', 100), 1)`)
    await writer.query(`update licence set id = concat(id, 'x')`)
    await writer.query(`delete from licence where id = 'bx'`)
    const { keys } = await capture.take(source, 10, new Set())
    await writer.query(`alter table licence comment '${'long '.repeat(50)}'`)
    const ddl = await capture.take(source, 10, new Set())
    await test.query('set global log_bin_compress = 0')
    t.same(sortRows(keys), [['a'], ['ax'], ['b'], ['bx']])
    t.ok(ddl.marked)
  })
}
