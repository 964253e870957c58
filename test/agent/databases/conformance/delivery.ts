/** Delivery: a batch and its position go in together or not at all; bad rows are set aside by key; a shadow replaces the live table. */
import type { Test } from 'tap'
import type { Change, Row, SinkTable } from '../../../../agent/database.ts'
import type { Dialect, TestDatabase } from './suite.ts'
import { apply, at, delivered, licence, openSinks, schemaOf, sinkOf, sourceOf, tableRows, twoKeys, type Filling } from './fixture.ts'

type Sketch = Pick<Change, 'from' | 'to'> & Partial<Change> & { of: Row[] }

export function deliveryConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  const filled = async (t: Test, sink: SinkTable): Promise<Filling> => {
    const filling = await openSinks(t, engine, freshDatabase, [sink])
    const { live, shadow } = await filling.delivery.open(sink)
    t.match(live, { position: null, snapshot: null, complete: false, schemaVersion: sink.schema.version, quarantine: 0 })
    t.same(
      live.items,
      sink.columns.map((column) => column.item.id),
    )
    t.equal(shadow, null)
    return filling
  }

  t.test('upserts, deletes and the position go in together', async (t) => {
    const sink = sinkOf(twoKeys)
    const filling = await filled(t, sink)
    const { delivery } = filling
    const first = {
      from: null,
      to: at(1),
      of: [
        ['1', 'x', 'a'],
        ['1', 'y', 'b'],
        ['2', null, 'a'],
      ],
    }
    t.same(await apply(delivery, sink, first), { written: 3, deleted: 0, quarantined: 0, quarantine: 0 })
    const second: Sketch = {
      from: at(1),
      to: at(2),
      of: [
        ['1', 'z', 'a'],
        ['2', null, 'a'],
        ['9', null, 'none'],
      ],
      ops: ['u', 'd', 'd'],
    }
    t.match(await apply(delivery, sink, second), { written: 1, deleted: 1, quarantined: 0 })
    t.same(await delivered(filling, twoKeys), [
      ['1', 'y', 'b'],
      ['1', 'z', 'a'],
    ])
    t.same((await delivery.open(sink)).live.position, at(2))
  })

  t.test('a batch is applied only from where the table is', async (t) => {
    const sink = sinkOf(licence)
    const filling = await filled(t, sink)
    const { delivery } = filling
    const sketch = { from: null, to: at(1), of: [['a', '甲', '1.00']] }
    await apply(delivery, sink, sketch)
    await t.rejects(apply(delivery, sink, { ...sketch, of: [['b', '', '1.00']] }), { code: 'QZ-CHAIN-BROKEN' })
    await t.rejects(apply(delivery, sink, { from: { ...at(1), hash: at(7).hash }, to: at(2), of: [['b', '', '1.00']] }), {
      code: 'QZ-CHAIN-BROKEN',
    })
    const large = Array.from({ length: 500 }, (_, i) => [`${i}`, null, null])
    await t.rejects(apply(delivery, sink, { from: at(2), to: at(3), of: large }), { code: 'QZ-CHAIN-BROKEN' })
    t.same(await delivered(filling, licence), sketch.of)
    t.same((await delivery.open(sink)).live.position, at(1))
  })

  t.test('large batches write over and remove as small ones do', async (t) => {
    const sink = sinkOf(licence)
    const filling = await filled(t, sink)
    const { delivery } = filling
    const rows = (name: string, count: number): Row[] => Array.from({ length: count }, (_, i) => [`k${i}`, name, `${i}.00`])
    await apply(delivery, sink, { from: null, to: at(1), of: rows('a', 2000) })
    const ops = rows('', 3000).map((_, i) => (i % 3 === 0 ? 'd' : 'u'))
    const applied = await apply(delivery, sink, { from: at(1), to: at(2), of: rows('b', 3000), ops })
    t.match(applied, { written: 2000, deleted: 667, quarantined: 0 })
    const left = await delivered(filling, licence)
    t.equal(left.length, 2000)
    t.ok(left.every((row) => row[1] === 'b'))
  })

  t.test('a key twice in one batch: the later one holds', async (t) => {
    for (const count of [2, 600]) {
      const sink = sinkOf(licence)
      const filling = await filled(t, sink)
      const of = Array.from({ length: count }, (_, i) => ['a', `n${i}`, null])
      t.match(await apply(filling.delivery, sink, { from: null, to: at(1), of }), { quarantined: 0 })
      t.same(await delivered(filling, licence), [['a', `n${count - 1}`, null]])
      const again: Sketch = {
        from: at(1),
        to: at(2),
        of: [
          ['a', 'x', null],
          ['a', null, null],
        ],
        ops: ['u', 'd'],
      }
      await apply(filling.delivery, sink, again)
      t.same(await delivered(filling, licence), [])
    }
  })

  t.test('added columns tell source, position and time', async (t) => {
    const sink = sinkOf(licence)
    const { test, delivery } = await filled(t, sink)
    await apply(delivery, sink, { from: null, to: at(3, 2), of: [['a', null, null]] })
    const rows = await test.query('select qz_source, qz_position from delivered where qz_received_at is not null')
    t.same(rows, [['scjg', '8589934595']])
  })

  t.test('deletes that mark keep the row, and an upsert brings it back', async (t) => {
    const sink = sinkOf(licence, { deletes: 'mark' })
    const { test, delivery } = await filled(t, sink)
    const gone = async () => (await test.query('select id from delivered where qz_deleted order by id')).flat()
    await apply(delivery, sink, {
      from: null,
      to: at(1),
      of: [
        ['a', '甲', '1.00'],
        ['b', null, null],
      ],
    })
    t.same(await gone(), [])
    t.match(await apply(delivery, sink, { from: at(1), to: at(2), of: [['a', null, null]], ops: ['d'] }), { deleted: 1 })
    t.same(await gone(), ['a'])
    t.same(await test.query(`select name from delivered where id = 'a'`), [['甲']])
    await apply(delivery, sink, { from: at(2), to: at(3), of: [['a', 'A', null]] })
    t.same(await gone(), [])
    const snapshot = { began: at(4), last: true }
    await apply(delivery, sink, { from: at(3), to: at(4), of: [['a', 'A', null]], snapshot })
    t.same(await gone(), ['b'])
  })

  for (const count of [3, 300]) {
    t.test(`bad rows among ${count} are set aside by key, and cleared by a later batch`, async (t) => {
      const sink = sinkOf(licence)
      const filling = await filled(t, sink)
      const { delivery } = filling
      const rows: Row[] = Array.from({ length: count }, (_, i) => [`k${i}`, 'n', `${i}.00`])
      await apply(delivery, sink, { from: null, to: at(1), of: rows })
      const bad = rows.map((row, i) => [row[0]!, 'new', i === 1 ? '99999999999.00' : i === 2 ? 'abc' : row[2]!])
      t.match(await apply(delivery, sink, { from: at(1), to: at(2), of: bad }), { written: count - 2, quarantined: 2, quarantine: 2 })
      const after = new Map((await delivered(filling, licence)).map((row) => [row[0], row]))
      t.same(after.get('k1'), ['k1', 'n', '1.00'], 'the old row stays')
      t.same(after.get('k0'), ['k0', 'new', '0.00'])
      t.match((await delivery.open(sink)).live, { position: at(2), quarantine: 2 })
      const aside = await filling.database.quarantine(sink.route, 10)
      t.same(aside.map(({ key }) => key.join()).toSorted(), ['k1', 'k2'])
      t.match(aside, [{ code: /^QZ-ROW-/ }, { code: /^QZ-ROW-/ }])
      t.same(await filling.database.quarantine('another', 10), [])
      const cannot: Sketch = {
        from: at(2),
        to: at(3),
        of: [
          ['k0', null, null],
          ['k1', null, null],
        ],
        ops: ['c:QZ-ROW-TOO-LARGE', 'd'],
      }
      t.match(await apply(delivery, sink, cannot), { deleted: 1, quarantined: 1, quarantine: 2 })
      const cleared = { from: at(3), to: at(4), of: rows.filter((row) => row[0] !== 'k1') }
      t.match(await apply(delivery, sink, cleared), { quarantined: 0, quarantine: 0 })
      t.equal((await delivered(filling, licence)).length, count - 1)
    })
  }

  t.test('a row refused by the receiver is set aside alone', async (t) => {
    const sink = sinkOf(licence)
    const filling = await filled(t, sink)
    for (const statement of engine.refusingTrigger('delivered')) await filling.test.query(statement)
    const rows: Row[] = Array.from({ length: 400 }, (_, i) => [`k${i}`, i % 100 === 50 ? 'refused' : 'n', null])
    t.match(await apply(filling.delivery, sink, { from: null, to: at(1), of: rows }), { written: 396, quarantined: 4, quarantine: 4 })
    t.match(await apply(filling.delivery, sink, { from: at(1), to: at(2), of: [['x', 'refused', null]] }), {
      quarantined: 1,
      quarantine: 5,
    })
    t.equal((await delivered(filling, licence)).length, 396)
  })

  t.test('a table that cannot be written is no fault of the rows', async (t) => {
    const sink = sinkOf(licence)
    const { test, delivery } = await filled(t, sink)
    await test.query('drop table delivered')
    await t.rejects(apply(delivery, sink, { from: null, to: at(1), of: [['a', null, null]] }), { code: 'QZ-SINK-TABLE' })
    t.match((await delivery.open(sink)).live, { quarantine: 0 })
  })

  t.test('at its end a snapshot removes the older rows of its source, quarantined keys excepted', async (t) => {
    const sink = sinkOf(licence)
    const filling = await filled(t, sink)
    const { test, delivery } = filling
    const of: Row[] = ['a', 'b', 'c', 'd'].map((id) => [id, 'old', '1.00'])
    await apply(delivery, sink, { from: null, to: at(1), of })
    await test.query(
      `insert into delivered (id, name, qz_source, qz_position, qz_received_at) values ('z', 'other', 'other', 1, current_timestamp)`,
    )
    const snapshot = { began: at(2), last: false }
    await apply(delivery, sink, { from: at(1), to: at(2), of: [['a', 'new', '1.00']], snapshot })
    t.match((await delivery.open(sink)).live, { snapshot: { epoch: 1, seq: 2 }, complete: false })
    t.equal((await delivered(filling, licence)).length, 5)
    const last: Sketch = {
      from: at(2),
      to: at(3),
      of: [
        ['b', 'bad', 'x'],
        ['e', 'new', '1.00'],
      ],
      snapshot: { ...snapshot, last: true },
    }
    t.match(await apply(delivery, sink, last), { written: 1, deleted: 2, quarantined: 1, quarantine: 1 })
    const left = (await delivered(filling, licence)).map((row) => row.slice(0, 2))
    t.same(left, [
      ['a', 'new'],
      ['b', 'old'],
      ['e', 'new'],
      ['z', 'other'],
    ])
    t.match((await delivery.open(sink)).live, { position: at(3), snapshot: null, complete: true })
  })

  t.test('what was quarantined before a snapshot and did not come in it leaves quarantine and table', async (t) => {
    const sink = sinkOf(licence)
    const filling = await filled(t, sink)
    const { delivery } = filling
    await apply(delivery, sink, { from: null, to: at(1), of: ['a', 'b', 'c'].map((id) => [id, 'old', '1.00']) })
    const refused: Row[] = ['a', 'b', 'never'].map((id) => [id, 'bad', 'x'])
    t.match(await apply(delivery, sink, { from: at(1), to: at(2), of: refused }), { quarantined: 3, quarantine: 3 })
    const snapshot = { began: at(3), last: false }
    t.match(await apply(delivery, sink, { from: at(2), to: at(3), of: [['c', 'new', '1.00']], snapshot }), { quarantine: 3 })
    const end: Sketch = { from: at(3), to: at(4), of: [['b', 'bad', 'x']], snapshot: { ...snapshot, last: true } }
    t.match(await apply(delivery, sink, end), { deleted: 1, quarantine: 1 })
    t.same(
      (await delivered(filling, licence)).map((row) => row.slice(0, 2)),
      [
        ['b', 'old'],
        ['c', 'new'],
      ],
    )
    t.match((await delivery.open(sink)).live, { quarantine: 1 })
  })

  t.test('a shadow is filled beside the live table and takes its place at once', async (t) => {
    const sink = sinkOf(licence)
    const filling = await filled(t, sink)
    const { test, delivery } = filling
    await apply(delivery, sink, {
      from: null,
      to: at(1),
      of: [
        ['a', 'old', '1.00'],
        ['b', 'old', '1.00'],
      ],
    })
    await test.query('create view receivers_view as select id, name from delivered')
    const wider = schemaOf([...licence.items, { id: 'extra', type: 'text', length: 9 }], 2)
    const wide = sinkOf(wider)
    t.match((await delivery.open(wide)).live, { position: at(1), schemaVersion: 1, items: ['id', 'name', 'amount'] })
    await delivery.beginShadow(wide)
    await delivery.beginShadow(wide)
    t.match((await delivery.open(wide)).shadow, {
      position: null,
      complete: false,
      schemaVersion: 2,
      items: ['id', 'name', 'amount', 'extra'],
    })
    const snapshot = { began: at(1, 2), last: true }
    const fill = {
      from: null,
      to: at(1, 2),
      of: [
        ['a', 'new', '1.00', 'x'],
        ['c', 'new', null, null],
      ],
      snapshot,
    }
    await apply(delivery, wide, fill, 'shadow')
    await apply(delivery, wide, { from: at(1, 2), to: at(2, 2), of: [['q', 'bad', 'abc', null]] }, 'shadow')
    t.same(await delivered(filling, licence), [
      ['a', 'old', '1.00'],
      ['b', 'old', '1.00'],
    ])
    await delivery.swap(wide)
    t.same(await delivered(filling, wider), [
      ['a', 'new', '1.00', 'x'],
      ['c', 'new', null, null],
    ])
    t.same(await test.query('select id from receivers_view order by id'), [['a'], ['c']])
    const { live, shadow } = await delivery.open(wide)
    t.match(live, { position: at(2, 2), complete: true, schemaVersion: 2, items: ['id', 'name', 'amount', 'extra'], quarantine: 1 })
    t.equal(shadow, null)
    t.match(await apply(delivery, wide, { from: at(2, 2), to: at(3, 2), of: [['q', 'good', '1.00', null]] }), { written: 1, quarantine: 0 })
  })

  t.test('a table that the receiver made is filled, its other columns left alone', async (t) => {
    const columns = licence.items.map((item) => ({ item, column: `c_${item.id}` }))
    const sink = sinkOf(licence, { table: 'own', columns })
    const filling = await openSinks(t, engine, freshDatabase, [sink])
    const { test, delivery } = filling
    await test.query(
      'create table own (c_id varchar(20) not null primary key, remark varchar(20), c_name varchar(200), c_amount decimal(12,2))',
    )
    await delivery.open(sink)
    await apply(delivery, sink, { from: null, to: at(1), of: [['a', '甲', '1.00']] })
    await test.query(`update own set remark = 'ours'`)
    await apply(delivery, sink, { from: at(1), to: at(2), of: [['a', '乙', '2.00']] })
    t.same(await test.query('select c_id, remark, c_name, c_amount, qz_source from own'), [['a', 'ours', '乙', '2.00', 'scjg']])
  })

  t.test('a table that must be its own is made, filled again, and never a foreign one', async (t) => {
    const sink = sinkOf(licence, { ownTable: true })
    const { test, delivery } = await openSinks(t, engine, freshDatabase, [sink])
    await test.query('create table delivered (id varchar(20) not null primary key, name varchar(100), amount decimal(12,2))')
    await test.query(`insert into delivered values ('x', 'theirs', 1)`)
    await t.rejects(delivery.open(sink), { code: 'QZ-SINK-TABLE', message: /Qianzhi did not make/ })
    t.same(await test.query('select * from delivered'), [['x', 'theirs', '1.00']])
    await test.query('drop table delivered')
    await delivery.open(sink)
    await apply(delivery, sink, { from: null, to: at(1), of: [['a', '甲', '1.00']] })
    t.match(await delivery.open(sink), { live: { position: at(1) } }, 'again')
    const later = sinkOf(licence, { ownTable: true, route: 'later' })
    t.match(await delivery.open(later), { live: { position: at(1) } }, 'a later grant of the resource')
  })

  t.test('a table that does not fit is refused, and says why', async (t) => {
    const sink = sinkOf(licence)
    const { test, delivery } = await openSinks(t, engine, freshDatabase, [sink])
    for (const columns of [
      'id varchar(20) not null primary key, name varchar(100)',
      'id varchar(20), name varchar(100), amount decimal(12,2)',
    ]) {
      await test.query(`create table delivered (${columns})`)
      await t.rejects(delivery.open(sink), { code: 'QZ-SINK-TABLE' })
      await test.query('drop table delivered')
    }
  })

  const never = !engine.endOthers && `a session of ${engine.name} cannot be lost`
  t.test('a lost session is noticed without a batch', { skip: never }, async (t) => {
    const { test, delivery } = await filled(t, sinkOf(licence))
    await delivery.check()
    await engine.endOthers!(test)
    await t.rejects(delivery.check(), { code: 'QZ-DB-UNREACHABLE' })
  })

  t.test('two routes fill two tables over one connection', async (t) => {
    const sinks = ['one', 'two'].map((name) => sinkOf(licence, { route: name, table: name }))
    const filling = await openSinks(t, engine, freshDatabase, sinks)
    const { delivery, database } = filling
    for (const sink of sinks) await delivery.open(sink)
    const of = Array.from({ length: 200 }, (_, i): Row => [`k${i}`, null, null])
    await Promise.all(sinks.map((sink, i) => apply(delivery, sink, { from: null, to: at(1), of: of.slice(i) })))
    const capture = await database.openCapture([])
    t.equal((await tableRows(capture, sourceOf(licence, { table: 'one' }))).length, 200)
    t.equal((await tableRows(capture, sourceOf(licence, { table: 'two' }))).length, 199)
    await capture.close()
  })
}

/** Applies rows given as rows. */
