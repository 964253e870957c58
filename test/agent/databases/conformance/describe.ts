/** Looking at tables by hand: what there is, how it could be registered, and rows as a batch would carry them. No set-up is needed. */
import type { Test } from 'tap'
import { checkSchema, type Item } from '../../../../protocol/schema.ts'
import type { Dialect, TestDatabase } from './suite.ts'
import { licence, openDatabase, schemaOf, sortRows, sourceOf, tableRows } from './fixture.ts'

export function describeConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  const opened = (t: Test) => openDatabase(t, engine, freshDatabase)

  t.test('tables and views are listed by name, without what is ours', async (t) => {
    const { database, test } = await opened(t)
    const source = sourceOf(licence)
    await database.run(await database.supplyTable(source))
    await database.run(await database.setupScript(source))
    await test.query(`create table ${engine.quote('企业')} (id int not null primary key)`)
    await test.query('create view b_view as select id from licence')
    // On a server that others use too, their databases are listed by their names.
    const tables = (await database.tables(1000)).filter(({ table }) => !table.startsWith('qianzhi_test_'))
    t.same(
      tables.map(({ table, view }) => [table, view]),
      [
        ['b_view', true],
        ['licence', false],
        ['企业', false],
      ],
    )
    t.match(tables[1], { comment: engine.noComments ? '' : licence.title })
    t.same((await database.tables(2)).length, 2)
    for (const { table } of tables) t.ok((await database.describe(table)).length > 0, `${table} can be named as it is listed`)
  })

  t.test('what is proposed for a column supplies it, and only what can be supplied is proposed', async (t) => {
    const { database, test } = await opened(t)
    const made = schemaOf([
      { id: 'k', type: 'text', length: 20, key: true, required: true },
      { id: 'short', type: 'text', length: 12 },
      { id: 'long', type: 'text' },
      { id: 'number', type: 'integer' },
      { id: 'exact', type: 'decimal', precision: 12, scale: 2 },
      { id: 'flag', type: 'boolean' },
      { id: 'day', type: 'date' },
      { id: 'moment', type: 'timestamp' },
      { id: 'clock', type: 'time' },
      { id: 'bytes', type: 'binary' },
    ])
    await database.run(await database.supplyTable(sourceOf(made)))
    const described = await database.describe('licence')
    t.same(
      described.map(({ column, comment }) => [column, comment]),
      made.items.map(({ name, label }) => [name, engine.noComments ? '' : label]),
    )
    t.same(
      described.map(({ proposal }) => proposal),
      made.items.map(({ type, length, precision, scale }) => JSON.parse(JSON.stringify({ type, length, precision, scale })) as object),
    )
    t.same(
      described.map(({ key, nullable }) => [key, nullable]),
      made.items.map(({ key }) => [key ?? false, !key]),
    )

    const odd = [...engine.lossy.map(({ column }) => column), 'char(5)', 'smallint', 'decimal(18,0)', 'decimal(19,0)', 'decimal(5,5)']
    const columns = odd.map((type, i) => `c${i} ${type}`)
    await test.query(`create table odd (id varchar(300) not null primary key, ${columns.join(', ')})`)
    const proposed = await database.describe('odd')
    t.match(proposed[0], { key: true, proposal: { type: 'text', length: 190 } }, 'a key that every engine can index')
    const items: Item[] = proposed.flatMap(({ column, key, proposal }) =>
      proposal ? [{ id: column, name: column, label: column, openness: 'internal', key, ...proposal }] : [],
    )
    t.ok(items.length < proposed.length, 'some types cannot be supplied')
    const source = sourceOf(checkSchema(schemaOf(items)), { table: 'odd' })
    const capture = await database.openCapture([])
    t.teardown(() => capture.close())
    await capture.checkTable(source)
    const byColumn = new Map(proposed.map(({ column, proposal }) => [odd[Number(column.slice(1))], proposal]))
    t.same(byColumn.get('char(5)'), { type: 'text', length: 5 })
    t.same(byColumn.get('smallint'), { type: 'integer' })
    t.same(byColumn.get('decimal(18,0)'), { type: 'integer' })
    t.same(byColumn.get('decimal(19,0)'), (engine.exactDigits ?? 38) < 19 ? undefined : { type: 'decimal', precision: 19, scale: 0 })
    t.same(byColumn.get('decimal(5,5)'), { type: 'decimal', precision: 5, scale: 5 })
  })

  t.test('samples are the beginnings of values', async (t) => {
    const { database, test } = await opened(t)
    await test.query(`create table ${engine.quote('表')} (id int not null primary key, ${engine.quote('名')} varchar(200))`)
    await test.query(`insert into ${engine.quote('表')} values (1, '${'许'.repeat(100)}'), (2, null)`)
    t.same(
      sortRows(await database.sample('表', ['名', 'id'], 10)),
      sortRows([
        ['许'.repeat(64), '1'],
        [null, '2'],
      ]),
    )
    t.equal((await database.sample('表', ['id'], 1)).length, 1)
    await t.rejects(database.sample('nowhere', ['id'], 1), { code: 'QZ-SOURCE-TABLE' })
  })

  t.test('a look shows rows as they are captured, and what cannot be sent', async (t) => {
    const { database, test } = await opened(t)
    const wide = schemaOf([licence.items[0]!, { ...licence.items[1]!, length: 100 }, licence.items[2]!])
    await database.run(await database.supplyTable(sourceOf(wide)))
    await test.query(`insert into licence values ('a', 'one', 1.50), ('b', '${'x'.repeat(20)}', 2), ('c', null, null), ('d', 'four', -4)`)
    const narrow = sourceOf(schemaOf([licence.items[0]!, { ...licence.items[1]!, length: 10 }, licence.items[2]!]))
    const capture = await database.openCapture([])
    t.teardown(() => capture.close())
    const looked = await database.previewRows(narrow, { rows: 20, filter: [] })
    t.same(sortRows(looked.rows), await tableRows(capture, narrow))
    t.match(looked.faults, [{ key: ['b'], code: 'QZ-ROW-VALUE', item: 'name' }])
    t.equal((await database.previewRows(narrow, { rows: 1, filter: [] })).rows.length, 1)
    await t.rejects(database.previewRows(sourceOf(licence, { table: 'nowhere' }), { rows: 1, filter: [] }), { code: 'QZ-SOURCE-TABLE' })
  })

  t.test('a look may ask for values, compared as portable text', async (t) => {
    const { database, test } = await opened(t)
    const { type, prepare } = engine.caseInsensitive
    for (const statement of prepare) await test.query(statement)
    await test.query(`create table licence (id varchar(20) not null primary key, name ${type}, n int, d date, f boolean, m decimal(12,2))`)
    await test.query(
      `insert into licence values ('1', 'abc', 7, '2026-11-22', true, 1.5), ('2', 'ABC', 7, null, false, 2), ('3', null, 8, '2026-11-23', null, null)`,
    )
    const source = sourceOf(
      schemaOf([
        { id: 'id', type: 'text', length: 20, key: true },
        { id: 'name', type: 'text', length: 20 },
        { id: 'n', type: 'integer' },
        { id: 'd', type: 'date' },
        { id: 'f', type: 'boolean' },
        { id: 'm', type: 'decimal', precision: 12, scale: 2 },
      ]),
    )
    const found = async (...filter: [string, string | null][]) => {
      const { rows } = await database.previewRows(source, { rows: 20, filter: filter.map(([item, value]) => ({ item, value })) })
      return rows.map((row) => row[0]!).toSorted((a, b) => Number(a) - Number(b))
    }
    t.same(await found(['name', 'abc']), ['1'], 'byte by byte')
    t.same(await found(['name', null]), ['3'])
    t.same(await found(['n', '7']), ['1', '2'])
    t.same(await found(['n', '7'], ['name', 'ABC']), ['2'])
    t.same(await found(['d', '2026-11-22']), ['1'])
    t.same(await found(['f', 'false']), ['2'])
    t.same(await found(['m', '1.5']), ['1'], 'which it writes 1.50')
    t.same(await found(['name', `' or '1'='1`]), [])
    t.same(await found(['name', `\\`]), [])
  })
}
