/** Values: every type's extremes come out of a source, go into a delivered table and come out again unchanged, byte for byte. */
import type { Test } from 'tap'
import type { Database, Row, SourceTable } from '../../../../agent/database.ts'
import type { Item } from '../../../../protocol/schema.ts'
import { keyTypes, type Value, type ValueType } from '../../../../protocol/value.ts'
import type { Dialect, TestDatabase } from './suite.ts'
import { applyChange, at, delivered, openSinks, schemaOf, sinkOf, sortRows, sourceOf, tableRows, watch, Model } from './fixture.ts'

const everyType = schemaOf([
  { id: 'id', type: 'text', length: 60, key: true, required: true },
  { id: 'short', type: 'text', length: 12 },
  { id: 'long', type: 'text' },
  { id: 'number', type: 'integer' },
  { id: 'exact', type: 'decimal', precision: 38, scale: 20 },
  { id: 'flag', type: 'boolean' },
  { id: 'day', type: 'date' },
  { id: 'moment', type: 'timestamp' },
  { id: 'instant', type: 'timestamptz' },
  { id: 'clock', type: 'time' },
  { id: 'bytes', type: 'binary' },
  { id: 'doc', type: 'json' },
])

const values: Partial<Record<string, string[]>> = {
  short: ['', ' ', 'trail  ', '  lead', 'Case', '𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷', 'é', 'é', `'"\\`, '\t\n\r', '\\N', 'null', '\\.'],
  long: ['', '第一行\n第二行\r\n\t"引号" \\ \u0001 \u007f \u2028 ﷽ 👩‍👩‍👧', 'x'.repeat(70_000), '许'.repeat(30_000)],
  number: ['0', '1', '-1', '9223372036854775807', '-9223372036854775808', '9007199254740993'],
  exact: [
    '0.00000000000000000000',
    '0.00000000000000000001',
    '123456789012345678.12345678901234567890',
    '-999999999999999999.99999999999999999999',
  ],
  flag: ['true', 'false'],
  day: ['2026-11-22', '2024-02-29', '1970-01-01', '1900-03-01', '9999-12-31'],
  moment: [
    '2026-11-22T08:30:00.123456',
    '2026-11-22T08:30:00',
    '2026-11-22T08:30:00.1',
    '1901-01-01T00:00:00',
    '9999-12-31T23:59:59.999999',
  ],
  instant: ['2026-11-22T08:30:00.123456Z', '2026-11-22T23:59:59Z', '1991-07-01T00:00:00.5Z', '2037-12-31T23:59:59.999999Z'],
  clock: ['00:00:00', '08:30:00.123456', '23:59:59.999999', '12:00:00.5'],
  bytes: ['', 'AA==', '/+8=', Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('base64')],
  doc: ['{"a": 1.0, "名": ["𠮷", null, true, "\\"\\\\"]}', '[]', '"text"', '12345678901234567890.10'],
}

export function valueConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  const rows = everyRow(engine)

  t.test('every type and extreme is read as its portable text', async (t) => {
    const { test, database, capture, source } = await watch(t, engine, freshDatabase, sourceOf(everyType))
    for (const row of rows) await test.query(`insert into licence values (${literals(engine, row)})`)
    const model = new Model()
    await model.drain({ capture, source })
    sameValues(t, model.sorted(), kept(engine, rows))
    sameValues(t, await tableRows(capture, source, 3), kept(engine, rows))
    await confirmed(t, engine, database, source, everyType.items)
  })

  t.test('every type and extreme is delivered, whatever the size of the batch', async (t) => {
    const sink = sinkOf(everyType)
    const filling = await openSinks(t, engine, freshDatabase, [sink])
    const { delivery } = filling
    await delivery.open(sink)
    const many = Array.from({ length: 120 }, (_, i) => rows.map((row) => [`${row[0]}/${i}`, ...row.slice(1)])).flat()
    for (const [i, batch] of [...rows.map((row) => [row]), rows, many].entries()) {
      const columns = sink.columns.map((_, column) => batch.map((row) => row[column]!))
      const change = { from: i ? at(i) : null, to: at(i + 1), rows: batch.length, columns }
      const applied = await applyChange(delivery, sink, change)
      t.equal(applied.quarantined, 0)
      t.equal(applied.written, batch.length)
    }
    sameValues(t, await delivered(filling, everyType), kept(engine, [...rows, ...many]))
  })

  for (const type of keyTypes) {
    t.test(`${type} as key`, async (t) => {
      const limits = type === 'text' ? { length: 30 } : type === 'decimal' ? { precision: 38, scale: 20 } : {}
      const schema = schemaOf([
        { id: 'k', type, ...limits, key: true, required: true },
        { id: 'v', type: 'text', length: 20 },
      ])
      const { test, capture, source } = await watch(t, engine, freshDatabase, sourceOf(schema))
      const keys = type === 'text' ? ['a', 'A', 'a b', '许可', '𠮷', `'"\\`] : valuesOf(engine, type)
      for (const key of keys) await test.query(`insert into licence values (${engine.literal(type, key)}, 'v')`)
      const take = await capture.take(source, 1000, new Set())
      t.same(sortRows(take.keys), sortRows(keys.map((key) => [key])))
      const expected = sortRows(keys.map((key) => [key, 'v']))
      t.same(sortRows((await capture.rowsByKeys(source, take.keys)).rows), expected)
      t.same(await tableRows(capture, source, 1), expected)
      await capture.requeue(source, take.keys, at(2))
      t.same(sortRows((await capture.take(source, 1000, new Set())).keys), sortRows(take.keys))
    })
  }

  t.test('keys are delivered byte by byte: case, accents and trailing spaces count', async (t) => {
    const schema = schemaOf([
      { id: 'k', type: 'text', length: 30, key: true },
      { id: 'v', type: 'text', length: 20 },
    ])
    const sink = sinkOf(schema)
    const filling = await openSinks(t, engine, freshDatabase, [sink])
    await filling.delivery.open(sink)
    const keys = ['a', 'A', 'a ', 'á', 'a\u0301', 'ａ', ...(engine.emptyIsNull ? [] : ['']), ' ', 'ß', 'ss']
    const change = { from: null, to: at(1), rows: keys.length, columns: [keys, keys] }
    t.same((await filling.delivery.apply(sink, 'live', filling.delivery.prepare(sink, change))).written, keys.length)
    t.same(await delivered(filling, schema), sortRows(keys.map((key) => [key, key])))
    const ops = ['d', 'd'] as const
    const deletes = {
      from: at(1),
      to: at(2),
      rows: 2,
      columns: [
        ['A', 'a '],
        [null, null],
      ],
      ops,
    }
    await filling.delivery.apply(sink, 'live', filling.delivery.prepare(sink, deletes))
    const left = keys.filter((key) => key !== 'A' && key !== 'a ')
    t.same(await delivered(filling, schema), sortRows(left.map((key) => [key, key])))
  })

  t.test('a value over the limit is not read: its row is a fault, others go on', async (t) => {
    const schema = schemaOf([
      { id: 'id', type: 'text', length: 20, key: true, required: true },
      { id: 'doc', type: 'text' },
      { id: 'scan', type: 'binary' },
    ])
    const { test, capture, source } = await watch(t, engine, freshDatabase, sourceOf(schema, { valueLimit: 1000 }))
    const literal = (bytes: number) => engine.literal('binary', Buffer.alloc(bytes, 7).toString('base64'))
    await test.query(`insert into licence values ('fits', '${'x'.repeat(1000)}', ${literal(1000)})`)
    await test.query(`insert into licence values ('text', '${'许'.repeat(334)}', null)`)
    await test.query(`insert into licence values ('bytes', null, ${literal(1001)})`)
    const take = await capture.take(source, 10, new Set())
    for (const read of [await capture.rowsByKeys(source, take.keys), await capture.rowsAfter(source, null, 10)]) {
      t.same(
        read.rows.map((row) => row[0]),
        ['fits'],
      )
      const faults = sortRows(read.faults.map(({ key, code, item }) => [key[0]!, code, item!]))
      t.same(faults, [
        ['bytes', 'QZ-ROW-TOO-LARGE', 'scan'],
        ['text', 'QZ-ROW-TOO-LARGE', 'doc'],
      ])
    }
  })

  t.test('a text longer than its item is a fault, not cut', async (t) => {
    const schema = schemaOf([
      { id: 'id', type: 'text', length: 20, key: true, required: true },
      { id: 'name', type: 'text', length: 3 },
    ])
    const wide = schemaOf([schema.items[0]!, { ...schema.items[1]!, length: 10 }])
    const { test, capture, source } = await watch(t, engine, freshDatabase, sourceOf(wide))
    await test.query(`insert into licence values ('a', '𠮷𠮷𠮷'), ('b', 'abcd')`)
    const narrow = sourceOf(schema)
    await capture.checkTable(narrow)
    const read = await capture.rowsAfter(narrow, null, 10)
    t.same(read.rows, [['a', '𠮷𠮷𠮷']])
    t.match(read.faults, [{ key: ['b'], code: 'QZ-ROW-VALUE', item: 'name' }])
    t.same(read.last, ['b'])
    t.ok(source)
  })
}

/** The database, by its own comparison, has each value that was read, and none in its place that another row has. */
async function confirmed(t: Test, engine: Dialect, database: Database, source: SourceTable, items: readonly Item[]): Promise<void> {
  const reading = await database.openReading()
  t.teardown(() => reading.close())
  const { rows } = await reading.rowsAfter(source, null, 100)
  const wrong: string[] = []
  let asked = 0
  for (const [place, { id, type }] of items.entries()) {
    if (type === 'json' || (type === 'binary' && engine.emptyIsNull)) continue
    const plain = rows.filter((row) => (row[place]?.length ?? 0) < 1_000)
    for (const [i, row] of plain.entries()) {
      const like = async (value: Value) => {
        asked++
        const filter = [
          ...new Map([
            ['id', row[0]!],
            [id, value],
          ]),
        ].map(([item, one]) => ({ item, value: one }))
        return (await reading.rowsLike(source, { rows: 1, filter })).rows.length
      }
      const other = plain[(i + 1) % plain.length]![place]!
      if ((await like(row[place]!)) !== 1) wrong.push(`${id} ${shorten(row[place]!)} is not found`)
      if (place > 0 && other !== row[place] && (await like(other)) !== 0) wrong.push(`${id} ${shorten(other)} is found`)
    }
  }
  t.same(wrong, [], `${asked} values asked for`)
}

function valuesOf(engine: Dialect, type: ValueType): string[] {
  const item = everyType.items.find((item) => item.type === type && item.id !== 'id')!
  const more = (engine.extremes ?? []).filter((extreme) => extreme.type === type).map((extreme) => extreme.value)
  return [...values[item.id]!, ...more]
}

/** As many rows as the longest list of values, the first all null, the other lists repeated. */
function everyRow(engine: Dialect): Row[] {
  const columns = everyType.items.slice(1).map((item) => (item.type === 'text' ? values[item.id]! : valuesOf(engine, item.type)))
  const count = Math.max(...columns.map((column) => column.length))
  const rows: Row[] = [['null', ...columns.map(() => null)]]
  for (let i = 0; i < count; i++) rows.push([`row ${i}`, ...columns.map((column) => column[i % column.length]!)])
  return rows
}

/** The rows as the engine can hold them. */
function kept({ emptyIsNull }: Dialect, rows: readonly Row[]): readonly Row[] {
  if (!emptyIsNull) return rows
  return rows.map((row) => row.map((value, i) => (value === '' && everyType.items[i]!.type === 'text' ? null : value)))
}

function literals(engine: Dialect, row: Row): string {
  return row.map((value, i) => (value === null ? 'null' : engine.literal(everyType.items[i]!.type, value))).join(', ')
}

/** JSON may be written in another way by engines that keep it parsed; its meaning may not change. */
function sameValues(t: Test, found: readonly Row[], wanted: readonly Row[]): void {
  const doc = everyType.items.findIndex((item) => item.type === 'json')
  const plain = (rows: readonly Row[]): Value[][] =>
    sortRows(rows).map((row) => row.map((value, i) => (i === doc && value !== null ? JSON.stringify(JSON.parse(value)) : shorten(value))))
  t.same(plain(found), plain(wanted))
}

function shorten(value: Value): Value {
  return value !== null && value.length > 200 ? `${value.slice(0, 50)}… ${value.length}` : value
}
