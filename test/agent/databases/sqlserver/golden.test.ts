/**
 * Every statement that the SQL Server engine sends, as files under golden/sqlserver to be read against the vendor's documentation. A session
 * that only writes down what it is asked stands in for a server; what a statement does is for the conformance suite on a real one.
 * QIANZHI_WRITE_GOLDEN=1 writes the files anew.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { SourceTable } from '../../../../agent/database.ts'
import { ServerCapture } from '../../../../agent/databases/sqlserver/capture.ts'
import {
  lockStatement,
  lockTestStatement,
  type OwnSession,
  type RawValue,
  type Server,
} from '../../../../agent/databases/sqlserver/connection.ts'
import { TableDelivery } from '../../../../agent/databases/bookkeeping/delivery.ts'
import { QuarantineBook } from '../../../../agent/databases/bookkeeping/quarantine-book.ts'
import { bookSession, booksThere, dialect } from '../../../../agent/databases/sqlserver/books.ts'
import { ServerSinks } from '../../../../agent/databases/sqlserver/delivery.ts'
import { describeTable, listTables, previewRows, sampleRows } from '../../../../agent/databases/sqlserver/describe.ts'
import { diagnose } from '../../../../agent/databases/sqlserver/doctor.ts'
import { readPlan } from '../../../../agent/databases/sqlserver/plan.ts'
import { followItems } from '../../../../agent/databases/sqlserver/shape.ts'
import { ServerReading } from '../../../../agent/databases/sqlserver/reading.ts'
import { rightsOf } from '../../../../agent/databases/sqlserver/rights.ts'
import { rightsCheck } from '../../../../agent/databases/bookkeeping/rights.ts'
import { keyColumnsText, setupStatements, teardownStatements } from '../../../../agent/databases/sqlserver/setup.ts'
import { supplyTable, deliveredTable } from '../../../../agent/databases/sqlserver/sql.ts'
import { at, licence, schemaOf, sinkOf, sourceOf, twoKeys } from '../conformance/fixture.ts'

const triggerRows = ['i', 'u', 'd'].map((event) => [`qz_scjg_licence_e9e61fdf_${event}`, 5, 0, 'then', 'then'])

const folder = join(import.meta.dirname, 'golden')
const writing = process.env['QIANZHI_WRITE_GOLDEN'] === '1'
if (writing) mkdirSync(folder, { recursive: true })

function golden(t: Test, name: string, batches: readonly string[]): void {
  const file = join(folder, `${name}.sql`)
  const text = `${batches.join('\n\n-- next batch\n')}\n`
  if (writing) writeFileSync(file, text)
  t.equal(text, readFileSync(file, 'utf8'), name)
}

const server: Server = {
  version: '11.0.7001.0',
  edition: 'Standard Edition',
  database: 'front',
  schema: 'dbo',
  collation: 'Chinese_PRC_CI_AS',
  reading: 'locking',
  rowcount: true,
}

type Answer = [RegExp, RawValue[][]]

/** Writes down what it is asked, and answers by the first pattern that fits. */
class Recorder implements OwnSession {
  readonly stages = new Map<string, string>()
  readonly server: Server
  readonly #answers: readonly Answer[]
  batches: string[] = []

  constructor(answers: readonly Answer[], changes: Partial<Server> = {}) {
    this.#answers = answers
    this.server = { ...server, ...changes }
  }

  async query(sql: string, parameters?: Readonly<Record<string, string | Buffer | null>>): Promise<RawValue[][]> {
    const values = parameters ? [`-- ${JSON.stringify(parameters)}`] : []
    this.batches.push([...values, sql].join('\n'))
    return this.#answers.find(([pattern]) => pattern.test(sql))?.[1] ?? []
  }

  async load(table: string, columns: readonly { name: string }[], rows: Iterable<readonly unknown[]>): Promise<void> {
    this.batches.push(`-- insert bulk ${table} (${columns.map(({ name }) => name).join(', ')}): ${[...rows].length} rows`)
  }

  async transaction<T>(work: () => Promise<T>, isolation?: 'snapshot'): Promise<T> {
    this.batches.push(`begin transaction${isolation ? ` -- ${isolation}` : ''}`)
    const result = await work()
    this.batches.push('commit transaction')
    return result
  }

  qualify(table: string): string {
    return table.includes('.') ? table : `dbo.${table}`
  }

  async close(): Promise<void> {}

  /** What was asked since the last time. */
  taken(): string[] {
    const taken = this.batches
    this.batches = []
    return taken
  }
}

const text = (name: string, units: number, nullable = 1): RawValue[] => [
  name,
  'nvarchar',
  2 * units,
  0,
  0,
  nullable,
  'Chinese_PRC_CI_AS',
  0,
  0,
  1,
  0,
]
const catalogue = (columns: RawValue[][], keys: string[]): Answer[] => [
  [
    /from sys\.objects o join sys\.schemas s .* where o\.name = @name|from sys\.objects o join sys\.schemas s on s\.schema_id = o\.schema_id\nwhere o\.name/,
    [[77, 'dbo', 'licence', 'U']],
  ],
  [/from sys\.columns c/, columns],
  [/from sys\.indexes i/, keys.map((key) => ['PK_licence', 1, 1, key, 0])],
]
const licenceColumns = [text('id', 20, 0), text('name', 100), ['amount', 'decimal', 9, 12, 2, 1, null, 0, 0, 3, 0]]
const licenceTable = catalogue(licenceColumns, ['id'])
const twoKeysTable = catalogue(
  [['region', 'bigint', 8, 19, 0, 0, null, 0, 0, 1, 0], text('name', 100), text('code', 20, 0)],
  ['code', 'region'],
)

const everyType = schemaOf([
  { id: 'id', type: 'text', length: 60, key: true, required: true },
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
const everyColumn: RawValue[][] = [
  text('id', 60, 0),
  ['long', 'nvarchar', -1, 0, 0, 1, 'Chinese_PRC_CI_AS', 0, 0, 2, 0],
  ['number', 'bigint', 8, 19, 0, 1, null, 0, 0, 3, 0],
  ['exact', 'decimal', 17, 38, 20, 1, null, 0, 0, 4, 0],
  ['flag', 'bit', 1, 1, 0, 1, null, 0, 0, 5, 0],
  ['day', 'date', 3, 10, 0, 1, null, 0, 0, 6, 0],
  ['moment', 'datetime2', 8, 26, 6, 1, null, 0, 0, 7, 0],
  ['instant', 'datetimeoffset', 10, 33, 6, 1, null, 0, 0, 8, 0],
  ['clock', 'time', 5, 15, 6, 1, null, 0, 0, 9, 0],
  ['bytes', 'varbinary', -1, 0, 0, 1, null, 0, 0, 10, 0],
  ['doc', 'nvarchar', -1, 0, 0, 1, 'Chinese_PRC_CI_AS', 0, 0, 11, 0],
]

t.test('tables', async (t) => {
  const sink = { ...sinkOf(everyType), table: 'dbo.delivered' }
  golden(t, 'supply-table', supplyTable('dbo.licence', everyType, sourceOf(everyType).columns))
  golden(t, 'delivered-table', deliveredTable(sink))
  golden(t, 'delivered-table-shared', deliveredTable({ ...sinkOf(twoKeys), table: '交换.许可 证', shared: true, deletes: 'mark' }))
})

t.test('set-up and teardown', async (t) => {
  const planOf = (source: SourceTable) => readPlan(new Recorder(twoKeysTable), source)
  const triggers = sourceOf(twoKeys, { resource: 'a-b.c_d' })
  const tracking = sourceOf(twoKeys, { capture: 'tracking' })
  golden(t, 'setup-triggers', setupStatements(await planOf(triggers), server, 'runner'))
  golden(t, 'setup-tracking', setupStatements(await planOf(tracking), server, 'runner'))
  golden(
    t,
    'setup-triggers-without-rowcount',
    setupStatements(await planOf(triggers), { ...server, rowcount: false }).filter((one) => one.startsWith('create trigger')),
  )
  golden(t, 'teardown', teardownStatements(tracking, 'dbo.licence', server))
})

t.test('reading', async (t) => {
  const absent = (count: number) => Array.from({ length: count }, (_, place) => [String(place), 0])
  const session = new Recorder([
    [/c1, c2\) left loop join/, absent(2)],
    [/#qz_stage_2 s left loop join/, absent(100)],
    ...catalogue(everyColumn, ['id']),
  ])
  const reading = new ServerReading(session)
  const source = sourceOf(everyType, {
    capture: 'compare',
    rowFilter: [
      { column: 'number', value: '7' },
      { column: 'long', value: null },
    ],
  })
  await reading.checkTable(source)
  t.same((await reading.rowsByKeys(source, [['a'], ['b ']])).missing, [['a'], ['b ']])
  await reading.rowsByKeys(
    source,
    Array.from({ length: 100 }, (_, i) => [`k${i}`]),
  )
  await reading.rowsAfter(source, null, 500)
  await reading.rowsAfter(source, ['a'], 500)
  await reading.keysSince(source, { item: everyType.items[6]!, column: 'moment' }, null, null, 100)
  await reading.keysSince(
    source,
    { item: everyType.items[6]!, column: 'moment' },
    '2026-11-22T08:30:00',
    { value: '2026-11-22T08:30:00.5', key: ['a'] },
    100,
  )
  await reading.count(source)
  golden(t, 'reading', session.taken())

  const two = new Recorder([[/left loop join/, absent(1)], ...twoKeysTable], { reading: 'snapshot' })
  const composite = new ServerReading(two)
  await composite.rowsAfter(sourceOf(twoKeys), ['7', 'a'], 500)
  await composite.rowsByKeys(sourceOf(twoKeys), [['7', 'a']])
  golden(t, 'reading-two-keys-snapshot', two.taken())

  const described = [false, 1, 'id', true, 231, 'nvarchar(20)', 40, 0, 0, 'Chinese_PRC_CI_AS']
  const query = new Recorder([
    [
      /sp_describe_first_result_set/,
      [
        described,
        [false, 2, 'name', true, 231, 'nvarchar(100)', 200, 0, 0, 'Chinese_PRC_CI_AS'],
        [false, 3, 'amount', true, 106, 'decimal(12,2)', 9, 12, 2, null],
      ],
    ],
  ])
  const selected = new ServerReading(query)
  const view = sourceOf(licence, { capture: 'watermark', query: 'select id, name, amount from a join b on a.x = b.x -- the end' })
  await selected.checkTable(view)
  await selected.rowsAfter(view, ['a'], 100)
  golden(t, 'reading-query', query.taken())
})

const stream: Answer = [/from qianzhi\.stream s where s\.resource = /, [[null, null, null, 'needed', null, null, '', 0, null]]]
const counted: Answer = [/select @@rowcount$/, [[1]]]
/** No row is there yet: all are inserted. */
const inserting = (rows: number): Answer[] => [
  [/^update t set \[/, [[0]]],
  [/^insert into \[dbo\]\.\[\w+\] \(\[id\]/, [[rows]]],
]

t.test('capture', async (t) => {
  const session = new Recorder([
    stream,
    counted,
    [/sys\.tables t/, [['q_scjg_licence_fc93c1b8']]],
    [/object_id\(@queue/, [[9, keyColumnsText({ keys: [{ column: 'region' }, { column: 'code' }] as never })]]],
    [/from sys\.triggers t/, triggerRows],
    ...twoKeysTable,
  ])
  const source = sourceOf(twoKeys)
  const capture = new ServerCapture({ name: 'front', url: '', pace: 5 }, session, [source])
  await capture.triggerFingerprint(source)
  await capture.state(source)
  await capture.waiting()
  await capture.take(source, 1000, new Set(['x']))
  await capture.backlog(source, 100)
  golden(t, 'capture', session.taken())
  const entries = ['6F9619FF-8B86-D011-B42D-00C04FC964FF']
  const faults = [{ key: ['1', 'x'], code: 'QZ-ROW-VALUE' as const, item: 'name', reason: 'zero' }]
  await capture.record(source, { from: null, to: at(1), entries, snapshot: null, faults: [], sent: [] })
  await capture.record(source, {
    from: at(1),
    to: at(2),
    entries: [],
    snapshot: { began: at(2), after: ['1', 'x'] },
    faults,
    sent: [['2', 'y']],
  })
  golden(t, 'record', session.taken())
  await capture.requeue(
    source,
    [
      ['1', 'a'],
      ['2', `b'`],
    ],
    at(5),
  )
  await capture.mark(source, { snapshot: 'needed', entries })
  await capture.mark(source, { coverage: 'abc' })
  await capture.collapse(source)
  golden(t, 'requeue-mark-collapse', session.taken())
})

t.test('Change Tracking', async (t) => {
  const answers: Answer[] = [
    [/change_tracking_min_valid_version/, [['12', '10', '3', '3', '4']]],
    [/^declare @version bigint.*\nselect count/, [[2]]],
    ...twoKeysTable,
  ]
  for (const reading of ['snapshot', 'versioned'] as const) {
    const session = new Recorder(answers, { reading })
    const source = sourceOf(twoKeys, { capture: 'tracking' })
    const capture = new ServerCapture({ name: 'front', url: '', pace: 5 }, session, [source])
    await capture.take(source, 1000, new Set())
    await capture.take(source, 1000, new Set())
    if (reading === 'snapshot') await capture.collapse(source)
    golden(t, `tracking-${reading}`, session.taken())
  }
})

/** What the delivered table of `licence` looks like in the catalogue. */
const bin = 'Latin1_General_100_BIN2'
const deliveredColumns: RawValue[][] = [
  ['id', 'nvarchar', 80, 0, 0, 0, bin, 0, 0, 1, 0],
  ['name', 'nvarchar', 400, 0, 0, 1, 'Chinese_PRC_CI_AS', 0, 0, 2, 0],
  ['amount', 'decimal', 9, 12, 2, 1, null, 0, 0, 3, 0],
  ['qz_source', 'nvarchar', 128, 0, 0, 1, bin, 0, 0, 4, 0],
  ['qz_position', 'bigint', 8, 19, 0, 1, null, 0, 0, 5, 0],
  ['qz_received_at', 'datetime2', 8, 26, 6, 1, null, 0, 0, 6, 0],
  ['qz_spaces', 'nvarchar', 60, 0, 0, 0, bin, 0, 0, 7, 1],
  ['qz_deleted', 'bit', 1, 1, 0, 0, null, 0, 0, 8, 1],
]
const remembers = (part: string, quarantine = 0): Answer => [
  /from qianzhi\.route_position p where/,
  [['1', '1', at(1).hash, null, null, 1, '1', part, quarantine, '{"id":"id","name":"name","amount":"amount"}', '["id"]', '[]', '']],
]

const deliveryOf = (session: OwnSession) => new TableDelivery(new ServerSinks(session), () => session.close())
const listQuarantine = async (session: OwnSession, name: string | undefined, limit: number) =>
  new QuarantineBook(bookSession(session, false), dialect).list(await booksThere(session), name, limit)

const deliveredKey: Answer = [
  /from sys\.indexes i/,
  [
    ['PK_d', 1, 1, 'id', 0],
    ['PK_d', 1, 1, 'qz_spaces', 0],
  ],
]

t.test('delivery', async (t) => {
  const common: Answer[] = [
    [/object_id\(N'qianzhi\.route_position', N'U'\), object_id/, [[1, 2]]],
    [/^delete t|^update t set t\.qz_deleted/, [[3]]],
    [/select top \(1\) 1 from/, []],
    [/select key_text/, [['["q "]']]],
    [/select count\(\*\) from qianzhi\.quarantine/, [[1]]],
    counted,
    deliveredKey,
    ...catalogue(deliveredColumns, []),
  ]
  for (const deletes of ['remove', 'mark'] as const) {
    const session = new Recorder([remembers('delivered', 1), ...inserting(2), ...common])
    const delivery = deliveryOf(session)
    const sink = sinkOf(licence, { deletes })
    await delivery.open(sink)
    golden(t, `delivery-open-${deletes}`, session.taken())
    const columns = [
      ['a', 'b ', 'c'],
      ['甲', null, null],
      ['1.50', null, null],
    ]
    const change = { from: at(1), to: at(2), rows: 3, columns, ops: ['u', 'u', 'd'] as const, snapshot: { began: at(2), last: true } }
    await delivery.apply(sink, 'live', delivery.prepare(sink, change))
    golden(t, `delivery-apply-${deletes}`, session.taken())
    await delivery.beginShadow(sink)
    await delivery.swap(sink)
    golden(t, `delivery-shadow-${deletes}`, session.taken())
  }
  const own = catalogue([text('id', 20, 0), ...deliveredColumns.slice(1, 6)], ['id'])
  const session = new Recorder([remembers('own'), ...own, ...inserting(100), ...common])
  const delivery = deliveryOf(session)
  const sink = sinkOf(licence, { table: 'own' })
  await delivery.open(sink)
  session.taken()
  const many = Array.from({ length: 100 }, (_, i) => `k${i}`)
  await delivery.apply(
    sink,
    'live',
    delivery.prepare(sink, { from: null, to: at(1), rows: 100, columns: [many, many, many.map(() => null)] }),
  )
  golden(t, 'delivery-apply-own-table', session.taken())
})

t.test('quarantine', async (t) => {
  const refused = Object.assign(new Error('refused here'), { number: 547, class: 16, code: 'EREQUEST' })
  const kept = (id: string) => JSON.stringify({ id, name: '甲', amount: '1.50' })
  const session = new Recorder([
    remembers('delivered', 2),
    [/object_id\(N'qianzhi\.route_position', N'U'\), object_id/, [[1, 2]]],
    [
      /select position, op, kept/,
      [
        ['4294967297', 'u', kept('a')],
        ['4294967297', 'd', '{"id":"b "}'],
        ['4294967298', 'u', kept('c')],
        ['4294967298', 'u', '{"id":"of another shape"}'],
      ],
    ],
    [/select xact_state/, [[1]]],
    [/select count\(\*\) from qianzhi\.quarantine/, [[2]]],
    counted,
    deliveredKey,
    ...catalogue(deliveredColumns, []),
  ])
  const query = session.query.bind(session)
  session.query = async (sql, parameters) => {
    const rows = await query(sql, parameters)
    if (sql.startsWith('insert into [dbo].[licence]') && Object.values(parameters ?? {}).includes('c')) throw refused
    return rows
  }
  const delivery = deliveryOf(session)
  const sink = sinkOf(licence)
  await delivery.open(sink)
  session.taken()
  t.same(await delivery.replay(sink, 'live'), { tried: 3, applied: 2, quarantine: 2 })
  golden(t, 'replay', session.taken())
  const listed = new Recorder(
    [
      [/^select object_id/, [[1, 2, 3]]],
      [/from qianzhi\.source_quarantine/, [['scjg.licence', 'QZ-ROW-VALUE', 'name', '2026-11-24 08:30:00.500', '坏', '["a"]']]],
      [/from qianzhi\.quarantine/, [['scjg.licence', 'route-1', 1, 'QZ-ROW-REFUSED', null, '2026-11-24 08:31:00.000', 'no', '["b"]']]],
    ],
    { reading: 'snapshot' },
  )
  const since = new Date('2026-11-24T08:30:00.5Z')
  t.same(await listQuarantine(listed, 'route-1', 10), [
    { end: 'source', resource: 'scjg.licence', key: ['a'], code: 'QZ-ROW-VALUE', item: 'name', reason: '坏', since, kept: false },
    {
      end: 'sink',
      resource: 'scjg.licence',
      route: 'route-1',
      key: ['b'],
      code: 'QZ-ROW-REFUSED',
      reason: 'no',
      since: new Date('2026-11-24T08:31:00Z'),
      kept: true,
    },
  ])
  t.same(await listQuarantine(new Recorder([[/^select object_id/, [[null, null, null]]]]), undefined, 10), [], 'nothing of ours is there')
  const source = new Recorder([[/^select object_id/, [[1, null, null]]]])
  t.same(await listQuarantine(source, undefined, 10), [])
  golden(t, 'quarantine', [...listed.taken(), ...source.taken()])
})

t.test('a delivered table that was altered is not written', async (t) => {
  let columns = deliveredColumns
  let id = 77
  const session = new Recorder([
    remembers('delivered', 0),
    [/object_id\(N'qianzhi\.route_position', N'U'\), object_id/, [[1, 2]]],
    ...inserting(1),
    counted,
    deliveredKey,
  ])
  const query = session.query.bind(session)
  session.query = async (sql, parameters) => {
    const rows = await query(sql, parameters)
    if (sql.includes('from sys.columns c')) return columns
    return sql.includes('where o.name = @name') ? [[id, 'dbo', 'delivered', 'U']] : rows
  }
  const delivery = deliveryOf(session)
  const sink = sinkOf(licence)
  await delivery.open(sink)
  const change = { from: at(1), to: at(2), rows: 1, columns: [['a'], ['甲'], ['1.50']] }
  const apply = () => delivery.apply(sink, 'live', delivery.prepare(sink, change))
  t.match(await apply(), { written: 1 })
  columns = [...deliveredColumns, text('note', 20)]
  t.match(await apply(), { written: 1 }, 'a column of the receiver’s own')
  session.taken()
  for (const [what, changed] of Object.entries({
    dropped: deliveredColumns.filter(([name]) => name !== 'amount'),
    'exchanged for one that clips': deliveredColumns.map((one) =>
      one[0] === 'amount' ? ['amount', 'decimal', 9, 12, 0, 1, null, 0, 0, 9, 0] : one,
    ),
    'exchanged for an equal one': deliveredColumns.map((one) => (one[0] === 'name' ? one.with(9, 9) : one)),
  })) {
    columns = changed
    await t.rejects(apply(), { code: 'QZ-SINK-TABLE' }, what)
  }
  columns = deliveredColumns
  id = 78
  await t.rejects(apply(), { code: 'QZ-SINK-TABLE' }, 'another table of the name')
  t.notOk(session.taken().some((one) => one.startsWith('begin transaction')))
})

t.test('removal', async (t) => {
  const session = new Recorder([
    [/object_id\(N'qianzhi\.route_position', N'U'\), object_id/, [[1, 2]]],
    [/select table_name, source, removal/, [['delivered', 'scjg', null, '0', '[]']]],
    [
      /removal is not null/,
      [
        ['ended', 'done'],
        ['route-1', 'begun'],
      ],
    ],
    counted,
    ...catalogue(deliveredColumns, ['id']),
  ])
  const delivery = deliveryOf(session)
  await delivery.remove('route-1')
  await delivery.settleRemovals(['route-1'])
  golden(t, 'removal', session.taken())
})

t.test('session, describing, doctor', async (t) => {
  golden(t, 'lock', [lockStatement('capture'), lockTestStatement('capture')])
  const session = new Recorder([
    [/databasepropertyex/, [['READ_WRITE', '2026-11-24 00:00:00.0000000', '110']]],
    [/from sys\.triggers t/, triggerRows],
    [/object_id\(@queue/, [[9, '["id"]']]],
    [/has_perms_by_name/, [[1, 1, 1, 1]]],
    ...licenceTable,
  ])
  await listTables(session, 100)
  await describeTable(session, 'licence')
  await sampleRows(session, 'licence', ['name', '名'], 10)
  await previewRows(session, sourceOf(licence), {
    rows: 20,
    filter: [
      { item: 'name', value: 'abc' },
      { item: 'amount', value: null },
    ],
  })
  golden(t, 'describe', session.taken())
  await diagnose(session, [sourceOf(licence)], [sinkOf(licence)])
  golden(t, 'doctor', session.taken())
})

t.test('rights, as a DBA gives them and as the account asks for them', async (t) => {
  const session = new Recorder([[/user_name\(\)/, [['runner', '1']]], [/has_perms_by_name/, [['1', '0']]], ...licenceTable])
  const tracking = sourceOf(licence, { capture: 'tracking' })
  const sinks = [sinkOf(licence, { table: 'city.villages' }), sinkOf(licence)]
  const rights = await rightsOf(session, [tracking, sourceOf(licence)], sinks, 'front')
  golden(
    t,
    'rights',
    rights.map(({ statement }) => statement),
  )
  const [whole] = await rightsOf(session, [{ ...sourceOf(licence, { capture: 'compare' }), columns: [] }], [])
  t.equal(whole!.statement, 'grant select on [dbo].[licence] to [runner]')
  session.taken()
  await whole!.held()
  t.match(
    session.taken().join(),
    /has_perms_by_name\(N'\[dbo\]\.\[licence\]', N'OBJECT', N'SELECT'\)/,
    'all of a table that is not to be seen',
  )
  const fresh = new Recorder([[/user_name\(\)/, [['runner', '0']]]])
  const first = await rightsOf(fresh, [], [sinkOf(licence)], 'front')
  golden(
    t,
    'rights-first',
    first.map(({ statement }) => statement),
  )
  session.taken()
  const { ok } = await rightsCheck(rights)
  t.notOk(ok, 'one of two was not held')
  golden(t, 'rights-held', session.taken())
})

t.test('a key that gets longer is dropped, altered and made again', async (t) => {
  const session = new Recorder(catalogue(deliveredColumns, ['id']))
  const items = licence.items.map((item) => (item.id === 'id' ? { ...item, length: 400 } : item))
  await followItems(session, sinkOf(schemaOf(items, 2)))
  golden(
    t,
    'delivery-longer-key',
    session.taken().filter((one) => one.includes('alter table')),
  )
})

t.test('what snapshot isolation does not reach is read with locks from then on', async (t) => {
  const session = new Recorder(licenceTable, { reading: 'snapshot' })
  const query = session.query.bind(session)
  session.query = async (sql, parameters) => {
    const rows = await query(sql, parameters)
    if (sql.includes('snapshot; select top')) throw Object.assign(new Error('not allowed'), { number: 3952 })
    return rows
  }
  const reading = new ServerReading(session)
  const source = sourceOf(licence, { capture: 'compare' })
  await reading.rowsAfter(source, null, 10)
  await reading.rowsAfter(source, null, 10)
  const pages = session.taken().filter((sql) => sql.includes('select top (convert(int, @limit))'))
  t.same(
    pages.map((sql) => sql.includes('isolation level snapshot')),
    [true, false, false],
  )
})

t.test('an account that reads masks is refused, by set-up, doctor and the running agent', async (t) => {
  const session = new Recorder([[/from sys\.masked_columns/, [['NAME']]], ...licenceTable])
  const refused = { code: 'QZ-SOURCE-TABLE', message: /masks.* of name: grant it UNMASK/ }
  await t.rejects(new ServerReading(session).checkTable(sourceOf(licence)), refused)
  const said = await diagnose(session, [sourceOf(licence)], [])
  t.match(
    said
      .filter(({ ok }) => !ok)
      .map(({ en }) => en)
      .join(),
    /grant it UNMASK/,
  )
  const other = new Recorder([[/from sys\.masked_columns/, [['elsewhere']]], ...licenceTable])
  await new ServerReading(other).checkTable(sourceOf(licence))
})
