/** Blocks as lines, against a reader of lines that shares no code with the product: what is written is what was sent, or nothing is. */
import t from 'tap'
import { arrayText, lineForms, linesOf } from '../../../agent/databases/bookkeeping/lines.ts'
import type { MappedColumn } from '../../../agent/database.ts'
import { valueFault, type Value, type ValueLimits } from '../../../protocol/value.ts'
import { Random, seedOfThisRun } from '../../faults/random.ts'

const runs = process.env['QIANZHI_TEST_LONG'] ? 20_000 : 1_000
const postgres = { lengths: true, digits: false, zoneless: false }
const mysql = { lengths: false, digits: true, zoneless: true }

const types: ValueLimits[] = [
  { type: 'text' },
  { type: 'text', length: 4 },
  { type: 'integer' },
  { type: 'decimal', precision: 5, scale: 2 },
  { type: 'decimal', precision: 2, scale: 2 },
  { type: 'boolean' },
  { type: 'date' },
  { type: 'timestamp' },
  { type: 'timestamptz' },
  { type: 'time' },
  { type: 'json' },
]

/** Values that fit their type, and such as do not or only look so. */
const values: Record<string, readonly string[]> = {
  text: [
    '',
    'a',
    '\u00e9',
    '汉字',
    '𠀀𠀁𠀂𠀃',
    'abcde',
    '\\N',
    '\\',
    '\\.',
    '"',
    "'",
    'a\tb',
    'a\nb',
    '\r',
    '\u0001',
    '\u001f',
    '\b\f\v',
    '\u007f',
    '{a,"b"}',
    '/',
  ],
  integer: ['0', '-1', '12', '-0', '007', '1.0', '', '+1', ' 1', '999999999999999999', '9223372036854775807', '9223372036854775808', '1e3'],
  decimal: ['0', '0.00', '-0.5', '123.45', '1234.5', '1.234', '00.1', '.5', '5.', '-', 'NaN', '0.99', '1.00', '1.000'],
  boolean: ['true', 'false', 't', 'f', 'TRUE', 'falsy', 'trus', '1'],
  date: [
    '2026-02-28',
    '2024-02-29',
    '2026-02-29',
    '1900-02-29',
    '2000-02-29',
    '0000-01-01',
    '2026-13-01',
    '2026-1-1',
    '2026-04-31',
    'now',
    '12026-01-01',
    '2026-00-10',
    '2026-01-00',
  ],
  time: [
    '00:00:00',
    '23:59:59.999999',
    '24:00:00',
    '12:60:00',
    '12:00:60',
    '12:00:00.',
    '12:00:00.1234567',
    '1:00:00',
    '19:00:00.5',
    '29:00:00',
  ],
  json: ['{}', '{"a":"\\u0001\\"x"}', '[1,"\\n"]', 'null'],
}
for (const type of ['timestamp', 'timestamptz']) {
  const end = type === 'timestamptz' ? 'Z' : ''
  values[type] = values['date']!.flatMap((date) => values['time']!.map((time) => `${date}T${time}${end}`)).concat(
    '2026-01-01 00:00:00',
    '2026-01-01T00:00:00z',
  )
}

/** A JSON text, each of its characters escaped in one of the ways that RFC 8259 knows. */
function json(random: Random, value: Value): string {
  if (value === null) return 'null'
  const plainly = JSON.stringify(value)
  if (random.chance(0.7)) return plainly
  return plainly
    .replaceAll('/', () => random.pick(['/', '\\/']))
    .replace(/[a-zé]/g, (letter) =>
      random.chance(0.1) && !/\\/.test(plainly) ? `\\u${letter.codePointAt(0)!.toString(16).padStart(4, '0')}` : letter,
    )
}

/** One line as COPY and LOAD DATA read it (PostgreSQL manual, COPY, text format; MariaDB manual, LOAD DATA INFILE). */
function readLine(line: string): Value[] {
  return line.split('\t').map((field) => {
    if (field === '\\N') return null
    return field.replace(/\\(.)/gs, (_, letter: string) => ({ t: '\t', n: '\n', r: '\r', '\\': '\\' })[letter] ?? `?${letter}`)
  })
}

const written = (value: Value, { type }: ValueLimits): Value => {
  if (value === null) return null
  if (type === 'boolean') return value === 'true' ? '1' : '0'
  return type === 'timestamptz' ? value.slice(0, -1) : value
}

t.test('lines hold what was sent, or there are none', (t) => {
  const seed = seedOfThisRun()
  let accepted = 0
  for (let run = seed; run < seed + runs; run++) {
    const random = new Random(run)
    const limits = Array.from({ length: random.between(1, 5) }, () => random.pick(types))
    const columns: MappedColumn[] = limits.map((limit, i) => ({
      column: `c${i}`,
      item: { id: `c${i}`, name: '', label: '', openness: 'internal', ...limit, ...(i === 0 && limit.type !== 'json' && { key: true }) },
    }))
    const style = random.pick([postgres, mysql])
    const fine = random.chance(0.6)
    const rows = Array.from({ length: random.between(1, 6) }, () =>
      columns.map(({ item }): Value => {
        if (random.chance(0.1)) return null
        const all = values[item.type]!
        return random.pick(fine ? all.filter((value) => valueFault(item, value) === undefined) : all)
      }),
    )
    const skipped = random.chance(0.3) ? Uint8Array.from(rows, () => (random.chance(0.4) ? 1 : 0)) : undefined
    const blocks = columns.map((_, c) => Buffer.from(`[${rows.map((row) => json(random, row[c]!)).join(',')}]`))
    const lines = linesOf(lineForms(columns, style)!, blocks, rows.length, Buffer.from('\ttail'), skipped)
    if (!lines) continue
    accepted++
    const kept = rows.filter((_, i) => skipped?.[i] !== 1)
    const shown = lines.bytes.toString().split('\n')
    t.equal(shown.pop(), '', `seed ${run}: the last line is ended`)
    const expected = kept.map((row) => [...row.map((value, c) => (style.digits ? written(value, limits[c]!) : value)), 'tail'])
    t.same(shown.map(readLine), expected, `seed ${run}`)
    t.same(
      [...lines.ends],
      shown.map((_, i) => Buffer.byteLength(shown.slice(0, i + 1).join('\n')) + 1),
      `seed ${run}: where lines end`,
    )
    for (const row of kept)
      for (const [c, value] of row.entries()) {
        const { item } = columns[c]!
        if (value === null) t.notOk(item.key, `seed ${run}: no key is null`)
        else if (style.lengths || item.type !== 'text') t.equal(valueFault(item, value), undefined, `seed ${run}: ${item.type} ${value}`)
      }
  }
  t.ok(accepted > runs / 4, `${accepted} of ${runs} were made without values, from seed ${seed}`)
  t.end()
})

t.test('what is no array of so many texts and nulls becomes no lines', (t) => {
  const forms = lineForms([{ column: 'c', item: { id: 'c', name: '', label: '', openness: 'internal', type: 'text' } }], postgres)!
  const of = (json: string | Buffer, rows: number) => linesOf(forms, [Buffer.from(json)], rows, Buffer.alloc(0))?.bytes.toString()
  t.equal(of('["a",null]', 2), 'a\n\\N\n')
  for (const [json, rows] of [
    ['["a"]', 2],
    ['["a","b"]', 1],
    ['["a","b"', 2],
    ['["a","b"] ', 2],
    ['[1]', 1],
    ['["a\tb"]', 1],
    ['["\\u0000"]', 1],
    ['["\\ud800"]', 1],
    ['["\\x"]', 1],
    ['["a', 1],
    ['{"a"}', 1],
    ['', 1],
    ['[nul]', 1],
  ] as const)
    t.equal(of(json, rows), undefined, json)
  t.end()
})

t.test('texts with a mapping, and binary values, are left to the way by values', (t) => {
  const item = { id: 'c', name: '', label: '', openness: 'internal', type: 'text' } as const
  t.equal(lineForms([{ column: 'c', item, mapping: { item } }], postgres), undefined)
  t.equal(lineForms([{ column: 'c', item: { ...item, type: 'binary' } }], postgres), undefined)
  t.end()
})

t.test('an array as PostgreSQL writes it, or none', (t) => {
  t.equal(arrayText(Buffer.from('["a","b\\\\c","d\\"e"]')), '{"a","b\\\\c","d\\"e"}')
  t.equal(arrayText(Buffer.from('["a\\nb"]')), undefined)
  t.end()
})
