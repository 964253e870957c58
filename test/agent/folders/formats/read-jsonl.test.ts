/** JSON lines: numbers as they are written, names as headers, and lines that are none. */
import t from 'tap'
import { refusing } from '../../../../agent/folders/formats/file-fault.ts'
import { readJsonLines } from '../../../../agent/folders/formats/read-jsonl.ts'
import { faultsOf, gb18030, items, readRows, refusal, sourceOf, valuesOf } from './fixture.ts'

const folder = t.testdir()
const text = { ...items.name, required: false }
const source = sourceOf([items.id, text, items.count, items.price, items.valid, items.more])
const read = (content: string | Uint8Array, of = source) => readRows(folder, 'a.jsonl', content, of)

t.test('members by any name, in any order; what is not there is null', async (t) => {
  const lines = ['{"编号":"1","姓名":"张三","quantity":5}', '', '{"price":"1.50","ID":"2","full_name":null,"有效":true}\r', '{"id":"3"}']
  const rows = await read(`\ufeff${lines.join('\n')}`)
  t.same(valuesOf(rows), [
    [1, '1', '张三', '5', null, null, null],
    [3, '2', null, null, '1.50', 'true', null],
    [4, '3', null, null, null, null, null],
  ])
  t.same(faultsOf(rows), [])
  t.same(valuesOf(await read(gb18030('{"编号":"1","姓名":"张三"}\n')))[0], [1, '1', '张三', null, null, null, null])
})

t.test('numbers are taken as they are written', async (t) => {
  const rows = await read(
    [
      '{"id":441900198505120017,"count":9223372036854775807,"price":12.50}',
      '{"id":"2","price":0.10,"name":12345678901234567890.5}',
      '{"id":"3","price":1.5e1,"name":1.25e-6}',
      '{"id":"4","count":-0,"price":5E+2,"name":1e3}',
    ].join('\n'),
  )
  t.same(
    valuesOf(rows).map((row) => row.slice(1, 5)),
    [['441900198505120017', null, '9223372036854775807', '12.50'], ['-'], ['3', '0.00000125', null, '15'], ['4', '1000', '0', '500']],
  )
  t.same(faultsOf(rows), ['2: name name 有 22 个字符，最多 10 个 / it has 22 characters, at most 10 are allowed'])
  t.match(faultsOf(await read('{"id":"1","count":1.5,"valid":"maybe"}')), [
    /count count .*"1.5" is not an integer/,
    /"maybe" is not true or false/,
  ])
})

t.test('an empty text is no null; of other types it is', async (t) => {
  t.same(valuesOf(await read('{"id":"1","name":"","count":""}')), [[1, '1', '', null, null, null, null]])
  t.match(faultsOf(await read('{"id":"","name":"a"}\n{"id":null}\n{}')), [/^1: id id .*required/, /^2: id id .*required/, /^3: .*required/])
})

t.test('objects, arrays and all other values of a JSON item, digits kept', async (t) => {
  const rows = await read('{"id":"1","more":{"a":[1,12345678901234567890,0.10],"b":"x"}}\n{"id":"2","more":"x"}\n{"id":"3","more":0.10}')
  t.same(
    valuesOf(rows).map((row) => row.at(-1)),
    ['{"a":[1,12345678901234567890,0.10],"b":"x"}', '"x"', '0.10'],
  )
  t.match(faultsOf(await read('{"id":"1","count":{"a":1}}')), [/"{"a":1}" is not an integer/])
})

t.test('lines that are no objects of the source are faults of their own', async (t) => {
  const rows = await read('{"id":"1"\n[1]\n"x"\n{"id":"2","传真":"x"}\n{"id":"3","编号":"4"}\n{"id":"5","__proto__":"x"}\n{"id":"6"}')
  t.same(faultsOf(rows), [
    '1: - - 不是 JSON / it is not JSON',
    '2: - - 不是 JSON 对象 / it is no JSON object',
    '3: - - 不是 JSON 对象 / it is no JSON object',
    '4: - - 不认识的列“传真” / unknown column "传真"',
    '5: - - 列“编号”重复 / column "编号" is there twice',
    '6: - - 不认识的列“__proto__” / unknown column "__proto__"',
  ])
  t.same(valuesOf(rows).at(-1)![1], '6')
})

t.test('operations', async (t) => {
  const rows = await read('{"qz_op":"d","id":"1"}\n{"操作":"修改","id":"2"}\n{"id":"3"}\n{"qz_op":"x","id":"4"}')
  t.same(
    rows.map(({ op }) => op),
    ['d', 'u', 'u', 'u'],
  )
  t.match(faultsOf(rows), [/^4: .*the operation "x" is neither/])
  const whole = read('{"id":"1"}\n{"qz_op":"d","id":"2"}', sourceOf([items.id], { whole: true }))
  t.match(await refusal(whole), /^第 2 行: .*a file of the whole table has no operations/, 'it is none: the file is refused')
})

t.test('a line that is too long is a fault of its own', async (t) => {
  const long = `{"id":"2","name":"${'x '.repeat(1 << 20)}"}`
  const rows = await read(`{"id":"1"}\n${long}\n{"id":"3"}\n${long}`)
  t.same(
    valuesOf(rows).map(([number, id]) => [number, id]),
    [
      [1, '1'],
      [2, '-'],
      [3, '3'],
      [4, '-'],
    ],
  )
  t.match(faultsOf(rows), [/^2: .*longer than 1048576 characters/, /^4: .*longer/])
})

t.test('a line without an end takes no memory', async (t) => {
  const piece = 'x'.repeat(1 << 20)
  async function* endless(): AsyncGenerator<string> {
    yield '{"id":"1"}\n'
    // Together more than a string can be.
    for (let i = 0; i < 600; i++) yield piece
    yield '\n{"id":"3"}'
  }
  const rows = (await Array.fromAsync(readJsonLines(endless(), source, refusing('endless.jsonl'), 2000))).flat()
  t.same(
    valuesOf(rows).map(([number, id]) => [number, id]),
    [
      [1, '1'],
      [2, '-'],
      [3, '3'],
    ],
  )
})
