/** What needs no server: types and values of Oracle, addresses, errors, names, keys. */
import t from 'tap'
import type { MappedColumn, SourceTable } from '../../../../agent/database.ts'
import { keysOf, queryColumn, type CatalogColumn, type CatalogTable } from '../../../../agent/databases/oracle/catalog.ts'
import { connectionCode, errorNumber, isContention, isMissing, isRowError } from '../../../../agent/databases/oracle/errors.ts'
import { safeName, sourceNames } from '../../../../agent/databases/oracle/names.ts'
import { convertRows, listSize, planOf, queuedKey } from '../../../../agent/databases/oracle/plan.ts'
import { proposedType } from '../../../../agent/databases/oracle/proposal.ts'
import { holds } from '../../../../agent/databases/oracle/shape.ts'
import { writesKeys } from '../../../../agent/databases/oracle/trigger.ts'
import { columnReader, kindOf, midnight, plainNumber, timeOfDay, withScale } from '../../../../agent/databases/oracle/types.ts'
import { addressOf } from '../../../../agent/databases/oracle/url.ts'
import { prepareRows } from '../../../../agent/databases/oracle/writing.ts'
import type { Item } from '../../../../protocol/schema.ts'
import { bindText, columnType, deliveryFault, madeName, shownName } from '../../../../agent/databases/oracle/sql.ts'
import type { ValueLimits } from '../../../../protocol/value.ts'
import { at, schemaOf, sinkOf, sourceOf } from '../conformance/fixture.ts'

const column = (type: string, more: Partial<CatalogColumn> = {}): CatalogColumn => ({
  column: 'C',
  type,
  nullable: true,
  countsBytes: false,
  ...more,
})
const item = (limits: ValueLimits, more: Partial<Item> = {}): Item => ({
  id: 'c',
  name: 'c',
  label: 'c',
  openness: 'internal',
  ...limits,
  ...more,
})
const mapped = (limits: ValueLimits, more?: Partial<Item>): MappedColumn => ({ item: item(limits, more), column: 'c' })
const reader = (limits: ValueLimits, found: CatalogColumn, more?: Partial<Item>) =>
  columnReader(mapped(limits, more), found, { valueLimit: 1 << 20 })

t.test('what supplies what', async (t) => {
  const fits: [ValueLimits, CatalogColumn][] = [
    [{ type: 'integer' }, column('NUMBER')],
    [{ type: 'integer' }, column('NUMBER', { scale: 0 })],
    [{ type: 'integer' }, column('NUMBER', { precision: 5, scale: -2 })],
    [{ type: 'decimal', precision: 12, scale: 2 }, column('NUMBER', { precision: 12, scale: 2 })],
    [{ type: 'decimal', precision: 12, scale: 2 }, column('FLOAT', { precision: 126 })],
    [{ type: 'boolean' }, column('NUMBER', { precision: 1, scale: 0 })],
    [{ type: 'date' }, column('DATE')],
    [{ type: 'timestamp' }, column('DATE')],
    [{ type: 'timestamp' }, column('TIMESTAMP(6)', { scale: 6 })],
    [{ type: 'timestamptz' }, column('TIMESTAMP(3) WITH LOCAL TIME ZONE', { scale: 3 })],
    [{ type: 'time' }, column('INTERVAL DAY(2) TO SECOND(6)', { precision: 2, scale: 6 })],
    [{ type: 'time' }, column('VARCHAR2', { length: 15 })],
    [{ type: 'text' }, column('NCLOB')],
    [{ type: 'binary' }, column('RAW', { bytes: 16 })],
    [{ type: 'json' }, column('CLOB')],
  ]
  for (const [limits, found] of fits) t.ok(reader(limits, found), `${found.type} as ${limits.type}`)
  const refused: [ValueLimits, CatalogColumn][] = [
    ...[
      'LONG',
      'LONG RAW',
      'BFILE',
      'ROWID',
      'UROWID',
      'XMLTYPE',
      'BINARY_DOUBLE',
      'BINARY_FLOAT',
      'JSON',
      'INTERVAL YEAR(2) TO MONTH',
      'SDO_GEOMETRY',
    ].map((type): [ValueLimits, CatalogColumn] => [{ type: 'text' }, column(type)]),
    [{ type: 'decimal', precision: 12, scale: 2 }, column('NUMBER', { precision: 12, scale: 4 })],
    [{ type: 'integer' }, column('NUMBER', { precision: 12, scale: 1 })],
    [{ type: 'boolean' }, column('NUMBER')],
    [{ type: 'timestamp' }, column('TIMESTAMP(9)', { scale: 9 })],
    [{ type: 'timestamp' }, column('TIMESTAMP(6) WITH TIME ZONE', { scale: 6 })],
    [{ type: 'timestamptz' }, column('TIMESTAMP(6)', { scale: 6 })],
    [{ type: 'text' }, column('BLOB')],
    [{ type: 'date' }, column('VARCHAR2', { length: 20 })],
  ]
  for (const [limits, found] of refused) t.notOk(reader(limits, found), `${found.type} as ${limits.type}`)
  t.notOk(reader({ type: 'time' }, column('VARCHAR2', { length: 15 }), { key: true }), 'two texts for one time')
  t.notOk(reader({ type: 'decimal', precision: 9 }, column('FLOAT'), { key: true }))
  t.equal(kindOf(column('TIMESTAMP(6) WITH LOCAL TIME ZONE')), 'localtime')
})

t.test('values become portable, and portable text stays what it is', async (t) => {
  const cases: [ValueLimits, CatalogColumn, [string, string | undefined][]][] = [
    [
      { type: 'integer' },
      column('NUMBER'),
      [
        ['7', '7'],
        ['-7', '-7'],
        ['.5', undefined],
        ['1.0E+70', undefined],
        ['9223372036854775808', undefined],
      ],
    ],
    [
      { type: 'decimal', precision: 12, scale: 2 },
      column('NUMBER', { precision: 12, scale: 2 }),
      [
        ['1.5', '1.50'],
        ['.5', '0.50'],
        ['-.05', '-0.05'],
        ['2', '2.00'],
        ['1.50', '1.50'],
      ],
    ],
    [
      { type: 'decimal', precision: 12, scale: 2 },
      column('NUMBER'),
      [
        ['1.5', '1.50'],
        ['1.505', undefined],
        ['99999999999', undefined],
      ],
    ],
    [{ type: 'decimal', precision: 12, scale: 2 }, column('NUMBER', { scale: 0 }), [['1', '1']]],
    [
      { type: 'boolean' },
      column('NUMBER', { precision: 1, scale: 0 }),
      [
        ['1', 'true'],
        ['0', 'false'],
        ['2', undefined],
        ['true', 'true'],
      ],
    ],
    [
      { type: 'date' },
      column('DATE'),
      [
        [' 2026-11-22T00:00:00', '2026-11-22'],
        [' 2026-11-22T08:30:00', undefined],
        ['-0044-03-15T00:00:00', undefined],
        ['2026-11-22', '2026-11-22'],
      ],
    ],
    [
      { type: 'timestamp' },
      column('DATE'),
      [
        [' 2026-11-22T08:30:00', '2026-11-22T08:30:00'],
        [' 0000-00-00T00:00:00', undefined],
      ],
    ],
    [
      { type: 'timestamp' },
      column('TIMESTAMP(6)', { scale: 6 }),
      [
        [' 2026-11-22T08:30:00.120000', '2026-11-22T08:30:00.12'],
        ['2026-11-22T08:30:00.12', '2026-11-22T08:30:00.12'],
        [' 2026-11-22T08:30:00.000000', '2026-11-22T08:30:00'],
      ],
    ],
    [
      { type: 'timestamptz' },
      column('TIMESTAMP(6) WITH TIME ZONE', { scale: 6 }),
      [
        [' 2026-11-22T08:30:00.500000', '2026-11-22T08:30:00.5Z'],
        ['2026-11-22T08:30:00.5Z', '2026-11-22T08:30:00.5Z'],
      ],
    ],
    [
      { type: 'time' },
      column('INTERVAL DAY(1) TO SECOND(6)', { scale: 6 }),
      [
        ['+0 08:30:00.500000', '08:30:00.5'],
        ['+00 23:59:59.999999', '23:59:59.999999'],
        ['+1 00:00:00.000000', undefined],
        ['-0 01:00:00.000000', undefined],
        ['08:30:00', '08:30:00'],
      ],
    ],
    [
      { type: 'time' },
      column('VARCHAR2', { length: 15 }),
      [
        ['08:30:00.50', '08:30:00.5'],
        ['8:30', undefined],
      ],
    ],
    [
      { type: 'text', length: 3 },
      column('VARCHAR2', { length: 9 }),
      [
        ['𠮷𠮷𠮷', '𠮷𠮷𠮷'],
        ['abcd', undefined],
        ['a\0', undefined],
      ],
    ],
    [
      { type: 'text' },
      column('NUMBER'),
      [
        ['.5', '0.5'],
        ['12', '12'],
      ],
    ],
    [
      { type: 'json' },
      column('CLOB'),
      [
        ['{"a":1}', '{"a":1}'],
        ['{', undefined],
      ],
    ],
  ]
  for (const [limits, found, values] of cases) {
    const made = reader(limits, found)!
    for (const [raw, value] of values) t.equal(made.convert(raw), value, `${limits.type} ${raw}`)
  }
  t.equal(reader({ type: 'binary' }, column('BLOB'))!.convert(Buffer.from([0, 255])), 'AP8=')
  t.equal(plainNumber('-.5'), '-0.5')
  t.equal(withScale('7', 0), '7')
  t.equal(midnight('2026-11-22'), '2026-11-22')
  t.equal(timeOfDay('+0 08:30:00,5'), '08:30:00.5')
})

t.test('rows: large objects by their lengths, faults by their keys', async (t) => {
  const schema = schemaOf([
    { id: 'id', type: 'text', length: 9, key: true },
    { id: 'doc', type: 'text' },
    { id: 'scan', type: 'binary' },
  ])
  const catalog: CatalogTable = {
    owner: 'APP',
    table: 'T',
    name: '"APP"."T"',
    view: false,
    temporary: false,
    columns: [
      { ...column('CHAR', { length: 9 }), column: 'ID' },
      { ...column('CLOB'), column: 'DOC' },
      { ...column('BLOB'), column: 'SCAN' },
    ],
    uniqueColumns: [],
    keys: [{ index: 'I', primary: true, columns: ['ID'] }],
    shape: '',
  }
  const source = sourceOf(schema, { valueLimit: 10 })
  const plan = planOf(source, catalog)
  const { rows, faults } = convertRows(plan, [
    ['a', 'text', Buffer.from([1]), '4', '1'],
    ['b', null, null, '0', '0'],
    ['c', null, null, null, null],
    ['d', '许许许许', null, '4', null],
    ['e', null, null, null, '11'],
  ])
  t.same(rows, [
    ['a', 'text', 'AQ=='],
    ['b', '', ''],
    ['c', null, null],
  ])
  t.same(faults, [
    { key: ['d'], code: 'QZ-ROW-TOO-LARGE', item: 'doc' },
    { key: ['e'], code: 'QZ-ROW-TOO-LARGE', item: 'scan' },
  ])
  t.same(queuedKey(plan, ['a']), ['a'])
  const other = (changes: Partial<SourceTable>, table: Partial<CatalogTable> = {}) =>
    planOf({ ...source, ...changes }, { ...catalog, ...table })
  t.throws(() => other({}, { keys: [] }), { code: 'QZ-SOURCE-TABLE' })
  t.doesNotThrow(() => other({ capture: 'compare' }, { keys: [] }), 'what only reads needs no key')
  t.throws(() => other({}, { columns: catalog.columns.slice(0, 2) }), { code: 'QZ-SOURCE-TABLE' })
  t.same([1, 2, 10, 11, 100, 500, 900].map(listSize), [1, 10, 10, 100, 100, 500, 500])
})

t.test('keys of the dictionary', async (t) => {
  const rows = [
    ['I', null, 'OTHER', 'CODE'],
    ['I', null, 'PK_I', 'ID'],
    ['I', null, 'NULLABLE', 'NAME'],
    ['P', 'PK', 'PK_I', 'ID'],
  ]
  t.same(keysOf(rows, new Set(['ID', 'CODE'])), [
    { index: 'PK_I', constraint: 'PK', primary: true, columns: ['ID'] },
    { index: 'OTHER', primary: false, columns: ['CODE'] },
  ])
  t.match(queryColumn({ name: 'N', dbTypeName: 'NUMBER', precision: 0, scale: -127, nullable: true }), {
    type: 'NUMBER',
    precision: undefined,
    scale: undefined,
  })
  t.match(queryColumn({ name: 'N', dbTypeName: 'NUMBER', precision: 9, scale: 2, nullable: false }), {
    precision: 9,
    scale: 2,
    nullable: false,
  })
})

t.test('proposals', async (t) => {
  const proposed = (found: CatalogColumn, key = false, timed = false) => proposedType(found, key, timed)
  t.same(proposed(column('NUMBER', { precision: 18, scale: 0 })), { type: 'integer' })
  t.same(proposed(column('NUMBER', { precision: 19, scale: 0 })), { type: 'decimal', precision: 19, scale: 0 })
  t.same(proposed(column('NUMBER', { scale: 0 })), { type: 'integer' })
  t.same(proposed(column('NUMBER')), { type: 'text', length: 64 })
  t.same(proposed(column('DATE')), { type: 'date' })
  t.same(proposed(column('DATE'), false, true), { type: 'timestamp' })
  t.same(proposed(column('VARCHAR2', { length: 300 }), true), { type: 'text', length: 190 })
  t.equal(proposed(column('LONG')), undefined)
})

t.test('names as configured and as they are', async (t) => {
  t.same(['licence', 'Order', '许可', 'a b'].map(madeName), ['LICENCE', 'Order', '许可', 'a b'])
  t.same(['LICENCE', 'licence', 'Order'].map(shownName), ['licence', 'licence', 'Order'])
  for (const name of Object.values(sourceNames('市监局.a-very-long-resource-code-of-sixty-four-characters')))
    t.ok(Buffer.byteLength(name) <= 30, name)
  t.not(safeName('a.b', 25), safeName('a-b', 25))
  t.ok(writesKeys('k1(n) := :old."ID"; k2(n) := rtrim(:old."名"); k1(n) := :new."ID"', [{ column: 'ID' }, { column: '名' }]))
  t.notOk(writesKeys(':old."ID" :old."名"', [{ column: '名' }, { column: 'ID' }]))
})

t.test('addresses', async (t) => {
  const address = addressOf('front', 'oracle://qz:p%40ss@db.example:1522/orcl')
  t.match(address, { user: 'qz', password: 'p@ss' })
  t.match(
    address.descriptor,
    /\(EXPIRE_TIME=1\)\(ADDRESS=\(PROTOCOL=TCP\)\(HOST=db\.example\)\(PORT=1522\)\)\(CONNECT_DATA=\(SERVICE_NAME=orcl\)\)/,
  )
  const thick = addressOf('front', 'oracle://qz:x@db?sid=ORCL&client=/opt/oracle')
  t.equal(thick.client, '/opt/oracle')
  t.match(thick.descriptor, /\(ENABLE=BROKEN\).*\(PORT=1521\).*\(SID=ORCL\)/)
  t.match(addressOf('front', 'oracle://qz:x@db/s?protocol=tcps&wallet=/w').descriptor, /PROTOCOL=TCPS/)
  for (const wrong of [
    'oracle://qz:x@db',
    'oracle://qz:x@db/s?sid=S',
    'oracle://qz:x@db/s?clients=1',
    'oracle://qz:x@db/s)(x',
    'oracle://qz:x@db/s?protocol=udp',
  ])
    t.throws(() => addressOf('front', wrong), { code: 'QZ-CONFIG' }, wrong)
})

t.test('errors', async (t) => {
  const error = (errorNum: number, code = `ORA-${String(errorNum).padStart(5, '0')}`) => Object.assign(new Error(code), { errorNum, code })
  for (const number of [1, 1400, 1407, 1438, 1722, 1830, 1861, 2290, 2291, 12899, 20001, 6502, 12713, 4091])
    t.ok(isRowError(error(number)), String(number))
  for (const number of [60, 54, 942, 1031, 1653, 3113, 16000]) t.notOk(isRowError(error(number)), String(number))
  for (const number of [28, 1012, 1033, 1089, 1653, 3113, 3114, 3135, 12514, 12537, 12541])
    t.equal(connectionCode(error(number)), 'QZ-DB-UNREACHABLE', String(number))
  for (const code of ['NJS-500', 'NJS-511', 'NJS-123', 'DPI-1080']) t.equal(connectionCode(error(0, code)), 'QZ-DB-UNREACHABLE', code)
  t.equal(connectionCode(error(1031)), 'QZ-DB-RIGHTS')
  t.equal(connectionCode(error(16000)), 'QZ-DB-READ-ONLY')
  for (const number of [942, 12899, 1]) t.equal(connectionCode(error(number)), undefined)
  t.ok(isContention(error(60)) && isContention(error(54)) && isMissing(error(942)))
  t.equal(errorNumber(new Error('ORA-20001: refused\nORA-06512: at line 1')), 20001, 'of one row, as the thin driver tells it')
})

t.test('what is written', async (t) => {
  t.equal(columnType({ type: 'text', length: 1000 }, { unicode: true }), 'varchar2(1000 char)')
  t.equal(columnType({ type: 'text', length: 1001 }, { unicode: true }), 'clob')
  t.equal(columnType({ type: 'text', length: 1000 }, { unicode: false }), 'nvarchar2(2000)')
  t.equal(columnType({ type: 'decimal', precision: 50, scale: 2 }, { unicode: true }), 'number')
  t.equal(columnType({ type: 'timestamptz', key: true }, { unicode: true }), 'timestamp(6) with local time zone')
  t.equal(bindText('timestamptz', { type: 'timestamptz' }, '2026-11-22T08:30:00.5Z'), '2026-11-22T08:30:00.500000+00:00')
  t.equal(bindText('date', { type: 'date' }, '2026-11-22'), '2026-11-22T00:00:00')
  t.equal(bindText('text', { type: 'text' }, ''), null)
  t.same(bindText('blob', { type: 'binary' }, ''), Buffer.alloc(0))
  t.equal(deliveryFault(item({ type: 'text', length: 9 }), ''), undefined)
  for (const more of [{ key: true }, { required: true }]) t.match(deliveryFault(item({ type: 'text', length: 9 }, more), '')?.en, /empty/)
  t.match(deliveryFault(item({ type: 'decimal', precision: 50, scale: 10 }), `1${'0'.repeat(38)}`)?.en, /38 digits/)
  t.equal(deliveryFault(item({ type: 'decimal', precision: 38, scale: 20 }), '-0.00000000000000000001'), undefined)
  t.ok(holds(column('NUMBER'), item({ type: 'decimal', precision: 9, scale: 4 })))
  t.notOk(holds(column('NUMBER', { precision: 9, scale: 2 }), item({ type: 'decimal', precision: 9, scale: 4 })), 'it would round')
  t.notOk(holds(column('CHAR', { length: 9 }), item({ type: 'text', length: 9 })), 'it would pad')
  t.notOk(holds(column('TIMESTAMP(3)', { scale: 3 }), item({ type: 'timestamp' })))
  const sink = sinkOf(
    schemaOf([
      { id: 'k', type: 'integer', key: true },
      { id: 'v', type: 'text', length: 3 },
    ]),
  )
  const columns = [
    ['1', '2', '1', 'x', '3'],
    ['a', 'long', 'b', null, null],
  ]
  const prepared = prepareRows(sink, { from: null, to: at(1), rows: 5, columns, ops: ['u', 'u', 'u', 'd', 'd'] })
  t.match(prepared, { upserts: [2], deletes: [4] })
  t.same(
    prepared.faults.map(({ key }) => key),
    [['2'], ['x']],
  )
})
