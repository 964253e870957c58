/** Texts of cells as values of each type: what is taken, what is a fault, and what it says. */
import t, { type Test } from 'tap'
import { mappedColumn } from '../../../../agent/config/mapping.ts'
import type { Item } from '../../../../protocol/schema.ts'
import { converterOf } from '../../../../protocol/written/cell-values.ts'
import { TimeZone } from '../../../../protocol/written/local-times.ts'
import { faultsOf, items, readRows, sourceOf, valuesOf } from './fixture.ts'

function converting(item: Item, timezone = 'Asia/Shanghai') {
  const convert = converterOf(item, { timezone, valueLimit: 1024 })
  return (text: string): string => {
    const value = convert(text)
    return typeof value === 'string' ? value : `! ${value.en}`
  }
}

/** `text → value` of each. */
function check(t: Test, item: Item, expected: Record<string, string | RegExp>): void {
  const convert = converting(item)
  for (const [text, value] of Object.entries(expected)) {
    if (typeof value === 'string') t.equal(convert(text), value, `${item.type} ${text}`)
    else t.match(convert(text), value, `${item.type} ${text}`)
  }
}

t.test('integers', async (t) => {
  check(t, items.count, {
    '5': '5',
    ' -12 ': '-12',
    '+007': '7',
    '-0': '0',
    '9223372036854775807': '9223372036854775807',
    '9223372036854775808': /^! "9223372036854775808" is not a 64-bit integer$/,
    '1,234': /^! "1,234" has separators of thousands/,
    '1\uff0c234': /separators of thousands/,
    '1.0': /is not an integer/,
    '1e3': /is not an integer/,
    '1.2E+15': /what Excel made of a number/,
    '\uff15': /is not an integer/,
  })
  t.equal(converting({ ...items.count, key: true })(' 007'), '7', 'a key has one text')
})

t.test('decimals', async (t) => {
  check(t, items.price, {
    '12.50': '12.50',
    ' -.5': '-0.5',
    '5.': '5',
    '0012.5': '12.5',
    '-0.00': '0.00',
    '1234567890.12': '1234567890.12',
    '12.500': '12.500',
    '12.505': /does not fit 12 digits, 2 of them behind the point/,
    '12345678901': /does not fit/,
    '1,234.50': /separators of thousands/,
    '.': /is not a number/,
    '1.2.3': /is not a number/,
    NaN: /is not a number/,
    '¥5': /is not a number/,
  })
  t.equal(converting({ ...items.price, key: true })('012.50'), '12.5')
})

t.test('booleans', async (t) => {
  for (const yes of ['true', 'TRUE', '1', ' Y ', 'yes', '是']) check(t, items.valid, { [yes]: 'true' })
  for (const no of ['false', '0', 'n', 'No', '否']) check(t, items.valid, { [no]: 'false' })
  check(t, items.valid, { 有: /^! "有" is not true or false$/, constructor: /is not/ })
})

t.test('dates', async (t) => {
  check(t, items.born, {
    '2026-11-22': '2026-11-22',
    '2026/1/2': '2026-01-02',
    '2026.1.02': '2026-01-02',
    ' 2026年1月2日 ': '2026-01-02',
    '20260102': '2026-01-02',
    '2026-11-22 00:00:00': '2026-11-22',
    '2026-11-22T00:00:00.000': '2026-11-22',
    '2026-11-22 08:00': /is not a date/,
    '2026-02-29': /is not a date/,
    '2024-02-29': '2024-02-29',
    '2026/1-2': /is not a date/,
    '22/11/2026': /is not a date/,
    '26-1-2': /is not a date/,
    '0000-01-01': /is not a date/,
    '2026年13月1日': /is not a date/,
    '202611': /is not a date/,
    '46348': /is not a date/,
  })
})

t.test('times with and without a zone', async (t) => {
  check(t, items.changed, {
    '2026-11-22 08:30:00': '2026-11-22T08:30:00',
    '2026/11/22 8:30': '2026-11-22T08:30:00',
    '2026-11-22T08:30:00.120': '2026-11-22T08:30:00.12',
    '2026-11-22  08:30:00.123456000': '2026-11-22T08:30:00.123456',
    '2026-11-22 08:30:00.1234567': /is not a date and time/,
    '2026年1月2日8:30:05': '2026-01-02T08:30:05',
    '2026年1月2日 8:30': '2026-01-02T08:30:00',
    '20261122083000': '2026-11-22T08:30:00',
    '2026-11-22': '2026-11-22T00:00:00',
    '2026-11-22 24:00:00': /is not/,
    '2026-11-22 08:30:00Z': /without a zone/,
    '2026-11-22 08:30:00+08:00': /without a zone/,
    '08:30': /is not/,
  })
  check(t, items.issued, {
    '2026-11-22 08:30:00': '2026-11-22T00:30:00Z',
    '2026-11-22 08:30:00.5': '2026-11-22T00:30:00.5Z',
    '2026-11-22T08:30:00Z': '2026-11-22T08:30:00Z',
    '2026-11-22 08:30:00+09:30': '2026-11-21T23:00:00Z',
    '2026-11-22 08:30:00 -0330': '2026-11-22T12:00:00Z',
    '2026-11-22 08:30:00+08': '2026-11-22T00:30:00Z',
    '2026-11-22': '2026-11-21T16:00:00Z',
    '1988-07-01 12:00': '1988-07-01T03:00:00Z',
    '0001-01-01 00:00': /is not/,
    '9999-12-31 23:59:59-01:00': /is not/,
    '1500-01-01 08:05:43': '1500-01-01T00:00:00Z',
  })
  check(t, items.opens, { '8:30': '08:30:00', '08:30:00.10': '08:30:00.1', '25:00': /is not a time/, '8:30 PM': /is not a time/ })
})

t.test('clocks that are set: a time that is there twice is the first, one that is not is later', async (t) => {
  const zone = new TimeZone('Europe/Berlin')
  t.equal(zone.toUtc('2026-10-25T01:59:59'), '2026-10-24T23:59:59')
  t.equal(zone.toUtc('2026-10-25T02:30:00'), '2026-10-25T00:30:00', 'summer time')
  t.equal(zone.toUtc('2026-10-25T03:00:00'), '2026-10-25T02:00:00')
  t.equal(zone.toUtc('2026-03-29T01:59:59'), '2026-03-29T00:59:59')
  t.equal(zone.toUtc('2026-03-29T02:30:00'), '2026-03-29T01:30:00', '03:30 in summer time')
  t.equal(zone.toUtc('2026-03-29T03:30:00'), '2026-03-29T01:30:00')
  const half = new TimeZone('Australia/Lord_Howe')
  t.equal(half.toUtc('2026-10-04T02:15:00'), '2026-10-03T15:45:00', 'set forward by half an hour')
  t.equal(half.toUtc('2026-10-04T02:45:00'), '2026-10-03T15:45:00')
})

t.test('texts', async (t) => {
  check(
    t,
    { ...items.name, length: 4 },
    {
      ' a b': ' a b',
      '\u{20000}\u{20000}\u{20000}\u{20000}': '\u{20000}\u{20000}\u{20000}\u{20000}',
      一二三四五: /^! it has 5 characters, at most 4 are allowed$/,
      '\ud800': /characters that are not allowed/,
    },
  )
  for (const spoiled of ['4.40106E+17', '4E+18', '4.41900198505121E+17', '1.2e+09'])
    check(t, { ...items.name, length: 40 }, { [spoiled]: /is what Excel made of a number whose digits are lost/ })
  check(t, { ...items.name, length: 40 }, { 'E+17': 'E+17', '4.40106E-17x': '4.40106E-17x', '440106E': '440106E' })
  const { length: _, ...unlimited } = items.name
  check(t, unlimited, {
    ['x'.repeat(1025)]: /longer than 1024 bytes/,
    ['汉'.repeat(342)]: /longer than/,
    ['x'.repeat(1024)]: 'x'.repeat(1024),
  })
})

t.test('binary and JSON', async (t) => {
  check(t, items.seal, { 'AAEC\n AwQ=': 'AAECAwQ=', AAE: /^! "AAE" is not base64$/ })
  check(t, items.more, { '{"a":1}': '{"a":1}', '{a:1}': /is not JSON/ })
})

t.test('empty cells: null or the empty text, and never of a key or where a value is required', async (t) => {
  const text = { ...items.name, required: false }
  const read = (content: string, empty?: 'null' | 'text') =>
    readRows(t.testdirName, 'a.csv', content, sourceOf([items.id, text, items.count], empty && { format: { empty } }))
  t.testdir()
  t.same(valuesOf(await read('编号,姓名,数量\n1,, \n2,""\n3, ,7\n')), [
    [2, '1', null, null],
    [3, '-'],
    [4, '3', ' ', '7'],
  ])
  t.same(valuesOf(await read('编号,姓名,数量\n1,, \n', 'text')), [[2, '1', '', null]])
  t.same(valuesOf(await read('编号,数量\n1,3\n', 'text')), [[2, '1', null, '3']], 'a column that is not there')
  const rows = await readRows(t.testdirName, 'b.csv', '编号,姓名\n,a\n  ,b\n3,\n', sourceOf([items.id, items.name]))
  t.same(faultsOf(rows), [
    '2: 编号 id 必填 / a value is required',
    '3: 编号 id 必填 / a value is required',
    '4: 姓名 name 必填 / a value is required',
  ])
  t.strictSame(
    rows.map(({ key }) => key),
    [undefined, undefined, ['3']],
  )
})

t.test('faults name row, header and item, and at most forty characters of a value', async (t) => {
  const rows = await readRows(
    t.testdir(),
    'a.csv',
    `编号,姓名,出生日期\n1,a,${'9'.repeat(100)}\n`,
    sourceOf([items.id, items.name, items.born]),
  )
  t.match(rows[0]!.faults, [{ code: 'QZ-ROW-VALUE', column: '出生日期', item: 'born', zh: `“${'9'.repeat(40)}…”不是日期` }])
  t.equal(rows[0]!.row, undefined)
  t.same(rows[0]!.key, ['1'])
})

t.test('item checks and codes are made, each fault at its row', async (t) => {
  const checked: Item = {
    ...items.name,
    id: 'card',
    name: 'card',
    label: '身份证号',
    length: 18,
    check: { kind: 'identity-number', on: 'reject' },
  }
  const sex: Item = { id: 'sex', name: 'sex', label: '性别', type: 'text', length: 1, openness: 'public' }
  const columns = [
    mappedColumn(items.id, undefined),
    mappedColumn(checked, undefined),
    mappedColumn(sex, { column: 'xb', codes: { '1': '男', '2': '女', '9': '不明' } }),
  ]
  const content =
    '编号,身份证号,性别\n1,11010519491231002X,1\n1,110105194912310021,1\n2,11010519491231002X,3\n3,11010519491231002X,9\n4,11010519491231002X,2\n'
  const rows = await readRows(t.testdir(), 'a.csv', content, sourceOf([items.id, checked, sex], { columns }))
  t.same(faultsOf(rows), [
    '3: 身份证号 card 公民身份号码：校验码不对 / identity number: wrong check character',
    '4: 性别 sex 本地值“3”没有对应代码 / the local value "3" has no code',
    '5: 性别 sex 换码后的值超过 1 个字符 / its value by the mapping is longer than 1 characters',
  ])
  t.same(
    rows.map(({ faults }) => faults[0]?.code),
    [undefined, 'QZ-ROW-CHECK', 'QZ-ROW-VALUE', 'QZ-ROW-VALUE', undefined],
  )
  t.same(rows[4]!.row, ['4', '11010519491231002X', '2'], 'rows stay as they are here')
})
