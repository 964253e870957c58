/** Local codes, padded texts and local types: what becomes of values on their way out and in, and which configurations are refused. */
import fc from 'fast-check'
import t from 'tap'
import { mappingText, sameShape, type MappedColumn, type Rows, type SinkTable } from '../../../agent/database.ts'
import { localRows, mappedColumn, mappingFault, narrowedItems, portableRows, searchedValue } from '../../../agent/config/mapping.ts'
import { narrowedValue } from '../../../protocol/collected-rows.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Item } from '../../../protocol/schema.ts'
import type { Value } from '../../../protocol/value.ts'

const key: Item = { id: 'id', name: 'id', label: '编号', type: 'text', length: 10, key: true, openness: 'public' }
const sex: Item = { id: 'sex', name: 'sex', label: '性别', type: 'text', length: 2, openness: 'public' }
const codes = { '1': '男', '2': '女' }

function columns(how: Parameters<typeof mappedColumn>[1]): MappedColumn[] {
  return [mappedColumn(key, undefined), mappedColumn(sex, how)]
}

t.test('the engine sees the local type, and nothing is mapped that is named only', async (t) => {
  t.same(mappedColumn(sex, 'xb'), { item: sex, column: 'xb' })
  t.same(mappedColumn(sex, { column: 'xb' }), { item: sex, column: 'xb' })
  const mapped = mappedColumn(sex, { column: 'xb', codes, type: 'integer' })
  t.match(mapped, { item: { id: 'sex', type: 'integer' }, column: 'xb', mapping: { item: sex, codes } })
  t.notOk('length' in mapped.item, 'local texts may be longer')
  t.equal(portableRows(columns('xb')), undefined)
})

t.test('local values become portable ones; a row with a value that has no code is set aside', async (t) => {
  const read = {
    rows: [
      ['a', '1'],
      ['b', null],
      ['c', '9'],
      ['d', ' 2 '],
    ],
    faults: [],
  }
  t.same(portableRows(columns({ codes }))!(read), {
    rows: [
      ['a', '男'],
      ['b', null],
    ],
    faults: [
      { key: ['c'], code: 'QZ-ROW-VALUE', item: 'sex', reason: { zh: '本地值“9”没有对应代码', en: 'the local value "9" has no code' } },
      { key: ['d'], code: 'QZ-ROW-VALUE', item: 'sex', reason: { zh: '本地值“ 2 ”没有对应代码', en: 'the local value " 2 " has no code' } },
    ],
  })
  t.same(
    portableRows(columns({ codes, trim: true, otherwise: 'null' }))!(read).rows.map(([, value]) => value),
    ['男', null, null, '女'],
  )
  t.same(portableRows(columns({ codes, otherwise: 'keep' }))!(read), {
    rows: [
      ['a', '男'],
      ['b', null],
      ['c', '9'],
    ],
    faults: [
      {
        key: ['d'],
        code: 'QZ-ROW-VALUE',
        item: 'sex',
        reason: { zh: '换码后的值超过 2 个字符', en: 'its value by the mapping is longer than 2 characters' },
      },
    ],
  })
  const long = portableRows(columns({ codes }))!({ rows: [['e', 'x'.repeat(10_000)]], faults: [] })
  t.ok((long.faults[0]!.reason as LocalizedText).zh.length < 120, 'a long value is told in part')
  t.same(portableRows(columns({ trim: true }))!({ rows: [['a', '男　 ']], faults: [] }).rows, [['a', '男']])
  t.same(portableRows(columns({ type: 'integer' }))!({ rows: [['a', '7']], faults: [] }).rows, [['a', '7']])
  t.equal(
    portableRows(columns({ codes: JSON.parse('{"__proto__":"男"}') as Record<string, string> }))!({
      rows: [['a', 'constructor']],
      faults: [],
    }).faults.length,
    1,
  )
})

t.test('portable values become local ones', async (t) => {
  const received = [
    ['a', 'b', 'c'],
    ['女', null, '其他'],
  ]
  t.same(localRows(columns({ codes }), received), {
    columns: [
      ['a', 'b', 'c'],
      ['2', null, null],
    ],
    without: new Set([2]),
  })
  t.same(localRows(columns({ codes, otherwise: 'keep' }), received).columns[1], ['2', null, '其他'])
  t.same(localRows(columns({ codes, otherwise: 'null' }), received), {
    columns: [
      ['a', 'b', 'c'],
      ['2', null, null],
    ],
    without: new Set(),
  })
  const many = { '1': '男', M: '男', '2': '女' }
  t.same(localRows(columns({ codes: many, write: { 男: '1' } }), [['a'], ['男']]).columns[1], ['1'])
})

t.test('configurations that cannot be meant', async (t) => {
  const many = { '1': '男', M: '男' }
  t.match(mappingFault({ codes: many }, true)?.en, /several local values stand for 男/)
  t.equal(mappingFault({ codes: many }, false), undefined, 'a source only reads')
  t.equal(mappingFault({ codes: many, write: { 男: 'M' } }, true), undefined)
  t.match(mappingFault({ codes: many, write: { 男: 'X' } }, true)?.en, /does not stand for/)
  t.match(mappingFault({ otherwise: 'keep' }, false)?.en, /otherwise needs codes/)
  t.match(mappingFault({ codes: {} }, false)?.en, /empty/)
  t.match(mappingFault({ codes, write: {} }, false)?.en, /sinks/)
  for (const how of [{ codes }, { trim: true }, { type: 'integer' as const }])
    t.throws(() => mappedColumn(key, how), { code: 'QZ-CONFIG', message: /columns\.id/ })
  t.same(mappedColumn(key, { column: 'bh' }), { item: key, column: 'bh' }, 'a key may have another name')
})

t.test('another mapping is another shape', async (t) => {
  const sink = (how: Parameters<typeof mappedColumn>[1]) => ({ columns: columns(how) }) as unknown as SinkTable
  const state = (how: Parameters<typeof mappedColumn>[1]) => ({
    columns: { id: 'id', sex: 'sex' },
    keys: ['id'],
    mapping: mappingText(columns(how)),
  })
  t.ok(sameShape(state({ codes }), sink({ codes })))
  t.notOk(sameShape(state({ codes }), sink({ codes: { ...codes, '9': '未说明' } })))
  t.notOk(sameShape(state(undefined), sink({ codes })))
  t.notOk(sameShape(state({ codes }), sink(undefined)))
  t.notOk(sameShape(state({ codes }), sink({ codes, type: 'integer' })))
  t.ok(sameShape({ columns: { id: 'id', sex: 'sex' }, keys: ['id'] }, sink({ codes })), 'an engine that does not write it down')
})

t.test('a preview is searched by the one local code of a value', async (t) => {
  t.equal(searchedValue(columns({ codes })[1]!, '女'), '2')
  t.equal(searchedValue(columns(undefined)[1]!, '女'), '女')
  t.throws(() => searchedValue(columns({ codes: { '1': '男', M: '男' } })[1]!, '男'), { code: 'QZ-REQUEST-INVALID' })
  t.throws(() => searchedValue(columns({ codes })[1]!, '无'), { code: 'QZ-REQUEST-INVALID' })
})

t.test('what a sink wrote comes back as reconciliation narrows it', async (t) => {
  const texts = fc.constantFrom('男', '女', ' 男 ', '未知', '', ' ', '1')
  const codes = fc.dictionary(fc.constantFrom('1', '2', '9'), fc.constantFrom('男', '女', '未知'), { minKeys: 1 })
  const mappings = fc.record({ codes: fc.option(codes, { nil: undefined }), trim: fc.boolean(), nulls: fc.boolean() })
  let compared = 0
  fc.assert(
    fc.property(mappings, texts, ({ codes: given, trim, nulls }, value) => {
      const configured = { ...(given && { codes: given }), ...(trim && { trim }), ...(given && nulls && { otherwise: 'null' as const }) }
      if (mappingFault(configured, true)) return true
      const both = columns(configured)
      const written = localRows(both, [['a'], [value]])
      if (written.without.size > 0) return true
      const { rows, faults } = (portableRows(both) ?? ((read: Rows) => read))({
        rows: [written.columns.map(([one]) => one!)],
        faults: [],
      })
      const narrowed = narrowedItems(both).map(narrowedValue)
      compared++
      return faults.length === 0 && rows[0]![1] === narrowed.reduce<Value>((one, narrow) => narrow(one), value)
    }),
    { numRuns: 500 },
  )
  t.ok(compared > 100, `${compared} values compared`)
})
