/** Every format is written so that a reader of other origin gets back what was put in. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { Row, SinkFiles } from '../../../../agent/database.ts'
import { encodable, encodeGb18030 } from '../../../../agent/folders/formats/gb18030.ts'
import { keyOrder } from '../../../../agent/folders/rows/key-order.ts'
import { formatOf, valueChecker } from '../../../../agent/folders/formats/write-file.ts'
import { zonedWriter } from '../../../../agent/folders/formats/zoned-time.ts'
import { schemaOf } from '../../databases/conformance/fixture.ts'
import { apply, fileSink, filled, freshFolder, manifestWhen, readRows, Stream } from '../rows/sink-fixture.ts'
import { writeTemporary, putInPlace } from '../../../../agent/folders/store/durable-write.ts'
import { mkdirSync } from 'node:fs'

const all = schemaOf([
  { id: 'id', type: 'integer', key: true },
  { id: 'text', type: 'text' },
  { id: 'amount', type: 'decimal', precision: 38, scale: 10 },
  { id: 'yes', type: 'boolean' },
  { id: 'day', type: 'date' },
  { id: 'moment', type: 'timestamptz' },
  { id: 'bytes', type: 'binary' },
  { id: 'doc', type: 'json' },
])
const rows: Row[] = [
  [
    '1',
    '食品, "经营"\r\n许可证',
    '0012345678901234567890.50',
    'true',
    '2026-11-22',
    '2026-11-22T00:30:00.120Z',
    'AAEC',
    '{"a":\n[1, 2.50]}',
  ],
  ['9007199254740993', '=1+1', '-0.1', 'false', '0001-01-01', '1969-12-31T23:59:59Z', '', 'null'],
  ['10', '', null, null, null, null, null, null],
  ['11', null, '0', null, null, '0001-01-01T00:00:00Z', null, '"😀𠮷\\u0001"'],
  ['12', ' 440101199001011234 ', '1', 'true', null, '1988-07-01T00:00:00Z', null, null],
]
const local = ['2026-11-22T08:30:00.120+08:00', '1970-01-01T07:59:59+08:00', null, '0001-01-01T00:00:00Z', '1988-07-01T09:00:00+09:00']
const order = [0, 2, 3, 4, 1]

for (const format of [
  { kind: 'csv' },
  { kind: 'csv', encoding: 'gb18030', separator: ';' },
  { kind: 'csv', separator: '\t' },
  { kind: 'csv', separator: '|' },
  { kind: 'excel' },
] as const) {
  t.test(JSON.stringify(format), async (t) => {
    const sink = fileSink(all, { format: { ...format, timezone: 'Asia/Shanghai' }, headers: 'labels' })
    const opened = await filled(t, sink)
    await apply(opened, sink, new Stream(all).next(rows, { snapshot: 'only' }))
    const file = `scjg.licence.${formatOf(sink.files!).ending}`
    const manifest = await manifestWhen(opened, file)
    const [header, ...found] = await readRows(
      opened.folder,
      file,
      'encoding' in format ? format.encoding : 'utf-8',
      'separator' in format ? format.separator : ',',
    )
    t.same(header, [...all.items.map(({ label }) => label), 'qz_source'])
    t.same(
      manifest.items.map((item) => item.header),
      header!.slice(0, -1),
    )
    const expected = order.map((n) => [...rows[n]!.map((value, i) => (i === 5 ? local[n] : value)), 'scjg'])
    t.same(found, expected)
    const bytes = readFileSync(join(opened.folder.path, file))
    t.equal(bytes.subarray(0, 3).toString('hex') === 'efbbbf', format.kind === 'csv' && !('encoding' in format), 'a mark where it is UTF-8')
  })
}

t.test('JSON lines keep every digit', async (t) => {
  const sink = fileSink(all, { format: { kind: 'jsonl', timezone: 'Asia/Shanghai' } })
  const opened = await filled(t, sink)
  await apply(opened, sink, new Stream(all).next(rows, { snapshot: 'only' }))
  await manifestWhen(opened, 'scjg.licence.jsonl')
  const lines = readFileSync(join(opened.folder.path, 'scjg.licence.jsonl'), 'utf8').trimEnd().split('\n')
  t.equal(
    lines[0],
    String.raw`{"id":1,"text":"食品, \"经营\"\r\n许可证","amount":12345678901234567890.50,"yes":true,"day":"2026-11-22","moment":"2026-11-22T00:30:00.120Z","bytes":"AAEC","doc":{"a": [1, 2.50]},"qz_source":"scjg"}`,
  )
  t.match(lines[4], '{"id":9007199254740993,"text":"=1+1"')
  t.same(
    lines.map((line) => Object.keys(JSON.parse(line) as object).length),
    [9, 9, 9, 9, 9],
  )
})

t.test('a value that is not of its type never stands in JSON as it is', async (t) => {
  const sink = fileSink(all, { format: { kind: 'jsonl', timezone: 'UTC' } })
  const opened = await filled(t, sink)
  const bad: Row[] = [
    ['1', 'x', '1,"yes":2', null, null, null, null, null],
    ['2', 'x', null, '0', null, null, null, null],
    ['3', 'x', null, null, null, null, null, '{'],
    ['4', '\ud800', null, null, null, null, null, null],
    ['5', 'x', null, null, null, null, null, null],
  ]
  t.match(await apply(opened, sink, new Stream(all).next(bad, { snapshot: 'only' })), { written: 1, quarantined: 4 })
})

t.test('labels that are the same twice have their columns behind them', async (t) => {
  const twice = schemaOf([
    { id: 'id', type: 'text', length: 9, key: true, label: '编号' },
    { id: 'a', type: 'text', label: '名称' },
    { id: 'b', type: 'text', label: '名称' },
  ])
  const sink = fileSink(twice, { headers: 'labels', formulas: 'escape' })
  const opened = await filled(t, sink)
  await apply(opened, sink, new Stream(twice).next([['a', '=1+1', '\n-2']], { snapshot: 'only' }))
  await manifestWhen(opened, 'scjg.licence.csv')
  t.same(await readRows(opened.folder, 'scjg.licence.csv'), [
    ['编号', '名称(a)', '名称(b)', 'qz_source'],
    ['a', `'=1+1`, `'\n-2`, 'scjg'],
  ])
})

t.test('GB18030: what is written is read back, over all of Unicode', async (t) => {
  const decoder = new TextDecoder('gb18030', { fatal: true })
  const without: string[] = []
  const wrong: string[] = []
  for (let from = 0; from < 0x110000; from += 0x400) {
    let text = ''
    for (let point = from; point < from + 0x400; point++) {
      if (point >= 0xd800 && point < 0xe000) continue
      const character = String.fromCodePoint(point)
      if (encodable(character)) text += character
      else without.push(point.toString(16))
    }
    if (decoder.decode(encodeGb18030(text)) !== text) wrong.push(from.toString(16))
  }
  t.same(wrong, [])
  t.same(
    without,
    [
      'e5e5',
      'e78d',
      'e78e',
      'e78f',
      'e790',
      'e791',
      'e792',
      'e793',
      'e794',
      'e795',
      'e796',
      'e81e',
      'e826',
      'e82b',
      'e82c',
      'e832',
      'e843',
      'e854',
      'e864',
    ],
    'private characters that the 2022 edition has given up',
  )
  t.throws(() => encodeGb18030('\ue5e5'), RangeError)
  t.throws(() => encodeGb18030('\ud800'), RangeError)
  t.notOk(encodable('\udc00'))
  t.equal(encodeGb18030('中国€𠮷').toString('hex'), 'd6d0b9faa2e39534b235')
  const check = valueChecker(fileSink(all, { format: { encoding: 'gb18030', timezone: 'UTC' } }).files!)
  t.match(check('\ue5e5', 'text')?.en, /GB18030/)
  t.equal(check('中', 'text'), undefined)
})

t.test('random rows come back from every text format', async (t) => {
  const folder = freshFolder(t)
  mkdirSync(folder.path, { recursive: true })
  const cell = fc.option(fc.string({ unit: fc.constantFrom('a', '"', ',', ';', '\t', '\r', '\n', '|', ' ', '中', "'", '\\', '😀') }), {
    nil: null,
  })
  const kinds: SinkFiles['format'][] = [
    { kind: 'csv', timezone: 'UTC' },
    { kind: 'csv', encoding: 'gb18030', separator: ';', timezone: 'UTC' },
    { kind: 'csv', separator: '|', timezone: 'UTC' },
    { kind: 'jsonl', timezone: 'UTC' },
  ]
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...kinds), fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 5 }), async (format, table) => {
      const files = fileSink(all, { format }).files!
      const name = `x.${formatOf(files).ending}`
      const columns = ['x', 'y', 'z'].map((header) => ({ header, type: 'text' as const }))
      const page = table.map(([a, b]) => [a, b, 'end'])
      await writeTemporary(folder.path, name, formatOf(files).write({ columns, pages: [page], files, title: 't' }))
      await putInPlace(folder.path, name)
      t.same(await readRows(folder, name, format.encoding, format.separator), [['x', 'y', 'z'], ...page])
    }),
    { numRuns: 150 },
  )
})

t.test('keys sort as people sort them, and different keys differ', async (t) => {
  const sorted = [
    '-10.5',
    '-10',
    '-9',
    '-0.5',
    '0',
    '0.5',
    '1',
    '01',
    '1.0',
    '2',
    '10',
    '10.5',
    '99999999999999999999',
    '2026-11-22',
    'B',
    'a',
    'a0',
    '中',
  ]
  for (const [i, value] of sorted.entries()) {
    for (const later of sorted.slice(i + 1)) t.ok(keyOrder([value]).compare(keyOrder([later])) !== 0, `${value} and ${later}`)
  }
  const numbers = sorted.toSorted((a, b) => keyOrder([a]).compare(keyOrder([b])))
  t.same(
    numbers.filter((value) => !['01', '1.0'].includes(value)),
    sorted.filter((value) => !['01', '1.0'].includes(value)),
  )
  t.equal(keyOrder(['1', 'a']).compare(keyOrder(['1', 'b'])), -1)
  t.equal(keyOrder(['a', 'z']).compare(keyOrder(['a!', 'a'])), -1)
  const value = fc.oneof(
    fc.stringMatching(/^-?\d{1,4}(\.\d{1,3})?$/),
    fc.string().map((text) => text.replaceAll('\0', '')),
    fc.constant(null),
  )
  fc.assert(
    fc.property(fc.tuple(value, value), fc.tuple(value, value), (a, b) => {
      return keyOrder(a).equals(keyOrder(b)) === (JSON.stringify(a) === JSON.stringify(b))
    }),
    { numRuns: 5_000 },
  )
})

t.test('moments are told by the clock of a zone, exactly', async () => {
  for (const zone of ['Asia/Shanghai', 'America/New_York', 'Asia/Kathmandu', 'UTC', 'Australia/Lord_Howe']) {
    const write = zonedWriter(zone)
    fc.assert(
      fc.property(fc.date({ min: new Date('1950-01-01'), max: new Date('2090-01-01'), noInvalidDate: true }), (date) => {
        const value = `${date.toISOString().slice(0, 19)}.123456Z`
        const written = write(value)
        const local = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
          .format(date)
          .replace(' ', 'T')
        return Date.parse(written) === Date.parse(value) && written.slice(0, 19) === local && written.slice(19, 26) === '.123456'
      }),
      { numRuns: 300 },
    )
  }
})
