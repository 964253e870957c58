/** CSV files: separators, headers, quotes, rows that are out of order, and what is refused as a whole. */
import t from 'tap'
import { items, faultsOf, readRows, refusal, sourceOf, valuesOf } from './fixture.ts'

const source = sourceOf([items.id, items.name, items.count])
const folder = t.testdir()
const read = (content: string, of = source) => readRows(folder, 'a.csv', content, of)

t.test('headers: local name, id, name or label, in any order, below a title', async (t) => {
  const mapped = sourceOf([items.id, items.name, items.count], {
    columns: [
      { item: items.id, column: 'BH' },
      { item: items.name, column: 'XM' },
      { item: items.count, column: 'SL' },
    ],
  })
  for (const header of ['bh,xm,sl', ' 编号 ,姓名(必填),数量', 'ID,full_name *,Quantity', '\uff22\uff28,Name,count', 'BH,姓名,count'])
    t.same(valuesOf(await read(`${header}\n1,张三,5\n`, mapped)), [[2, '1', '张三', '5']], header)
  t.same(valuesOf(await read('东莞市人员表,,\n\n数量,姓名,编号\n5,张三,1\n')), [[4, '1', '张三', '5']])
  t.same(valuesOf(await read('\ufeff编号,姓名\r\n1,张三\r\n')), [[2, '1', '张三', null]], 'an item that need not be there')
  t.same(await read('编号,姓名\n'), [], 'no rows')
})

t.test('of two columns with one label each is told by a name that is its own', async (t) => {
  const twins = sourceOf([items.id, items.name, { ...items.name, id: 'former', name: 'former', required: false }])
  t.same(valuesOf(await read('id,full_name,former\n1,a,b\n', twins)), [[2, '1', 'a', 'b']])
  t.match(await refusal(read('编号,name,姓名\n1,a,b\n', twins)), /line 1: .*several columns have this name: C 姓名/)
  const misnamed = { ...items.name, name: 'count' }
  const crossed = sourceOf([items.id, misnamed, items.count], {
    columns: [
      { item: items.id, column: 'id' },
      { item: misnamed, column: 'xm' },
      { item: items.count, column: 'sl' },
    ],
  })
  t.same(valuesOf(await read('id,name,count\n1,a,2\n', crossed)), [[2, '1', 'a', '2']], 'an id goes before a name')
})

t.test('headers that are missing, unknown or there twice are all named', async (t) => {
  t.equal(
    await refusal(read('编号,传真,数量,quantity,操作\n', sourceOf([items.id, items.name, items.count], { whole: true }))),
    '第 1 行: 缺少列:姓名 (full_name);整表文件不能有操作列:E 操作;不认识的列:B 传真;重复的列:D quantity / line 1: columns missing: 姓名 (full_name); a file of the whole table has no operations: E 操作; unknown columns: B 传真; columns there twice: D quantity',
  )
  t.match(await refusal(read(`${'x\n'.repeat(20)}编号,姓名\n1,张三\n`)), /line 1: .*no header within the first 20 rows: 编号 \(id\), /)
  t.equal(await refusal(read(`${'x\n'.repeat(19)}编号,姓名\n1,张三\n`)), '1 rows')
  t.match(await refusal(read('')), /no header/)
  t.match(await refusal(read(`编号,姓名,${'长'.repeat(100)}\n`)), /unknown columns: C 长{40}…$/)
  t.match(await refusal(readRows(folder, 'a.doc', 'x', source)), /^文件: .* \/ file: .*ending "\.doc"/)
})

t.test('separators are found, or configured', async (t) => {
  for (const separator of [',', ';', '\t', '|', '\uff0c']) {
    const text = ['编号', '姓名', '数量'].join(separator) + `\n${['1', 'a b', '5'].join(separator)}\n`
    t.same(valuesOf(await read(text)), [[2, '1', 'a b', '5']], JSON.stringify(separator))
  }
  t.same(valuesOf(await read('编号;姓名\n1;张,三,四\n')), [[2, '1', '张,三,四', null]])
  t.same(valuesOf(await read('说明,很多,逗号,的,标题\n编号|姓名\n1|a\n')), [[3, '1', 'a', null]], 'a title with other separators')
  t.match(await refusal(read('编号,姓名\n1,a\n', sourceOf([items.id, items.name], { format: { separator: ';' } }))), /no header/)
})

t.test('quotes, line ends, blank lines; rows are numbered by the line on which they begin', async (t) => {
  const text = '编号,姓名\r\n\r\n"1","张""三,\n四"\r\n ,\r\n2,"x"\n3,6"管\r4,""\n5,末'
  t.same(valuesOf(await read(text)), [
    [3, '1', '张"三,\n四', null],
    [6, '2', 'x', null],
    [7, '3', '6"管', null],
    [8, '-'],
    [9, '5', '末', null],
  ])
})

t.test('a row with too many or too few cells is a fault of its own, and its key is not known', async (t) => {
  const rows = await read('编号,姓名,数量,\n1,a,5,\n2,a\n3,a,5,,\n4,a,5,x\n5,a,5\n6,a,5,,,\n')
  t.same(valuesOf(rows), [
    [2, '1', 'a', '5'],
    [3, '-'],
    [4, '3', 'a', '5'],
    [5, '-'],
    [6, '5', 'a', '5'],
    [7, '6', 'a', '5'],
  ])
  t.same(faultsOf(rows), [
    '3: - - 有 2 个单元格,表头有 3 个 / it has 2 cells, the header has 3',
    '5: - - 有 4 个单元格,表头有 3 个 / it has 4 cells, the header has 3',
  ])
  t.equal(rows[1]!.key, undefined)
  t.match(rows[1]!.faults, [{ code: 'QZ-ROW-FORM' }])
  t.match(faultsOf(await read('编号,,姓名\n1,x,a\n')), [/^2: - - .*column B has no header, but holds "x"$/])
})

t.test('the header again within the rows is a fault of its own', async (t) => {
  const rows = await read('编号,姓名\n1,a\n 编号 ,NAME\n2,b\n编号,a\n')
  t.same(valuesOf(rows), [
    [2, '1', 'a', null],
    [3, '-'],
    [4, '2', 'b', null],
    [5, '编号', 'a', null],
  ])
  t.same(faultsOf(rows), ['3: - - 表头再次出现 / the header is there again'])
})

t.test('text behind a quoted cell: that row alone; a quote that does not end: the whole file', async (t) => {
  const rows = await read('编号,姓名\n1,"a"b\n2,b\n')
  t.same(faultsOf(rows), ['2: - - 引号之后还有内容 / text follows a closing quote'])
  t.same(valuesOf(rows)[1], [3, '2', 'b', null])
  t.match(await refusal(read('编号,姓名\n1,a\n2,"b\n3,c\n')), /^第 3 行: .* \/ line 3: .*a quote is not closed/)
})

t.test('rows that are too long: alone where they end, else the whole file; memory is bounded', async (t) => {
  const long = 'x'.repeat(3 << 20)
  const rows = await read(`编号,姓名\n1,a\n2,${'汉,'.repeat(1 << 20)}\n3,${long.replaceAll('xx', 'x ')}\n4,d\n`)
  t.same(valuesOf(rows), [
    [2, '1', 'a', null],
    [3, '-'],
    [4, '-'],
    [5, '4', 'd', null],
  ])
  t.match(faultsOf(rows), [/^3: .*longer than 1048576 characters$/, /^4: .*longer than 1048576 characters$/])
  t.match(await refusal(read(`编号,姓名\n1,"${'x '.repeat(2 << 20)}"\n`)), /line 2: .*a quote is not closed, or holds more/)
  t.match(await refusal(read(`编号,姓名\n1,${long}`)), /no lines/)
})

t.test('operations: of changes only', async (t) => {
  const rows = await read('qz_op,编号,姓名,数量\nu,1,a,1\nD,2,,x\n新增,3,c,\n删除,4,,\n修改,5,e,\n,6,f,\n撤销,7,g,\n')
  t.same(
    rows.map(({ number, op, row, key }) => [number, op, row?.[1] ?? null, key?.[0]]),
    [
      [2, 'u', 'a', '1'],
      [3, 'd', null, '2'],
      [4, 'u', 'c', '3'],
      [5, 'd', null, '4'],
      [6, 'u', 'e', '5'],
      [7, 'u', 'f', '6'],
      [8, 'u', 'g', '7'],
    ],
  )
  t.match(faultsOf(rows), [/^7: .*the operation "" is/, /^8: .*the operation "撤销" is neither u nor d$/])
  t.match(await refusal(read('qz_op,编号,姓名\n', sourceOf([items.id, items.name], { whole: true }))), /has no operations: A qz_op/)
})
