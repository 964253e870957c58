/** Connections that only read: tables, views, SELECTs, tables without a key, and accounts that may do no more than SELECT. */
import type { Test } from 'tap'
import type { Mark, Reading, Row, RowFault, SourceTable } from '../../../../agent/database.ts'
import type { Item } from '../../../../protocol/schema.ts'
import type { ValueType } from '../../../../protocol/value.ts'
import type { Dialect, TestDatabase } from './suite.ts'
import { licence, openDatabase, schemaOf, sortRows, sourceOf, twoKeys, type Opened } from './fixture.ts'

const compared = (changes: Partial<SourceTable> = {}, schema = licence): SourceTable => sourceOf(schema, { capture: 'compare', ...changes })

export function readingConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  const open = async (t: Test, source = compared()): Promise<Opened & { reading: Reading }> => {
    const opened = await openDatabase(t, engine, freshDatabase)
    await opened.database.run(await opened.database.supplyTable(source))
    const reading = await opened.database.openReading()
    t.teardown(() => reading.close())
    return { ...opened, reading }
  }

  t.test('a table is read in the order of its key, in pages, by key, and counted', async (t) => {
    const { test, reading } = await open(t)
    await test.query(`insert into licence values ('b', '乙', 2), ('a', '甲', 1.50), ('c', null, null)`)
    const source = compared()
    await reading.checkTable(source)
    t.same(await pages(reading, source, 2), [
      ['a', '甲', '1.50'],
      ['b', '乙', '2.00'],
      ['c', null, null],
    ])
    t.same((await reading.rowsByKeys(source, [['c'], ['none']])).rows, [['c', null, null]])
    t.same((await reading.rowsByKeys(source, [])).rows, [])
    t.equal(await reading.count(source), 3)
  })

  t.test('paging and counting are of one moment where the engine has that without keeping writers waiting', async (t) => {
    const { test, reading } = await open(t)
    await test.query(`insert into licence values ('a', 'x', 1), ('b', 'x', 1)`)
    const source = compared()
    const seen = await reading.atOneMoment(async () => {
      const before = await reading.count(source)
      await test.query(`insert into licence values ('c', 'x', 1)`)
      return [before, (await pages(reading, source, 2)).length, await reading.count(source)]
    })
    t.same(seen, engine.oneWriter ? [2, 3, 3] : [2, 2, 2])
    t.equal(await reading.count(source), 3, 'and not longer')
  })

  t.test('rows that cannot be read are set aside under their keys; the others come, in pages and by key', async (t) => {
    const { test, reading } = await open(t)
    const { prepare, value } = engine.unreadable
    for (const statement of prepare) await test.query(statement)
    const ids = Array.from({ length: 23 }, (_, i) => `k${String(i).padStart(2, '0')}`)
    const bad = ['k00', 'k07', 'k08', 'k22']
    await test.query(`insert into licence values ${ids.map((id) => `('${id}', 'x', ${bad.includes(id) ? 0 : 1})`).join(', ')}`)
    await test.query(`create view risky as select id, name, ${value} as amount from licence`)
    const source = compared({ table: 'risky' })
    for (const limit of [1, 5, 23, 100]) {
      const [rows, faults]: [Row[], RowFault[]] = [[], []]
      for (let after: Row | null = null; ;) {
        const page: Awaited<ReturnType<Reading['rowsAfter']>> = await reading.rowsAfter(source, after, limit)
        rows.push(...page.rows)
        faults.push(...page.faults)
        after = page.last
        if (page.rows.length + page.faults.length < limit) break
      }
      t.same(
        rows.map(([id]) => id),
        ids.filter((id) => !bad.includes(id)),
      )
      t.same(
        faults.map(({ key, code }) => [...key, code]),
        bad.map((id) => [id, 'QZ-ROW-VALUE']),
      )
    }
    const found = await reading.rowsByKeys(
      source,
      [...ids, 'none'].map((id) => [id]),
    )
    t.same([found.rows.length, found.faults.length, found.missing], [ids.length - bad.length, bad.length, [['none']]])
  })

  t.test('views, SELECTs with a comment behind them, and parts of a table', async (t) => {
    const { test, reading } = await open(t)
    await test.query(`create table place (code varchar(20) not null primary key, town varchar(20))`)
    await test.query(`insert into place values ('a', 'north'), ('b', 'south'), ('c', 'north')`)
    await test.query(`insert into licence values ('b', '乙', 2), ('a', '甲', 1.50), ('c', '丙', 3)`)
    const select = 'select l.id, l.name, l.amount, p.town from licence l join place p on p.code = l.id where l.amount > 1'
    await test.query(`create view seen as ${select}`)
    const rows = [
      ['a', '甲', '1.50'],
      ['b', '乙', '2.00'],
      ['c', '丙', '3.00'],
    ]
    for (const source of [compared({ table: 'seen' }), compared({ table: 'all of it', query: `${select} -- 说明` })]) {
      await reading.checkTable(source)
      t.same(await pages(reading, source, 2), rows)
      t.same((await reading.rowsByKeys(source, [['b']])).rows, [rows[1]])
      t.equal(await reading.count(source), 3)
      const part = { ...source, rowFilter: [{ column: 'town', value: 'north' }] }
      t.same(await pages(reading, part, 1), [rows[0], rows[2]])
      t.same((await reading.rowsByKeys(part, [['a'], ['b']])).rows, [rows[0]])
      t.equal(await reading.count(part), 2)
      t.equal(await reading.count({ ...source, rowFilter: [{ column: 'town', value: null }] }), 0)
    }
  })

  t.test('a key of two columns, and one that the view gives another order', async (t) => {
    const { test, reading } = await open(t, compared({}, twoKeys))
    await test.query(`insert into licence values (2, 'x', 'a'), (10, 'y', 'a'), (2, 'z', 'b')`)
    await test.query('create view seen as select code, name, region from licence')
    for (const table of ['licence', 'seen']) {
      const source = compared({ table }, twoKeys)
      t.same(sortRows(await pages(reading, source, 1)), [
        ['10', 'y', 'a'],
        ['2', 'x', 'a'],
        ['2', 'z', 'b'],
      ])
      t.same((await reading.rowsByKeys(source, [['2', 'b']])).rows, [['2', 'z', 'b']])
    }
  })

  t.test('a key that is not unique: all its rows come, one after the other', async (t) => {
    const { test, reading } = await open(t)
    await test.query(`create table plain (id varchar(20) not null, name varchar(100), amount decimal(12,2))`)
    await test.query(`insert into plain values ('b', 'one', 1), ('a', null, 2), ('b', 'two', 3), ('c', null, 4), ('b', 'two', 3)`)
    const source = compared({ table: 'plain' })
    await reading.checkTable(source)
    const { rows, last } = await reading.rowsAfter(source, null, 10)
    t.same(
      rows.map(([id]) => id),
      ['a', 'b', 'b', 'b', 'c'],
    )
    t.same(last, ['c'])
    t.equal((await reading.rowsByKeys(source, [['b']])).rows.length, 3)
    t.same(
      (await reading.rowsAfter(source, ['b'], 10)).rows.map(([id]) => id),
      ['c'],
    )
  })

  t.test('keys that differ in case only are not lost, and stay beside each other or apart by their bytes', async (t) => {
    const { test, reading } = await open(t)
    for (const statement of engine.caseInsensitive.prepare) await test.query(statement)
    await test.query(`create table plain (id ${engine.caseInsensitive.type} not null, name varchar(100), amount decimal(12,2))`)
    await test.query(`insert into plain values ('x', '1', 1), ('b', '2', 2), ('X', '3', 3), ('y', '4', 4)`)
    const source = compared({ table: 'plain' })
    const whole = await reading.rowsAfter(source, null, 10)
    t.same(
      sortRows(whole.rows).map(([id]) => id),
      ['X', 'b', 'x', 'y'],
    )
    const found = (await reading.rowsByKeys(source, [['x'], ['X']])).rows.map(([, name]) => name)
    t.same(new Set(found), new Set(['1', '3']))
    t.equal(found.length, 2)
    // What follows a key, and what is equal to it for the database, together are everything from there on.
    for (const [i, [id]] of whole.rows.entries()) {
      const rest = [...(await reading.rowsByKeys(source, [[id!]])).rows, ...(await reading.rowsAfter(source, [id!], 10)).rows]
      for (const [, name] of whole.rows.slice(i))
        t.ok(
          rest.some((row) => row[1] === name),
          `${name} is met from ${id} on`,
        )
    }
  })

  t.test('rows without a value in a key column are refused', async (t) => {
    const { test, reading } = await open(t)
    await test.query(`create table plain (id varchar(20), name varchar(100), amount decimal(12,2))`)
    await test.query(`create view seen as select * from plain`)
    await test.query(`insert into plain values ('a', null, 2), (null, 'keyless', 3)`)
    const sources = ['plain', 'seen'].map((table) => compared({ table }))
    sources.push(compared({ table: 'query', query: 'select * from plain' }))
    for (const source of sources) await t.rejects(reading.checkTable(source), { code: 'QZ-SOURCE-TABLE' })
    await reading.checkTable(compared({ table: 'query', query: 'select * from plain where id is not null' }))
    await test.query(`delete from plain where id is null`)
    for (const source of sources) await reading.checkTable(source)
  })

  t.test('what does not exist, lacks a column or cannot be parsed is refused by name', async (t) => {
    const { reading } = await open(t)
    await t.rejects(reading.checkTable(compared({ table: 'nowhere' })), { code: 'QZ-SOURCE-TABLE' })
    await t.rejects(reading.checkTable(compared({ table: 'q', query: 'select id, name from licence' })), { code: 'QZ-SOURCE-TABLE' })
    await t.rejects(reading.checkTable(compared({ table: 'q', query: 'select from where' })), { code: 'QZ-SOURCE-TABLE' })
    await reading.checkTable(compared())
  })

  t.test('a SELECT gives every type as its table does', async (t) => {
    const items = everyType
    const source = compared({}, schemaOf(items))
    const { test, reading } = await open(t, source)
    const literals = items.map(({ type }, i) => (i ? engine.literal(type, samples[type]) : `'k'`))
    await test.query(`insert into licence values (${literals.join(', ')})`)
    await test.query(
      `insert into licence values ('null', ${items
        .slice(1)
        .map(() => 'null')
        .join(', ')})`,
    )
    const rows = await pages(reading, source, 10)
    t.same(rows[0], ['k', ...items.slice(1).map(({ type }) => samples[type])])
    await test.query('create view seen as select * from licence')
    for (const other of [{ table: 'seen' }, { table: 'q', query: 'select * from licence' }]) {
      t.same(await pages(reading, { ...source, ...other }, 10), rows)
    }
  })

  t.test('marks come in the order of the column, from a bound on, with their keys', async (t) => {
    const { test, reading } = await open(t, compared({}, timed))
    const at = (second: number) => engine.literal('timestamp', `2026-11-22T08:30:0${second}`)
    await test.query(`insert into licence values ('d', 3, ${at(1)}), ('c', 3, ${at(2)}), ('a', 1, ${at(3)}), ('b', 2, ${at(4)})`)
    await test.query(`insert into licence values ('e', null, null)`)
    await test.query('create view seen as select * from licence')
    const [number, time] = ['n', 'changed'].map((id) => columnOf(timed, id)) as [Column, Column]
    for (const table of ['licence', 'seen']) {
      const source = compared({ table }, timed)
      const all = await reading.keysSince(source, number, null, null, 10)
      t.same(all, [mark('1', 'a'), mark('2', 'b'), mark('3', 'c'), mark('3', 'd')])
      t.same(await reading.keysSince(source, number, '2', null, 10), all.slice(1))
      t.same(await reading.keysSince(source, number, '2', all[1]!, 1), [all[2]])
      t.same(await reading.keysSince(source, number, '2', all[2]!, 10), [all[3]], 'between rows of the same value')
      t.same(await reading.keysSince(source, number, '2', all[3]!, 10), [])
      const times = await reading.keysSince(source, time, '2026-11-22T08:30:02', null, 10)
      t.same(
        times.map(({ value, key }) => [value, key[0]]),
        [
          ['2026-11-22T08:30:02', 'c'],
          ['2026-11-22T08:30:03', 'a'],
          ['2026-11-22T08:30:04', 'b'],
        ],
      )
      t.same(await reading.keysSince(source, time, null, times[1]!, 10), [times[2]])
      const part = { ...source, rowFilter: [{ column: 'n', value: '3' }] }
      t.same(await reading.keysSince(part, number, null, null, 10), all.slice(2))
      await t.rejects(reading.keysSince(source, { ...time, column: 'nowhere' }, null, null, 1), { code: 'QZ-SOURCE-TABLE' })
      await t.rejects(reading.keysSince(source, { ...time, column: 'n' }, null, null, 1), { code: 'QZ-SOURCE-TYPE' })
      t.equal(await reading.count({ ...source, rowFilter: [{ column: 'n', value: null }] }), 1)
    }
  })

  t.test('an account that may only read', { skip: !engine.readOnlyAccount && 'not tried here' }, async (t) => {
    const { test } = await open(t)
    await test.query(`insert into licence values ('a', '甲', 1.50)`)
    await test.query('create view seen as select * from licence')
    await test.query('create view hidden as select * from licence')
    const url = await engine.readOnlyAccount!(test, ['licence', 'seen'])
    const database = await engine.open({ name: 'front', url, pace: 5 })
    const reading = await database.openReading()
    t.teardown(async () => {
      await reading.close()
      await database.close()
    })
    for (const table of ['licence', 'seen']) {
      await reading.checkTable(compared({ table }))
      t.same(await pages(reading, compared({ table }), 10), [['a', '甲', '1.50']])
    }
    const refused = await read(reading, compared({ table: 'hidden' })).catch((error: { code: string }) => error.code)
    t.match(refused, /^QZ-(?:DB-RIGHTS|SOURCE-TABLE)$/)
    t.same(await pages(reading, compared(), 10), [['a', '甲', '1.50']], 'the connection is still of use')
    await t.rejects(database.run([`delete from licence`]))
  })
}

type Column = { item: Item; column: string }

const timed = schemaOf([
  { id: 'id', type: 'text', length: 20, key: true, required: true },
  { id: 'n', type: 'integer' },
  { id: 'changed', type: 'timestamp' },
])

const samples: Record<ValueType, string> = {
  text: '𠮷 \'"\\',
  integer: '-9223372036854775808',
  decimal: '-1234567.89',
  boolean: 'true',
  date: '2026-11-22',
  timestamp: '2026-11-22T08:30:00.123456',
  timestamptz: '2026-11-22T00:30:00.5Z',
  time: '08:30:00.25',
  binary: 'AAH/',
  json: '{"a":1}',
}

const everyType = [
  { id: 'id', type: 'text' as const, length: 20, key: true, required: true },
  ...(['text', 'integer', 'decimal', 'boolean', 'date', 'timestamp', 'timestamptz', 'time', 'binary'] as const).map((type) => ({
    id: `v_${type}`,
    type,
    ...(type === 'text' && { length: 40 }),
    ...(type === 'decimal' && { precision: 20, scale: 2 }),
  })),
]

function columnOf(schema: typeof timed, id: string): Column {
  const item = schema.items.find((one) => one.id === id)!
  return { item, column: item.name }
}

function mark(value: string, key: string): Mark {
  return { value, key: [key] }
}

async function read(reading: Reading, source: SourceTable): Promise<Row[]> {
  await reading.checkTable(source)
  return pages(reading, source, 10)
}

/** All rows, in the order in which they come. */
async function pages(reading: Reading, source: SourceTable, limit: number): Promise<Row[]> {
  const rows: Row[] = []
  for (let after: Row | null = null; ;) {
    const page: Awaited<ReturnType<Reading['rowsAfter']>> = await reading.rowsAfter(source, after, limit)
    rows.push(...page.rows)
    if (page.last === null) return rows
    after = page.last
  }
}
