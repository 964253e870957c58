import t from 'tap'
import { checkerOf } from '../../../agent/outbound/item-checks.ts'
import type { Row } from '../../../agent/database.ts'
import type { Item, ItemCheck } from '../../../protocol/schema.ts'

const item = (id: string, more: Partial<Item> = {}): Item => ({
  id,
  name: id,
  label: id,
  type: 'text',
  length: 40,
  openness: 'internal',
  ...more,
})
const columns = (...items: Item[]) => ({ columns: items.map((item) => ({ item, column: item.name })) })

const right = '91350100M000100Y43'
const wrong = '91310115MA1G4L1WXK'
const card = '11010519491231002X'

t.test('without checks there is nothing to do', async (t) => {
  t.equal(checkerOf(columns(item('k', { key: true }), item('v'))), undefined)
})

t.test('rejected rows become faults by key, warned ones go on', async (t) => {
  const source = columns(
    item('v', { check: { kind: 'uscc', on: 'warn' } }),
    item('k', { key: true }),
    item('w', { check: { kind: 'uscc', on: 'reject' } }),
  )
  const rows: Row[] = [
    [right, 'good', right],
    [wrong, 'warned', right],
    [right, 'rejected', wrong],
    [wrong, 'both', wrong],
    [null, 'nulls', null],
    ['', 'empty', ''],
  ]
  const before = { key: ['before'], code: 'QZ-ROW-VALUE' as const }
  const read = checkerOf(source)!({ rows, faults: [before] })
  const keys = (found: readonly Row[]) => found.map((row) => row[1])
  t.same(keys(read.rows), ['good', 'warned', 'nulls', 'empty'])
  t.same(read.warned, [rows[1]])
  t.equal(read.warned[0], rows[1], 'the very row, by which it is counted when it has been sent')
  t.same(
    read.faults.map(({ key, code, item }) => [key, code, item]),
    [
      [['before'], 'QZ-ROW-VALUE', undefined],
      [['rejected'], 'QZ-ROW-CHECK', 'w'],
      [['both'], 'QZ-ROW-CHECK', 'w'],
    ],
  )
  t.match(read.faults[1]!.reason, { zh: /校验码不对/, en: /unified .*wrong check character/ })
  t.notMatch(JSON.stringify(read.faults), wrong, 'no reason holds the value')
})

t.test('an identity number is checked only where the certificate is an identity card', async (t) => {
  const check: ItemCheck = { kind: 'identity-number', on: 'reject', when: { item: 'type', equals: ['居民身份证', '111'] } }
  const [key, type, number] = [item('k', { key: true }), item('type'), item('number', { check })]
  const rows: Row[] = [
    ['1', '居民身份证', card],
    ['2', '居民身份证', 'E12345678'],
    ['3', '111', 'E12345678'],
    ['4', '护照', 'E12345678'],
    ['5', null, 'E12345678'],
  ]
  const kept = (read: { rows: Row[] }) => read.rows.map(([k]) => k)
  t.same(kept(checkerOf(columns(key, type, number))!({ rows, faults: [] })), ['1', '4', '5'])
  t.equal(checkerOf(columns(key, number)), undefined, 'not where the type is not read')
})

t.test('a key that fails its check is a fault of its own key', async (t) => {
  const read = checkerOf(columns(item('k', { key: true, check: { kind: 'uscc', on: 'reject' } })))!({
    rows: [[right], [wrong]],
    faults: [],
  })
  t.same(read.rows, [[right]])
  t.match(read.faults, [{ key: [wrong], code: 'QZ-ROW-CHECK', item: 'k' }])
})
