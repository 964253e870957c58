/** The MySQL and MariaDB engine on one server: the conformance suite, and what only these servers do. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createConnection, type Connection } from 'mysql2/promise'
import type { Test } from 'tap'
import { openMysql } from '../../../../agent/databases/mysql/engine.ts'
import { queueName } from '../../../../agent/databases/mysql/names.ts'
import { literal, quoteName } from '../../../../agent/databases/mysql/sql.ts'
import type { Op } from '../../../../protocol/batch.ts'
import { Random, seedOfThisRun } from '../../../faults/random.ts'
import { longer } from '../../../support/longer.ts'
import { startMariadb, type Mariadb } from '../../../support/mariadb.ts'
import { conformance, parts, type Dialect, type Session, type TestDatabase } from '../conformance/suite.ts'
import {
  at,
  licence,
  Model,
  openDatabase,
  openSinks,
  schemaOf,
  setUp,
  sinkOf,
  sortRows,
  sourceOf,
  tableRows,
  twoKeys,
  watch,
} from '../conformance/fixture.ts'

let server: Mariadb | undefined

async function connect(url: string): Promise<Session> {
  const connection = await createConnection({
    uri: url,
    rowsAsArray: true,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
  })
  return { query: (sql) => query(connection, sql), close: () => connection.end() }
}

async function query(connection: Connection, sql: string): Promise<(string | null)[][]> {
  const [rows] = await connection.query(sql)
  if (!Array.isArray(rows)) return []
  return (rows as (string | number | Buffer | null)[][]).map((row) => row.map((value) => (value === null ? null : String(value))))
}

/** Its session is opened when first used: a test that only wants the address leaves none behind. */
export async function freshDatabaseOn(server: Pick<Mariadb, 'createDatabase' | 'dropDatabase'>): Promise<TestDatabase> {
  const url = await server.createDatabase()
  let session: Promise<Session> | undefined
  return {
    url,
    query: async (sql) => (await (session ??= connect(url))).query(sql),
    close: async () => (await session)?.close(),
    connect: () => connect(url),
    drop: async () => {
      await (await session)?.close()
      await server.dropDatabase(url)
    },
  }
}

const freshDatabase = (): Promise<TestDatabase> => freshDatabaseOn(server!)

function textKey(charset: string) {
  return {
    column: `varchar(20) character set ${charset}`,
    item: { type: 'text' as const, length: 20 },
    values: ['东莞', '莞城', 'ascii', '无'],
  }
}

const mariadb: Dialect = {
  name: 'MariaDB',
  open: openMysql,
  quote: quoteName,
  literal: (type, value) => literal({ type }, value),
  takesBlocks: true,
  seesTruncate: false,
  dropKey: (table) => `alter table ${table} drop primary key`,
  unreadable: {
    prepare: [
      `create function whole(n decimal(12,2)) returns decimal(12,2) deterministic begin if n = 0 then signal sqlstate '99001' set message_text = 'n/a'; end if; return n; end`,
    ],
    value: 'whole(amount)',
  },
  caseInsensitive: { type: 'varchar(20) character set utf8mb4 collate utf8mb4_general_ci', prepare: [] },
  lossy: [
    { column: 'float', type: 'decimal', precision: 10, scale: 2 },
    { column: 'double', type: 'integer' },
    { column: 'decimal(12,4)', type: 'decimal', precision: 12, scale: 2 },
    { column: 'decimal(12,1)', type: 'integer' },
    { column: 'timestamp null', type: 'timestamp' },
    { column: 'datetime', type: 'date' },
    { column: 'int', type: 'boolean' },
    { column: 'bit(2)', type: 'boolean' },
    { column: 'blob', type: 'text' },
    { column: 'point', type: 'text' },
    { column: 'varchar(20)', type: 'date' },
  ],
  dropTriggers: async (session, table) => {
    for (const [name] of await session.query(
      `select trigger_name from information_schema.triggers where event_object_schema = database() and event_object_table = '${table}'`,
    )) {
      await session.query(`drop trigger ${quoteName(name!)}`)
    }
  },
  endOthers: async (session) => {
    for (const [id] of await session.query(
      'select id from information_schema.processlist where db = database() and id <> connection_id()',
    )) {
      await session.query(`kill ${id}`)
    }
  },
  refusingTrigger: (table) => [
    `create trigger refuse before insert on ${quoteName(table)} for each row
    begin if NEW.name = 'refused' then signal sqlstate '45000' set message_text = 'refused here'; end if; end`,
  ],
  oddTrigger: (table) => [
    `create trigger odd before insert on ${quoteName(table)} for each row
    begin if NEW.name = 'odd' then signal sqlstate '99001' set message_text = 'odd'; end if; end`,
  ],
  silentTriggers: (table) => [
    `create trigger silent before insert on ${quoteName(table)} for each row
    begin if NEW.name = 'altered' then set NEW.name = 'other'; end if;
    if NEW.name = 'dropped' then set NEW.id = 'elsewhere'; end if; end`,
  ],
  otherSpelling: (url) => `${new URL(url).pathname.slice(1)}.delivered`,
  keepingTrigger: (table, ids) => [
    `create trigger keep before delete on ${quoteName(table)} for each row
    begin if OLD.id in (${ids}) then signal sqlstate '45000' set message_text = 'kept here'; end if; end`,
  ],
  async referTo(session, table, id) {
    const [[collation] = []] = await session.query(
      `select collation_name from information_schema.columns where table_schema = database() and table_name = 'delivered' and column_name = 'id'`,
    )
    await session.query(
      `create table ${table} (parent varchar(20) character set utf8mb4 collate ${collation}, foreign key (parent) references delivered (id))`,
    )
    await session.query(`insert into ${table} values ('${id}')`)
  },
  async readOnlyAccount(test, tables) {
    const name = `reader_${randomBytes(4).toString('hex')}`
    await test.query(`create user ${name}@'%' identified by 'secret'`)
    for (const table of tables) await test.query(`grant select on ${quoteName(table)} to ${name}@'%'`)
    const url = new URL(test.url)
    url.username = name
    url.password = 'secret'
    return url.href
  },
  localTypes: {
    altering: `
      enum('0','1','2','9'); set('a','b','c'); char(20); bit(8); binary(8); tinytext; varchar(5); json;
      varchar(400) character set latin1; decimal(20,4); tinyint(1); longtext; longblob`
      .split(';')
      .map((type) => type.trim()),
    others: `
      tinyint; tinyint unsigned; smallint; mediumint; int; int unsigned zerofill; bigint; bigint unsigned;
      decimal(12,2); decimal(4,1); float; double; bit(1); bit(64); year; varchar(400); text;
      varchar(400) character set gbk; enum('a','b',''); set('0','1','2'); varbinary(8); tinyblob; blob; date;
      datetime; datetime(6); timestamp(6) null; time; time(6)`
      .split(';')
      .map((type) => type.trim()),
  },
  shown: (column, type) => {
    if (type === 'binary') return `hex(${column})`
    return `cast(${column}${['integer', 'decimal', 'boolean'].includes(type) ? ' + 0' : ''} as char)`
  },
  keyColumns: [
    ...[
      'utf8mb4 collate utf8mb4_general_ci',
      'utf8mb3',
      'gbk',
      'gbk collate gbk_bin',
      'gb2312',
      'ucs2',
      'utf16 collate utf16_unicode_ci',
      'utf32',
    ].map(textKey),
    { column: 'char(9) character set big5', item: { type: 'text', length: 20 }, values: ['中文', '台北', 'x', '無'] },
    ...['latin1', 'latin1 collate latin1_german1_ci', 'latin2'].map((charset) => ({
      column: `varchar(20) character set ${charset}`,
      item: { type: 'text' as const, length: 20 },
      values: ['Würth', 'Ödenburg', 'x', '莞'],
    })),
    { column: `enum('东莞', '莞城', '城') character set gbk`, item: { type: 'text', length: 20 }, values: ['东莞', '莞城', '城', '无'] },
    { column: 'int', item: { type: 'integer' }, values: ['-7', '0', '12', '13'] },
    { column: 'bigint unsigned', item: { type: 'integer' }, values: ['0', '9223372036854775807', '5'] },
    { column: 'decimal(12,2)', item: { type: 'decimal', precision: 12, scale: 2 }, values: ['-1.50', '2.00', '3.00'] },
    { column: 'date', item: { type: 'date' }, values: ['2026-11-22', '1999-01-01', '2026-11-23'] },
    {
      column: 'datetime(6)',
      item: { type: 'timestamp' },
      values: ['2026-11-22T08:30:00.123456', '2026-11-22T08:30:00', '2026-11-22T08:30:01'],
    },
    {
      column: 'timestamp(3)',
      item: { type: 'timestamptz' },
      values: ['2026-11-22T08:30:00.123Z', '2026-11-22T08:30:00Z', '2026-11-22T08:30:01Z'],
    },
    { column: 'time', item: { type: 'time' }, values: ['08:30:00', '23:59:59', '08:30:01'] },
    { column: 'bit(8)', item: { type: 'integer' }, values: ['7', '48', '8'] },
  ],
  extremes: [
    { type: 'date', value: '0001-01-01' },
    { type: 'timestamp', value: '1000-01-01T00:00:00' },
    { type: 'time', value: '23:59:59.9' },
  ],
}

/** What MariaDB has besides. */
const onlyMariadb = { altering: ['uuid', 'inet6'], others: ['inet4'], charset: 'utf8mb4 collate utf8mb4_nopad_bin' }

export function dialectOf({ version }: Pick<Mariadb, 'version'>): Dialect {
  if (!version.includes('MariaDB')) {
    // LOAD DATA LOCAL is off there, as it comes.
    return {
      ...mariadb,
      name: 'MySQL',
      takesBlocks: false,
      keyColumns: [...mariadb.keyColumns, textKey('utf8mb4 collate utf8mb4_0900_bin')],
    }
  }
  const { altering, others } = mariadb.localTypes!
  return {
    ...mariadb,
    localTypes: { altering: [...altering, ...onlyMariadb.altering], others: [...others, ...onlyMariadb.others] },
    keyColumns: [...mariadb.keyColumns, textKey(onlyMariadb.charset)],
  }
}

/** Of MySQL, beside MariaDB, which has the same engine: another third of the parts in each run, all of them in the longer one. */
function partsOf(dialect: Dialect) {
  if (!longer || dialect.name === mariadb.name) return parts
  const first = new Random(seedOfThisRun()).between(0, 2)
  return parts.filter((_, i) => (i + first) % 3 === 0)
}

/** `found`: undefined where there is none, with the reason. */
export async function engineTests(t: Test, found: Mariadb | undefined, missing: string): Promise<void> {
  server = found
  const skip = !found && missing
  const dialect = found ? dialectOf(found) : mariadb
  await t.test(`conformance on ${found?.version ?? mariadb.name}`, { skip }, async (t) =>
    conformance(t, dialect, freshDatabase, partsOf(dialect)),
  )
  await t.test('only MySQL and MariaDB', { skip }, onlyHere)
}

async function onlyHere(t: Test): Promise<void> {
  t.test('last_insert_id and row_count stay the application’s', async (t) => {
    const schema = schemaOf([
      { id: 'id', type: 'integer', key: true, required: true },
      { id: 'name', type: 'text', length: 20 },
    ])
    const opened = await openDatabase(t, mariadb, freshDatabase)
    const { test } = opened
    await test.query('create table licence (id bigint not null auto_increment primary key, name varchar(20)) auto_increment = 700')
    await test.query('create table plain (n int)')
    const { source } = await setUp(t, opened, sourceOf(schema, { queueLimit: 1 }))
    await test.query(`insert into licence (name) values ('a'), ('b')`)
    t.same(await test.query('select last_insert_id(), row_count()'), [['700', '2']])
    await test.query(`insert into licence values (9000, 'own key')`)
    t.same(await test.query('select last_insert_id()'), [['700']])
    await test.query(`update licence set id = id + 1 where id = 9000`)
    t.same(await test.query('select row_count(), last_insert_id()'), [['1', '700']])
    await test.query(`insert into licence (name) with recursive seq (n) as (select 1 union all select n + 1 from seq where n < 60)
      select (a.n - 1) * 50 + b.n from seq a join seq b on b.n <= 50 order by 1`)
    const first = await test.query('select last_insert_id()')
    t.same(await test.query(`select min(id) from licence where name = '1'`), first, 'also where the queue is full')
    t.ok(source)
  })

  t.test('a trigger’s own error leaves a mark, and the statement goes on', async (t) => {
    const { test, capture, source } = await watch(t, mariadb, freshDatabase)
    await test.query('alter table licence modify id varchar(1200) character set latin1 not null')
    await test.query(`insert into licence values (repeat('x', 1100), null, null), ('short', null, null)`)
    t.same(await test.query('select count(*) from licence'), [['2']])
    const take = await capture.take(source, 10, new Set())
    t.ok(take.marked)
    t.same(take.keys, [['short']])
    const [queue] = await test.query(
      `select table_name from information_schema.tables where table_schema = database() and table_name like 'qz\\_q\\_%'`,
    )
    await test.query(`drop table ${quoteName(queue![0]!)}`)
    await test.query(`delete from licence where id = 'short'`)
    t.same(await test.query('select count(*) from licence'), [['1']], 'even without a queue')
    await t.rejects(capture.triggerFingerprint(source), { code: 'QZ-SOURCE-NOT-SET-UP' })
    t.same(await capture.waiting(), new Set())
  })

  t.test('what is written under LOCK TABLES, and by the restore of a dump, is captured', async (t) => {
    const { test, capture, source } = await watch(t, mariadb, freshDatabase)
    const model = new Model()
    await test.query('lock tables licence write')
    await test.query(`insert into licence values ('a', '甲', 1), ('b', '乙', 2), ('c', '丙', 3)`)
    await test.query(`update licence set name = '丁' where id = 'a'`)
    await test.query(`delete from licence where id = 'b'`)
    await test.query('unlock tables')
    await model.drain({ capture, source })
    t.notOk(model.marked)
    t.same(model.sorted(), await tableRows(capture, source))
    if (!existsSync('/usr/bin/mysqldump')) return void t.pass('a dump is restored', { skip: 'there is no mysqldump' })
    const url = new URL(test.url)
    const to = ['-h', url.hostname, '-P', url.port || '3306', '-u', url.username]
    const dump = execFileSync('mysqldump', [
      ...to,
      '--no-create-info',
      '--skip-triggers',
      '--compact',
      '--add-locks',
      url.pathname.slice(1),
      'licence',
    ])
    t.match(dump.toString(), /LOCK TABLES/)
    await test.query('delete from licence')
    await model.drain({ capture, source })
    execFileSync('mysql', [...to, url.pathname.slice(1)], { input: dump })
    await model.drain({ capture, source })
    t.same(model.sorted(), await tableRows(capture, source))
    t.equal(model.sorted().length, 2)
  })

  t.test('rows that foreign keys change are captured with the table whose change reaches them', async (t) => {
    const opened = await openDatabase(t, mariadb, freshDatabase)
    const { test, database } = opened
    for (const statement of [
      'create table land (id int primary key)',
      'create table town (id int primary key, land int, unique (id, land), foreign key (land) references land (id) on update cascade on delete cascade)',
      'create table class (id int primary key)',
      `create table licence (id varchar(20) not null, name varchar(100), amount decimal(12,2), town int, class int, up varchar(20), primary key (id),
        foreign key (town) references town (id) on update cascade on delete cascade,
        foreign key (class) references class (id) on delete set null,
        foreign key (up) references licence (id) on delete cascade)`,
      'insert into land values (1), (2)',
      'insert into town values (1, 1), (2, 2), (3, 2)',
      'insert into class values (1), (2)',
    ])
      await test.query(statement)
    const schema = schemaOf([
      { id: 'id', type: 'text', length: 20, key: true, required: true },
      { id: 'town', type: 'integer' },
      { id: 'class', type: 'integer' },
    ])
    const { capture, source } = await setUp(t, opened, sourceOf(schema))
    const model = new Model()
    const change = async (statement: string, marked = false) => {
      await test.query(statement)
      await model.drain({ capture, source })
      t.equal(model.marked, marked, statement)
      if (!marked) t.same(model.sorted(), await tableRows(capture, source), statement)
    }
    await change(
      `insert into licence (id, town, class, up) values ('a', 1, 1, null), ('b', 2, 1, null), ('c', 3, 2, null), ('d', 3, 2, null), ('e', 1, 2, 'd')`,
    )
    const other = await openDatabase(t, mariadb, freshDatabase)
    await other.database.run(await other.database.supplyTable(source))
    await other.database.run(await other.database.setupScript(source))
    await other.database.run(await other.database.teardownScript(source))
    await change('delete from class where id = 1')
    await change('update town set id = 9 where id = 1')
    await change('delete from land where id = 1')
    await change('delete from town where id = 2')
    await change(`insert into licence (id, town, class, up) values ('f', 3, 2, 'd')`)
    await change(`delete from licence where id = 'd'`, true)
    const notes = (await database.doctor([source], [])).filter(({ name }) => name.startsWith('capture'))
    t.match(notes.map(({ en }) => en).join('\n'), /deletes of [^.]+\.class .*; triggers on/)
    t.ok(notes.every(({ ok }) => ok))
    await test.query('create table later (id int primary key)')
    await test.query('alter table licence add column later int, add foreign key (later) references later (id) on delete cascade')
    t.match(
      (await database.doctor([source], [])).filter(({ ok }) => !ok).map(({ en }) => en),
      [/deletes of [^.]+\.later .* nothing writes them down/],
    )
    await database.run(await database.teardownScript(source))
    t.same(await test.query('select trigger_name from information_schema.triggers where trigger_schema = database()'), [])
    t.same(await test.query(`select routine_name from information_schema.routines where routine_schema = database()`), [])
  })

  t.test('a composite key that a foreign key changes leaves its old value behind as a delete', async (t) => {
    const opened = await openDatabase(t, mariadb, freshDatabase)
    const { test } = opened
    await test.query('create table town (id int primary key)')
    await test.query(
      'create table licence (region int not null, name varchar(100), code varchar(20) not null, primary key (region, code), foreign key (region) references town (id) on update cascade)',
    )
    const { capture, source } = await setUp(t, opened, sourceOf(twoKeys))
    const model = new Model()
    await test.query('insert into town values (1), (2)')
    await test.query(`insert into licence values (1, 'x', 'a'), (1, 'y', 'b'), (2, 'z', 'a')`)
    await model.drain({ capture, source })
    await test.query('update town set id = 7 where id = 1')
    await model.drain({ capture, source })
    t.same(model.sorted(), [
      ['2', 'z', 'a'],
      ['7', 'x', 'a'],
      ['7', 'y', 'b'],
    ])
  })

  t.test('a definer that is gone is seen, by coverage and doctor', async (t) => {
    const { test, database, capture, source } = await watch(t, mariadb, freshDatabase)
    const user = `qz_d${new URL(test.url).pathname.slice(-8)}`
    await test.query(`create user ${user}@'%'`)
    await database.run(await database.setupScript(source, user))
    await capture.triggerFingerprint(source)
    await test.query(`insert into licence values ('a', null, null)`)
    t.same((await capture.take(source, 10, new Set())).keys, [['a']], 'its rights are enough')
    const notes = (await database.doctor([source], [])).filter(({ name }) => name.startsWith('capture'))
    t.ok(notes.some(({ ok, en }) => ok && en.includes(`rights of ${user}@%`)))
    await test.query(`revoke insert on ${quoteName(queueName(source.resource))} from ${user}@'%'`)
    await t.rejects(capture.triggerFingerprint(source), { code: 'QZ-SOURCE-NOT-SET-UP', message: /definer/ })
    await test.query(`drop user ${user}@'%'`)
    await t.rejects(capture.triggerFingerprint(source), { code: 'QZ-SOURCE-NOT-SET-UP', message: /definer/ })
    t.notOk((await database.doctor([source], [])).every(({ ok }) => ok))
  })

  t.test('key texts do not depend on the application’s session', async (t) => {
    const schema = schemaOf([
      { id: 'at', type: 'timestamptz', key: true, required: true },
      { id: 'id', type: 'text', length: 20, key: true, required: true },
    ])
    const opened = await openDatabase(t, mariadb, freshDatabase)
    const { test } = opened
    await test.query('create table licence (at timestamp(3) not null, id varchar(20) character set gbk not null, primary key (id, at))')
    const { capture, source } = await setUp(t, opened, sourceOf(schema))
    await test.query(`set time_zone = '+05:30', names gbk`)
    await test.query(`insert into licence values ('2024-05-05 10:00:00.120', convert(x'E8AEB8' using utf8mb4))`)
    const take = await capture.take(source, 10, new Set())
    t.same(take.keys, [['2024-05-05T04:30:00.12Z', '许']])
    t.same((await capture.rowsByKeys(source, take.keys)).rows, take.keys)
    t.same((await capture.rowsAfter(source, null, 10)).last, take.keys[0])
  })

  t.test('trailing spaces are kept apart, also where the source pads', async (t) => {
    const opened = await openDatabase(t, mariadb, freshDatabase)
    const { test } = opened
    await test.query(
      'create table licence (id varchar(20) collate utf8mb4_general_ci not null primary key, name varchar(9), amount decimal(12,2))',
    )
    const { capture, source } = await setUp(t, opened, sourceOf(licence))
    await test.query(`insert into licence values ('a', null, null)`)
    await new Model().drain({ capture, source })
    await test.query(`update licence set id = 'a '`)
    const take = await capture.take(source, 10, new Set())
    t.same(sortRows(take.keys), [['a '], ['a']])
    t.same((await capture.rowsByKeys(source, take.keys)).rows, [['a ', null, null]])
  })

  t.test('zero dates, unsigned numbers, bits, years, names and bad booleans', async (t) => {
    const items = [
      'day:date',
      'moment:timestamp',
      'big:integer',
      'bits:integer',
      'flag:boolean',
      'tiny:boolean',
      'clock:time',
      'level:text',
      'made:integer',
      'zeros:integer',
      'real:text',
    ]
    const schema = schemaOf([
      { id: 'id', type: 'text', length: 20, key: true, required: true },
      ...items.map((item) => ({ id: item.split(':')[0]!, type: item.split(':')[1] as 'date' })),
    ])
    const opened = await openDatabase(t, mariadb, freshDatabase)
    const { test } = opened
    await test.query(`create table licence (id varchar(20) collate utf8mb4_bin not null primary key, day date, moment datetime, big bigint unsigned, bits bit(10),
      flag bit(1), tiny tinyint(1), clock time(2), level enum('甲','乙'), made year invisible, zeros int(5) zerofill, real_ double) engine=InnoDB`)
    const source = sourceOf(schema, { columns: schema.items.map((item) => ({ item, column: item.id === 'real' ? 'real_' : item.name })) })
    const { capture } = await setUp(t, opened, source)
    await test.query(`set sql_mode = ''`)
    const columns = 'id, day, moment, big, bits, flag, tiny, clock, level, made, zeros, real_'
    const insert = async (...values: string[]) => {
      const all = [
        "'2024-02-29'",
        "'2024-02-29 01:02:03'",
        '1',
        "b'1000000001'",
        "b'1'",
        '0',
        "'10:11:12.50'",
        "'乙'",
        '2024',
        '7',
        '0.1',
      ].map((usual, i) => values[i + 1] ?? usual)
      await test.query(`insert into licence (${columns}) values ('${values[0]!}', ${all.join(', ')})`)
    }
    await insert('fine')
    await insert('zero', "'0000-00-00'")
    await insert('month', "'2024-00-10'")
    await insert('moment', 'null', "'0000-00-00 00:00:00'")
    await insert('big', 'null', 'null', '18446744073709551615')
    await insert('tiny', 'null', 'null', '9223372036854775807', '0', "b'0'", '2')
    await insert('clock', 'null', 'null', '1', '0', "b'0'", '1', "'-01:00:00'")
    await insert('hours', 'null', 'null', '1', '0', "b'0'", '1', "'24:00:00'")
    const read = await capture.rowsAfter(source, null, 100)
    const usual = ['2024-02-29', '2024-02-29T01:02:03', '1', '513', 'true', 'false', '10:11:12.5', '乙', '2024', '7', '0.1']
    t.same(read.rows, [['fine', ...usual]])
    const faults = read.faults.map(({ key, code, item }) => `${key[0]} ${item} ${code}`).toSorted()
    t.same(
      faults,
      ['big big', 'clock clock', 'hours clock', 'moment moment', 'month day', 'tiny tiny', 'zero day'].map(
        (fault) => `${fault} QZ-ROW-VALUE`,
      ),
    )
    const lenient = await capture.rowsByKeys({ ...source, zeroDates: 'null' }, [['zero'], ['moment']])
    t.same(sortRows(lenient.rows.map((row) => row.slice(0, 3))), [
      ['moment', null, null],
      ['zero', null, '2024-02-29T01:02:03'],
    ])
  })

  t.test('FLOAT and DOUBLE are read with all their digits, the year 0000 as 0', async (t) => {
    const schema = schemaOf([
      { id: 'id', type: 'integer', key: true, required: true },
      { id: 'f', type: 'text', length: 60 },
      { id: 'd', type: 'text', length: 400 },
      { id: 'y', type: 'integer' },
    ])
    const opened = await openDatabase(t, mariadb, freshDatabase)
    const { test } = opened
    await test.query('create table licence (id int primary key, f float, d double, y year)')
    const { capture, source } = await setUp(t, opened, sourceOf(schema))
    const random = Array.from({ length: 500 }, () => new Float64Array(new Uint8Array(randomBytes(8)).buffer)[0]!).filter(Number.isFinite)
    const numbers = [16777216, 16777217, 0.1, 1 / 3, 123456789, 5e-324, 1.7976931348623157e308, -2.2250738585072014e-308, ...random]
    const single = (n: number) => (Math.abs(n) < 3.4e38 && Math.abs(n) > 1.2e-38 ? Math.fround(n) : 0)
    await test.query(`insert into licence values ${numbers.map((n, i) => `(${i}, ${single(n)}, ${n}, 0)`).join(', ')}`)
    const rows = await tableRows(capture, source)
    const wrong = rows.filter(
      ([id, f, d, y]) => Number(f) !== single(numbers[Number(id)]!) || Number(d) !== numbers[Number(id)]! || y !== '0',
    )
    t.same(wrong, [], `${rows.length} numbers`)
    t.equal(rows.length, numbers.length)
    const proposed = await opened.database.describe('licence')
    t.ok(rows.every(([, f, d]) => f!.length <= proposed[1]!.proposal!.length! && d!.length <= proposed[2]!.proposal!.length!))
  })

  t.test('a key with a character that the receiver’s own column lacks is set aside, and its delete holds nothing up', async (t) => {
    for (const key of ['id', 'id, name'].map((list) => `primary key (${list})`)) {
      const items = licence.items.map((item) => (item.id === 'name' && key.includes('name') ? { ...item, key: true } : item))
      const sink = sinkOf({ ...licence, items })
      const { test, delivery } = await openSinks(t, mariadb, freshDatabase, [sink])
      await test.query(
        `create table delivered (id varchar(20) character set gbk not null, name varchar(100) character set latin1 not null, amount decimal(12,2), ${key})`,
      )
      await delivery.open(sink)
      const apply = (from: number, ops: Op[], rows: string[][]) =>
        delivery.apply(
          sink,
          'live',
          delivery.prepare(sink, {
            from: from ? at(from) : null,
            to: at(from + 1),
            rows: rows.length,
            ops,
            columns: [rows.map(([id]) => id!), rows.map(([, name]) => name!), rows.map(() => null)],
          }),
        )
      const rows = [
        ['东莞', 'n'],
        ['?', 'n'],
        ['😀', 'n'],
      ]
      t.match(await apply(0, ['u', 'u', 'u'], rows), { written: 2, quarantined: 1 })
      t.match(await apply(1, ['d', 'd'], [rows[2]!, rows[0]!]), { deleted: 1, quarantine: 0 })
      t.same(await test.query('select id from delivered'), [['?']])
    }
  })

  t.test('what LOAD DATA would clip is set aside', async (t) => {
    const sink = sinkOf(licence)
    const { test, delivery } = await openSinks(t, mariadb, freshDatabase, [sink])
    await delivery.open(sink)
    const of = Array.from({ length: 300 }, (_, i) => [`k${i}`, i === 7 ? 'x'.repeat(101) : `\\N\t${i}`, null])
    const columns = sink.columns.map((_, i) => of.map((row) => row[i]!))
    const applied = await delivery.apply(sink, 'live', delivery.prepare(sink, { from: null, to: at(1), rows: 300, columns }))
    t.same(applied, { written: 299, deleted: 0, quarantined: 1, quarantine: 1 })
    t.same(await test.query(`select count(*), max(length(name)) from delivered`), [['299', '6']])
  })

  t.test('the running agent needs no more rights than set-up grants', async (t) => {
    const opened = await openDatabase(t, mariadb, freshDatabase)
    const { test, database } = opened
    const source = sourceOf(licence)
    const user = `qz_${new URL(test.url).pathname.slice(-8)}`
    await test.query(`create user ${user}@'%' identified by 'x'`)
    t.teardown(() =>
      server!.createDatabase().then((url) => connect(url).then((s) => s.query(`drop user ${user}@'%'`).then(() => s.close()))),
    )
    await database.run(await database.supplyTable(source))
    await database.run(await database.setupScript(source, user))
    const url = test.url.replace('//root@', `//${user}:x@`)
    const capture = await (await openMysql({ name: 'front', url, pace: 5 })).openCapture([source])
    await capture.checkTable(source)
    await capture.mark(source, { coverage: await capture.triggerFingerprint(source) })
    await capture.record(source, { from: null, to: at(1), entries: [], snapshot: null, faults: [], sent: [] })
    await test.query(`insert into licence values ('a', null, null)`)
    t.same(await capture.waiting(), new Set([source.resource]))
    const { keys, entries } = await capture.take(source, 10, new Set())
    t.same((await capture.rowsByKeys(source, keys)).rows, [['a', null, null]])
    const faults = [{ key: ['b'], code: 'QZ-ROW-VALUE' as const, item: 'name' }]
    await capture.record(source, { from: at(1), to: at(2), entries, faults, sent: [['c']] })
    await capture.requeue(source, [['a']], at(2))
    t.equal((await capture.backlog(source, 10)).entries, 1)
    t.ok(await capture.collapse(source))
    t.equal((await capture.state(source)).snapshot, 'needed')
    await capture.close()
  })

  t.test('without local_infile rows go as values', async (t) => {
    const own = await startMariadb({ settings: { 'local-infile': '0' } })
    if (!own) return void t.pass('rows go as values', { skip: 'mariadb-server is not installed' })
    t.teardown(async () => own.stop())
    const database = await openMysql({ name: 'own', url: await own.createDatabase(), pace: 50 })
    const delivery = await database.openDelivery([])
    const sink = sinkOf(licence)
    await delivery.open(sink)
    const columns = [
      Array.from({ length: 2000 }, (_, i) => `k${i}`),
      Array.from({ length: 2000 }, () => '名'),
      Array.from({ length: 2000 }, () => '1.00'),
    ]
    const applied = await delivery.apply(sink, 'live', delivery.prepare(sink, { from: null, to: at(1), rows: 2000, columns }))
    t.match(applied, { written: 2000, quarantined: 0 })
    await own.kill('SIGKILL')
    await t.rejects(delivery.open(sink), { code: 'QZ-DB-UNREACHABLE' })
    await delivery.close()
  })
}
