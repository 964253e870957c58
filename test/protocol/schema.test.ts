import t from 'tap'
import { Compile } from 'typebox/compile'
import {
  checkSchema,
  deliverableItems,
  itemById,
  keyItems,
  longestTextKey,
  Schema,
  type Item,
  type ItemCheck,
} from '../../protocol/schema.ts'

const code: Item = { id: 'code', name: 'code', label: '许可证号', type: 'text', length: 40, key: true, openness: 'internal' }
const name: Item = { id: 'name', name: 'full_name', label: '名称', type: 'text', length: 200, openness: 'public' }
const secret: Item = { id: 'secret', name: 'secret', label: '内部意见', type: 'text', openness: 'closed' }
const check: ItemCheck = { kind: 'identity-number', on: 'reject' }
const schema = (...items: Item[]): Schema => ({ resource: 'licence', version: 1, title: '行政许可', agency: 'a', table: 'licence', items })

t.test('schemas that may be registered', async (t) => {
  for (const items of [
    [code, name, secret],
    [{ ...code, length: longestTextKey }],
    [{ ...name, id: 'n', name: 'n', type: 'integer', length: undefined, key: true } as unknown as Item],
    [code, { ...secret, type: 'decimal', precision: 38, scale: 38 } as Item],
    [code, { ...secret, type: 'decimal', precision: 1 } as Item],
    [code, { ...name, check, role: 'certificate-number' } as Item],
    [code, { ...secret, check: { ...check, when: { item: 'code', equals: ['01'] } } } as Item],
  ]) {
    const candidate = JSON.parse(JSON.stringify(schema(...items))) as Schema
    t.equal(checkSchema(candidate), candidate)
  }
})

t.test('every rule refuses', async (t) => {
  const key = (change: Partial<Item>) => [{ ...code, ...change }]
  const withItem = (change: Partial<Item>) => [code, { ...secret, ...change }]
  const { length: _, ...noLength } = code
  const rules: [string, Item[], RegExp][] = [
    ['id twice', [code, { ...name, id: 'code' }], /id code is used twice/],
    ['name twice', [code, { ...name, name: 'code' }], /name code is used twice/],
    ['no key', [name, secret], /no item is marked key/],
    ['name of an added column', withItem({ name: 'qz_source' }), /qz_ is reserved/],
    ['length of a date', withItem({ type: 'date', length: 10 }), /only text has a length/],
    ['decimal without precision', withItem({ type: 'decimal' }), /a decimal needs precision/],
    ['scale over precision', withItem({ type: 'decimal', precision: 2, scale: 3 }), /scale is over precision/],
    ['precision of an integer', withItem({ type: 'integer', precision: 5 }), /only decimal has precision and scale/],
    ['scale of a text', withItem({ scale: 2 }), /only decimal has precision and scale/],
    ['json key', [{ ...noLength, type: 'json' }], /json cannot be a key/],
    ['binary key', [{ ...noLength, type: 'binary' }], /binary cannot be a key/],
    ['closed key', key({ openness: 'closed' }), /a key cannot be closed/],
    ['text key without length', [noLength], /a text key needs a length/],
    ['text key too long', key({ length: longestTextKey + 1 }), /a text key needs a length/],
    ['check of a date', withItem({ type: 'date', check }), /only text has a check/],
    ['check that depends on nothing', withItem({ check: { ...check, when: { item: 'kind', equals: ['01'] } } }), /no other item/],
    ['check that depends on itself', withItem({ check: { ...check, when: { item: 'secret', equals: ['01'] } } }), /no other item/],
    [
      'check that depends on a closed item',
      [{ ...code, check: { ...check, when: { item: 'secret', equals: ['01'] } } }, secret],
      /is closed/,
    ],
  ]
  for (const [rule, items, message] of rules) t.throws(() => checkSchema(schema(...items)), { code: 'QZ-SCHEMA', message }, rule)
})

t.test('shape', async (t) => {
  const shape = Compile(Schema)
  t.ok(shape.Check(schema(code, name, secret)))
  const item = (change: object) => ({ ...schema(), items: [{ ...code, ...change }] })
  const wrong: [string, unknown][] = [
    ['no items', schema()],
    ['an unknown member', { ...schema(code), extra: 1 }],
    ['an unknown member of an item', item({ extra: 1 })],
    ['a table name of 31 bytes', { ...schema(code), table: 'a'.repeat(31) }],
    ['a table name that needs quotes', { ...schema(code), table: 'a"b' }],
    ['a Chinese column name', item({ name: '名称' })],
    ['an item id like $op', item({ id: '$op' })],
    ['an id with a line break', item({ id: 'code\n' })],
    ['an unknown type', item({ type: 'float' })],
    ['an unknown openness', item({ openness: 'secret' })],
    ['an unknown check', item({ check: { kind: 'passport', on: 'warn' } })],
    ['a check without consequence', item({ check: { kind: 'uscc' } })],
    ['a condition without values', item({ check: { kind: 'uscc', on: 'warn', when: { item: 'code', equals: [] } } })],
    ['an unknown role', item({ role: 'colour' })],
    ['length 0', item({ length: 0 })],
    ['401 items', { ...schema(), items: Array.from({ length: 401 }, (_, i) => ({ ...name, id: `i${i}`, name: `i${i}` })) }],
  ]
  for (const [name, candidate] of wrong) t.notOk(shape.Check(candidate), name)
})

t.test('what a grant may carry', async (t) => {
  const all = schema(name, code, secret)
  const ids = (granted: string[]) => deliverableItems(all, granted).map(({ id }) => id)
  t.same(ids(['name']), ['name', 'code'], 'the key always, in schema order')
  t.same(ids([]), ['code'])
  t.same(ids(['secret', 'name', 'unknown']), ['name', 'code'], 'closed items never')
  t.same(keyItems(all), [code])
  t.equal(itemById(all, 'name'), name)
  t.equal(itemById(all, 'unknown'), undefined)
})
