/**
 * Every statement that the Oracle engine makes, kept as files that can be read: golden/oracle/*.sql. `QIANZHI_WRITE_GOLDEN=1` writes them
 * anew. Needs no server; each change of a file is to be read against Oracle's documentation.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { forClient } from '../../../../agent/commands/printed-script.ts'
import type { Change, Row, SinkTable } from '../../../../agent/database.ts'
import type { CatalogTable } from '../../../../agent/databases/oracle/catalog.ts'
import { sessionSettings } from '../../../../agent/databases/oracle/connection.ts'
import { tablesQuery, timedQuery } from '../../../../agent/databases/oracle/describe.ts'
import * as plans from '../../../../agent/databases/oracle/plan.ts'
import { grantStatements, setupStatements, teardownStatements } from '../../../../agent/databases/oracle/setup.ts'
import { safeName } from '../../../../agent/databases/oracle/names.ts'
import { exchangeKey, itemChanges } from '../../../../agent/databases/oracle/shape.ts'
import { bookStatements } from '../../../../agent/databases/oracle/books.ts'
import { columnReader } from '../../../../agent/databases/oracle/types.ts'
import { openOracle } from '../../../../agent/databases/oracle/engine.ts'
import { positionNumber } from '../../../../protocol/position.ts'
import { deliveredTable, supplyTable } from '../../../../agent/databases/oracle/sql.ts'
import { at, schemaOf, sinkOf, sourceOf } from '../conformance/fixture.ts'
import { checkPlaceholders, Recorder } from './recorder.ts'

const folder = join(import.meta.dirname, 'golden')

function golden(t: Test, name: string, text: string): void {
  const file = join(folder, `${name}.sql`)
  if (process.env['QIANZHI_WRITE_GOLDEN']) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(file, text)
  }
  t.equal(text, readFileSync(file, 'utf8'), name)
}

const everyType = schemaOf([
  { id: 'id', type: 'text', length: 60, key: true, required: true },
  { id: 'seen', type: 'timestamptz', key: true, required: true },
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

/** Rows of the dictionary's columns query: name, type, nullable, characters, bytes, counted in, precision, scale, id, default. */
type Described = [string, string, 'Y' | 'N', string | null, string, string | null, string | null, string | null, string, string | null]

const describedColumns: Described[] = [
  ['ID', 'VARCHAR2', 'N', '60', '240', 'C', null, null, '1', null],
  ['SEEN', 'TIMESTAMP(6) WITH LOCAL TIME ZONE', 'N', '0', '11', null, null, '6', '2', null],
  ['SHORT', 'VARCHAR2', 'Y', '12', '48', 'C', null, null, '3', null],
  ['LONG', 'CLOB', 'Y', '0', '4000', null, null, null, '4', null],
  ['NUMBER', 'NUMBER', 'Y', '0', '22', null, null, '0', '5', null],
  ['EXACT', 'NUMBER', 'Y', '0', '22', null, '38', '20', '6', null],
  ['FLAG', 'NUMBER', 'Y', '0', '22', null, '1', '0', '7', null],
  ['DAY', 'DATE', 'Y', '0', '7', null, null, null, '8', null],
  ['MOMENT', 'TIMESTAMP(6)', 'Y', '0', '11', null, null, '6', '9', null],
  ['INSTANT', 'TIMESTAMP(6) WITH TIME ZONE', 'Y', '0', '13', null, null, '6', '10', null],
  ['CLOCK', 'INTERVAL DAY(1) TO SECOND(6)', 'Y', '0', '11', null, '1', '6', '11', null],
  ['BYTES', 'BLOB', 'Y', '0', '4000', null, null, null, '12', null],
  ['DOC', 'CLOB', 'Y', '0', '4000', null, null, null, '13', null],
]

const added: Described[] = [
  ['QZ_SOURCE', 'VARCHAR2', 'Y', '64', '256', 'C', null, null, '14', null],
  ['QZ_POSITION', 'NUMBER', 'Y', '0', '22', null, '19', '0', '15', null],
  ['QZ_RECEIVED_AT', 'TIMESTAMP(6) WITH TIME ZONE', 'Y', '0', '13', null, null, '6', '16', null],
]

function columnsOf(rows: readonly Described[]): CatalogTable['columns'] {
  return rows.map(([column, type, nullable, length, bytes, used, precision, scale]) => ({
    column,
    type,
    nullable: nullable === 'Y',
    countsBytes: used === 'B',
    bytes: Number(bytes),
    ...(used !== null && { length: Number(length) }),
    ...(precision !== null && { precision: Number(precision) }),
    ...(scale !== null && { scale: Number(scale) }),
  }))
}

const catalog: CatalogTable = {
  owner: 'APP',
  table: 'LICENCE',
  name: '"APP"."LICENCE"',
  view: false,
  temporary: false,
  columns: columnsOf(describedColumns),
  keys: [{ index: 'SYS_C001', constraint: 'SYS_C001', primary: true, columns: ['ID', 'SEEN'] }],
  uniqueColumns: ['ID', 'SEEN'],
  shape: '',
}

const unicode = { unicode: true }
const gbk = { unicode: false }
const source = sourceOf(everyType)
const script = (statements: readonly string[]): string =>
  statements.map((statement) => forClient(statement.replace(/;\s*$/, ''), 'sqlplus')).join('\n')

t.test('tables that are made', async (t) => {
  golden(t, 'supply-table', script(supplyTable('app.licence', everyType, source.columns, unicode)))
  golden(t, 'supply-table-gbk', script(supplyTable('licence', everyType, source.columns, gbk)))
  golden(t, 'delivered-table', script(deliveredTable(sinkOf(everyType), unicode)))
  golden(t, 'delivered-table-shared', script(deliveredTable(sinkOf(everyType, { shared: true, deletes: 'mark' }), unicode)))
  golden(t, 'route-tables', script(bookStatements('QZ', unicode)))
})

t.test('set-up and teardown, as SQL*Plus takes them', async (t) => {
  const plan = plans.planOf(source, catalog)
  golden(t, 'setup', script([...grantStatements(plan, 'qz'), ...setupStatements(plan, 'QZ', unicode)]))
  golden(t, 'setup-gbk', script(setupStatements(plan, 'QZ', gbk)))
  golden(t, 'teardown', script(teardownStatements(source, 'QZ')))
})

t.test('rights, as a DBA gives them and as the account asks for them', async (t) => {
  const recorder = new Recorder()
  recorder.answer(/default_tablespace/, [['USERS']])
  recorder.answer(/sys_extract_utc\(systimestamp\), 'YYYY/, [['2026-11-24T00:00:00.000Z']])
  recorder.answer(/from all_tab_privs|from session_privs/, [['0']])
  await recorder.recording(async () => {
    const database = await openOracle({ name: 'front', url: 'oracle://qz:x@localhost:1521/orcl', pace: 5 })
    const elsewhere = { ...source, table: 'app.licence' }
    golden(t, 'rights', script(await database.rightsScript([elsewhere], [sinkOf(everyType)], 'front')))
    recorder.take()
    const [check] = await database.doctor([{ ...elsewhere, capture: 'compare' }], [])
    t.match(check, { name: 'rights', ok: false, en: /grant select on "APP"\."LICENCE" to "QZ";/ })
    golden(t, 'rights-held', recorder.take())
    const told = await database.describe('app.licence').then(String, (error: Error) => error.message)
    t.match(told, /have the DBA run grant select on "APP"\."LICENCE" to "QZ" \(or it does not exist\)/, 'a table that is not to be seen')
    recorder.take()
    await database.close()
  })
})

t.test('reading', async (t) => {
  const one = (statement: plans.Statement): string => {
    checkPlaceholders(statement.sql, statement.binds.values.length)
    return `${statement.sql};`
  }
  const plan = plans.planOf(source, catalog)
  const key: Row = ['a', '2026-11-22T08:30:00.5Z']
  const simple = schemaOf([
    { id: 'id', type: 'text', length: 60, key: true },
    { id: 'moment', type: 'timestamp' },
  ])
  const columns = columnsOf([
    ['ID', 'CHAR', 'N', '20', '20', 'B', null, null, '1', null],
    ['MOMENT', 'DATE', 'Y', '0', '7', null, null, null, '2', null],
  ])
  const rowFilter = [{ column: 'id', value: 'x' }]
  const view = plans.planOf(sourceOf(simple, { capture: 'watermark', rowFilter }), { ...catalog, columns, keys: [], view: true })
  const watermark = columnReader({ item: simple.items[1]!, column: 'moment' }, columns[1]!, source)!
  const from = '2026-11-22T08:30:00'
  const wanted = [
    { column: plan.columns[2]!, value: 'x' },
    { column: plan.columns[3]!, value: 'long' },
    { column: plan.columns[7]!, value: '2026-11-22' },
    { column: plan.columns[4]!, value: null },
  ]
  golden(
    t,
    'reading',
    `${[
      ['rows of keys', one(plans.byKeysStatement(unicode, plan, [key]))],
      ['rows of several keys', one(plans.byKeysStatement(unicode, plan, [key, key]))],
      ['rows of one padded key column of a view', one(plans.byKeysStatement(unicode, view, [['a']]))],
      ['the first rows', one(plans.afterStatement(unicode, plan, null, 1000))],
      ['the rows after a key', one(plans.afterStatement(unicode, plan, key, 1000))],
      ['the rows of a view after a key', one(plans.afterStatement(unicode, view, ['a'], 1000))],
      ['keys since a watermark', one(plans.sinceStatement(unicode, view, watermark, from, { value: from, key: ['a'] }, 1000))],
      ['keys from the first on', one(plans.sinceStatement(unicode, view, watermark, null, null, 1000))],
      ['count', one(plans.countStatement(unicode, view))],
      ['rows without a key', one(plans.withoutKeyStatement(unicode, view))],
      ['a look', one(plans.lookStatement(unicode, plan, wanted, 20))],
      ['tables and views', tablesQuery(':1', ':2', true)],
      ['tables and views of 11.2', tablesQuery(':1', ':2', false)],
      ['dates with times', timedQuery('"APP"."LICENCE"', ['DAY'])],
      ['settings of every session', sessionSettings.join(';\n')],
    ]
      .map(([what, sql]) => `-- ${what}\n${sql}`)
      .join('\n\n')}\n`,
  )
})

t.test('tables that follow their schema', async (t) => {
  const live: CatalogTable = {
    ...catalog,
    table: 'DELIVERED',
    name: '"QZ"."DELIVERED"',
    owner: 'QZ',
    columns: columnsOf([...describedColumns, ...added]),
  }
  const items = everyType.items.map((item) =>
    item.id === 'short'
      ? { ...item, length: 2000 }
      : item.id === 'id'
        ? { ...item, length: 90 }
        : item.id === 'flag'
          ? { ...item, key: true }
          : item,
  )
  const next = sinkOf(schemaOf([...items, { id: 'extra', type: 'text', length: 9 }], 2))
  const texts = [
    ['longer and further items', itemChanges(next, live, unicode)],
    [
      'the end of a column’s move that a crash parted',
      itemChanges(
        next,
        {
          ...live,
          columns: [
            ...live.columns.filter(({ column }) => column !== 'SHORT'),
            ...columnsOf([['QZ_NEW_SHORT', 'CLOB', 'Y', '0', '4000', null, null, null, '18', null]]),
          ],
        },
        unicode,
      ),
    ],
    ['another key', exchangeKey(next, live, ['ID', 'SEEN'])],
    [
      'another key with the source',
      exchangeKey({ ...next, shared: true }, { ...live, keys: [{ index: 'U1', primary: false, columns: ['ID', 'SEEN'] }] }, ['ID', 'SEEN']),
    ],
  ] as const
  golden(t, 'schema-changes', texts.map(([what, statements]) => `-- ${what}\n${statements.join(';\n')};`).join('\n\n') + '\n')
})

/** The dictionary of a recorder: tables by name. */
function dictionary(recorder: Recorder, tables: Record<string, { columns: Described[]; key: string[] }>): void {
  const named = (values: readonly unknown[]) => Object.keys(tables).find((name) => values.includes(name))
  const find = (values: readonly unknown[]) => tables[named(values) ?? '']
  recorder.answer(/^select owner, name, kind/, (_, values) => (find(values) ? [['QZ', named(values)!, 'TABLE', 'N']] : []))
  recorder.answer(/from all_tab_cols/, (_, values) => find(values)?.columns ?? [])
  recorder.answer(
    /from all_constraints/,
    (_, values) => find(values)?.key.map((column, i) => ['P', 'PK', 'PK', column, String(i + 1)]) ?? [],
  )
}

t.test('capture, as it is asked', async (t) => {
  const recorder = new Recorder()
  dictionary(recorder, { LICENCE: { columns: describedColumns, key: ['ID', 'SEEN'] } })
  const plan = plans.planOf(source, catalog)
  const trigger = setupStatements(plan, 'QZ', unicode).find((statement) => statement.startsWith('create trigger'))!
  recorder.answer(/from all_triggers/, [['ENABLED', '7', trigger.slice(trigger.indexOf('compound trigger'))]])
  recorder.answer(/object_type = 'TABLE'/, [['8']])
  recorder.answer(/QZ_STREAM" s/, [['1', '4', at(4).hash, null, null, null, null, null, '0']])
  recorder.answer(/table_name like/, [['QZ_Q_SCJG_LICENCE_AF8BF62B'], ['QZ_Q_SCJG_LICENCE']])
  recorder.answer(/q\.marked/, [
    ['11', null, 'a', ' 2026-11-22T08:30:00.500000'],
    ['12', '1', null, null],
  ])
  recorder.answer(/min\(written_at\)/, [['2', '2026-11-22T08:30:00.000Z']])
  recorder.answer(/nextval from dual/, [['5000']])
  recorder.answer(/^select k\.place/, [['0', '0']])
  await recorder.recording(async () => {
    const database = await openOracle({ name: 'front', url: 'oracle://qz:x@localhost:1521/orcl', pace: 5 })
    const capture = await database.openCapture([source])
    await capture.checkTable(source)
    await capture.triggerFingerprint(source)
    t.same((await capture.state(source)).position, at(4))
    await capture.waiting()
    const take = await capture.take(source, 10, new Set(['9']))
    t.same(take, { entries: ['11', '12'], keys: [['a', '2026-11-22T08:30:00.5Z']], marked: true })
    t.same(await capture.rowsByKeys(source, take.keys), { rows: [], faults: [], missing: take.keys })
    const faults = [{ key: ['b', 'x'], code: 'QZ-ROW-VALUE' as const, item: 'short', reason: 'too long' }]
    const began = { epoch: 1, seq: 5 }
    await capture.record(source, {
      from: at(4),
      to: at(5),
      entries: take.entries,
      snapshot: { began, after: ['b', 'x'] },
      faults,
      sent: [['a', 'y']],
    })
    await capture.record(source, { from: null, to: at(6), entries: [], snapshot: null, faults: [], sent: [] })
    await capture.requeue(
      source,
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
      at(7),
    )
    await capture.mark(source, { snapshot: 'needed', coverage: 'abc', entries: ['13'] })
    await capture.collapse(source)
    t.same(await capture.backlog(source, 100), { entries: 2, bytes: 200, oldest: new Date('2026-11-22T08:30:00Z') })
    await capture.close()
  })
  golden(t, 'capture', recorder.take())
})

t.test('quarantines, as they are listed', async (t) => {
  const recorder = new Recorder()
  await recorder.recording(async () => {
    const database = await openOracle({ name: 'front', url: 'oracle://qz:x@localhost:1521/orcl', pace: 5 })
    t.same(await database.quarantine('route-1', 10), [], 'nothing of ours is there')
    recorder.answer(/from all_tables/, [['QZ_SOURCE_QUARANTINE']])
    t.same(await database.quarantine(undefined, 10), [])
    recorder.answer(/from all_tables/, [['QZ_SOURCE_QUARANTINE'], ['QZ_QUARANTINE'], ['QZ_ROUTE_POSITION']])
    recorder.answer(/"QZ_SOURCE_QUARANTINE" q/, [['scjg.licence', 'QZ-ROW-VALUE', 'name', '2026-11-24T08:30:00.500Z', '坏', '["a"]']])
    recorder.answer(/"QZ_QUARANTINE" q inner/, [
      ['scjg.licence', 'route-1', '1', 'QZ-ROW-REFUSED', null, '2026-11-24T08:31:00.000Z', null, '["b"]'],
    ])
    const [a, b] = [new Date('2026-11-24T08:30:00.5Z'), new Date('2026-11-24T08:31:00Z')]
    t.same(await database.quarantine('route-1', 10), [
      { end: 'source', resource: 'scjg.licence', key: ['a'], code: 'QZ-ROW-VALUE', item: 'name', reason: '坏', since: a, kept: false },
      { end: 'sink', resource: 'scjg.licence', route: 'route-1', key: ['b'], code: 'QZ-ROW-REFUSED', since: b, kept: true },
    ])
  })
  golden(t, 'quarantine', recorder.take())
})

t.test('a standby is neither captured from nor delivered into', async (t) => {
  const recorder = new Recorder()
  recorder.answer(/database_role/, [['QZ', 'PHYSICAL STANDBY', 'AL32UTF8', 'AL16UTF16']])
  await recorder.recording(async () => {
    const database = await openOracle({ name: 'front', url: 'oracle://qz:x@localhost:1521/orcl', pace: 5 })
    await t.rejects(database.openDelivery([]), { code: 'QZ-DB-READ-ONLY' })
    await t.rejects(database.openCapture([]), { code: 'QZ-DB-READ-ONLY' })
    await (await database.openReading()).close()
  })
})

t.test('a delivered table that was altered is not written', async (t) => {
  const recorder = new Recorder()
  const sink = sinkOf(everyType)
  const items = Object.fromEntries(sink.columns.map(({ item, column }) => [item.id, column]))
  const whole = [...describedColumns, ...added]
  const tables = { DELIVERED: { columns: whole, key: ['ID', 'SEEN'] } }
  let altered = [['9', '2026-11-22 08:30:00', '1']]
  let reads = 0
  dictionary(recorder, tables)
  recorder.answer(/from all_tab_cols/, () => (reads++, tables.DELIVERED.columns))
  recorder.answer(/last_ddl_time/, () => altered)
  recorder.answer(/table_name in/, [['QZ_QUARANTINE'], ['QZ_ROUTE_POSITION']])
  recorder.answer(/QZ_ROUTE_POSITION" p/, (_, values) =>
    values[1] === 'shadow'
      ? []
      : [['1', '1', at(1).hash, null, null, '0', '1', 'delivered', '0', JSON.stringify(items), '["id","seen"]', '[]', null]],
  )
  await recorder.recording(async () => {
    const database = await openOracle({ name: 'front', url: 'oracle://qz:x@localhost:1521/orcl', pace: 5 })
    const delivery = await database.openDelivery([sink])
    await delivery.open(sink)
    const columns = sink.columns.map(({ item }) => [item.id === 'id' ? 'a' : item.id === 'seen' ? '2026-11-22T08:30:00Z' : null])
    const apply = () => delivery.apply(sink, 'live', delivery.prepare(sink, { from: at(1), to: at(2), rows: 1, columns }))
    t.match(await apply(), { written: 1 })
    const before = reads
    t.match(await apply(), { written: 1 })
    t.equal(reads, before, 'an untouched table is not read again')
    altered = [['9', '2026-11-22 08:31:00', '0']]
    tables.DELIVERED.columns = [...whole, ['NOTE', 'VARCHAR2', 'Y', '9', '9', 'B', null, null, '18', null]]
    t.match(await apply(), { written: 1 }, 'a column of the receiver’s own')
    const seen = reads
    await apply()
    t.equal(reads, seen + 1, 'altered just now: it is read each time')
    recorder.take()
    const short = whole.find(([name]) => name === 'SHORT')!
    for (const [what, changed] of Object.entries({
      dropped: whole.filter((one) => one !== short),
      'exchanged for one that clips': whole.map((one) => (one === short ? (one.with(1, 'NUMBER') as Described) : one)),
      'exchanged for an equal one': [...whole.filter((one) => one !== short), short],
    })) {
      tables.DELIVERED.columns = changed
      await t.rejects(apply(), { code: 'QZ-SINK-TABLE' }, what)
    }
    tables.DELIVERED.columns = whole
    altered = [['10', '2026-11-22 08:32:00', '1']]
    await t.rejects(apply(), { code: 'QZ-SINK-TABLE' }, 'another table of the name')
    t.notMatch(recorder.take(), /update "QZ"\."DELIVERED"/)
    await delivery.close()
  })
})

/** Of `route-1`. */
const shadow = `QZ_SHADOW_${safeName('route-1', 20)}`

t.test('delivery, as it is asked', async (t) => {
  const recorder = new Recorder()
  const sink = sinkOf(everyType)
  const items = Object.fromEntries(sink.columns.map(({ item, column }) => [item.id, column]))
  const tables: Parameters<typeof dictionary>[1] = { DELIVERED: { columns: [...describedColumns, ...added], key: ['ID', 'SEEN'] } }
  dictionary(recorder, tables)
  let position: [string, string, string] | undefined
  recorder.answer(/QZ_ROUTE_POSITION" p/, (_, values) => {
    if (values[1] === 'shadow' && !(shadow in tables)) return []
    const stands = position ?? [null, null, null]
    return [[...stands, null, null, '0', '1', 'delivered', '1', JSON.stringify(items), '["id","seen"]', '[]', null]]
  })
  recorder.answer(/select table_name, source_code/, [['delivered', 'scjg', null, '0', '["former"]']])
  recorder.answer(/table_name in/, [['QZ_QUARANTINE'], ['QZ_ROUTE_POSITION']])
  recorder.answer(/select key_text/, [['["a","2026-11-22T08:30:00Z"]']])
  recorder.answer(/^select (\/\*\+ full\(t\) \*\/ )?count/, [['1']])
  recorder.answer(/select rowidtochar/, [['AAA'], ['AAB']])
  recorder.answer(/removal is not null/, [
    ['ended', 'done'],
    ['kept', 'begun'],
  ])
  recorder.answer(/last_ddl_time/, [['9', '2026-11-22 08:30:00', '1']])
  recorder.affected.push([/^update "QZ"."DELIVERED"/, 0])
  const rows: Row[] = [
    [
      'a',
      '2026-11-22T08:30:00Z',
      'x',
      '长',
      '1',
      '1.5',
      'true',
      '2026-11-22',
      '2026-11-22T08:30:00',
      '2026-11-22T08:30:00.5Z',
      '08:30:00',
      'AA==',
      '{}',
    ],
    ['b', '2026-11-22T08:30:00Z', null, null, null, null, null, null, null, null, null, '', null],
    ['', '2026-11-22T08:30:00Z', null, null, null, null, null, null, null, null, null, null, null],
    ['d', '2026-11-22T08:30:00Z', null, null, null, null, null, null, null, null, null, null, null],
  ]
  const change = (from: Change['from'], to: Change['to'], snapshot?: Change['snapshot']): Change => ({
    from,
    to,
    rows: rows.length,
    columns: sink.columns.map((_, i) => rows.map((row) => row[i]!)),
    ops: ['u', 'u', 'u', 'd'],
    ...(snapshot && { snapshot }),
  })
  await recorder.recording(async () => {
    const database = await openOracle({ name: 'front', url: 'oracle://qz:x@localhost:1521/orcl', pace: 5 })
    const delivery = await database.openDelivery([sink])
    await delivery.open(sink)
    golden(t, 'delivery-open', recorder.take())
    const apply = (change: Change, to: SinkTable = sink) => delivery.apply(to, 'live', delivery.prepare(to, change))
    t.same(await apply(change(null, at(1))), { written: 2, deleted: 1, quarantined: 1, quarantine: 1 })
    golden(t, 'delivery-apply', recorder.take())
    position = ['1', '1', at(1).hash]
    await apply(change(at(1), at(2), { began: at(1), last: true }))
    golden(t, 'delivery-snapshot-end', recorder.take())
    const kept = (values: Row) => JSON.stringify(Object.fromEntries(sink.columns.map(({ item }, i) => [item.id, values[i]!])))
    recorder.answer(/select position, op, kept/, [
      [positionNumber(at(1)), 'u', kept(rows[0]!)],
      [positionNumber(at(1)), 'u', kept(['', ...rows[1]!.slice(1)])],
      [positionNumber(at(2)), 'u', kept(rows[1]!)],
      [positionNumber(at(2)), 'u', '{"id":"of another shape"}'],
    ])
    t.same(await delivery.replay(sink, 'live'), { tried: 3, applied: 2, quarantine: 1 })
    golden(t, 'delivery-replay', recorder.take())
    tables[shadow] = tables['DELIVERED']!
    await delivery.beginShadow(sink)
    golden(t, 'delivery-shadow', recorder.take())
    await delivery.swap(sink)
    golden(t, 'delivery-swap', recorder.take())
    await delivery.remove(sink.route)
    await delivery.settleRemovals(['kept'])
    golden(t, 'delivery-removal', recorder.take())
    const shared = sinkOf(everyType, { shared: true, deletes: 'mark' })
    const deleted: Described = ['QZ_DELETED', 'NUMBER', 'N', '0', '22', null, '1', '0', '17', '0']
    tables['DELIVERED'] = {
      columns: [
        ...tables['DELIVERED']!.columns.map((one): Described =>
          one[0] === 'QZ_SOURCE' ? ['QZ_SOURCE', 'VARCHAR2', 'N', '64', '256', 'C', null, null, '14', null] : one,
        ),
        deleted,
      ],
      key: ['QZ_SOURCE', 'ID', 'SEEN'],
    }
    const part = Object.keys(tables).length
    recorder.answer(/^select owner, name, kind/, (_, values) => {
      const name = values.find((value) => typeof value === 'string' && (value === 'DELIVERED' || value.startsWith('QZ_SHADOW_')))
      return typeof name === 'string' ? [['QZ', name, 'TABLE', 'N']] : []
    })
    recorder.answer(/from all_tab_cols/, () => tables['DELIVERED']!.columns)
    recorder.answer(/from all_constraints/, () => tables['DELIVERED']!.key.map((column, i) => ['P', 'PK', 'PK', column, String(i + 1)]))
    t.ok(part > 1)
    await delivery.swap(shared)
    golden(t, 'delivery-swap-shared', recorder.take())
    await apply(change(at(1), at(2)), shared)
    golden(t, 'delivery-apply-shared', recorder.take())
    await delivery.check()
    await delivery.close()
  })
})
