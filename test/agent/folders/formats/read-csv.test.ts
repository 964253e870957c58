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

t.test('rows above the header are refused, wherever sorting has put it; titles are not', async (t) => {
  const rows = Array.from({ length: 24 }, (_, n) => `${10_000 + n},张三,${n}`)
  const sorted = (at: number) => [...rows.slice(0, at), '编号,姓名,数量', ...rows.slice(at)].join('\n')
  for (const at of [1, 2, 15, 19]) t.match(await refusal(read(sorted(at))), /line 1: .*looks like one of the rows/, `behind ${at} rows`)
  t.match(await refusal(read([...rows.slice(0, 5), '编号,姓名,数量', ''].join('\n'))), /looks like one of the rows/, 'behind all of them')
  t.match(await refusal(read('x1,张三,many\n编号,姓名,数量\nx2,李四,2\n')), /looks like one of the rows/, 'one with a fault')
  t.match(await refusal(read('1,张三,\n编号,姓名,数量\n2,李四,\n')), /looks like one of the rows/, 'one with an empty cell')
  for (const title of ['人员表', '人员表,,', '填报单位:统计局,2026年11月,单位:人', ',,2026-11'])
    t.equal(await refusal(read(`${title}\n编号,姓名,数量\n1,张三,2\n`)), '1 rows', title)
})

t.test('rows that are none: sums, remarks, types, a header in the other language', async (t) => {
  const faults = async (row: string, of = source) => faultsOf(await read(`编号,姓名,数量\n1,张三,2\n${row}\n`, of))[0]
  for (const row of ['合计,,2', '总 计,,2', '注:本表不含外籍,,', '填表人:李四,,', 'Total,,3'])
    t.match(await faults(row), /is a sum or a remark|a value is required/, row)
  const optional = sourceOf([items.id, { ...items.name, required: false }, items.count])
  for (const row of ['合计,,2', '合计\uff1a,,2', '注\uff1a本表不含外籍,,', '注:本表不含外籍,,'])
    t.match(await faults(row, optional), /is a sum or a remark/, `${row}, nothing else is required`)
  for (const row of ['varchar(18),varchar,int', 'varchar\uff0818\uff09,varchar,int']) t.match(await faults(row), /names the types/, row)
  t.match(await faults('id,full_name,quantity'), /the header is there again/)
  for (const row of ['合计,全市,2', '注册,李四,2', 'int,李四,2']) t.equal(await faults(row), undefined, row)
})

t.test('marks of other programs: named, or taken where the folder says so', async (t) => {
  const optional = (marks?: 'take') =>
    sourceOf([items.id, { ...items.name, required: false }, items.count], { format: marks ? { marks } : {} })
  const cellOf = async (cell: string, marks?: 'take') => {
    const rows = await read(`编号,姓名,数量\n1,${cell},2\n`, optional(marks))
    return faultsOf(rows)[0] ?? rows[0]!.row![1]
  }
  const marked: [cell: string, mark: string, meant: string | null][] = [
    ['\\N', '\\N', null],
    ['="000123"', '="…"', '000123'],
    ['"=""000123"""', '="…"', '000123'],
    ['440106\t', 'U+0009', '440106'],
    ['\t44010X\t', 'U+0009', '44010X'],
  ]
  for (const [cell, mark, meant] of marked) {
    t.ok(String(await cellOf(cell)).includes(`it holds ${mark}, by which`), JSON.stringify(cell))
    t.equal(await cellOf(cell, 'take'), meant)
  }
  t.equal(await cellOf('\\Nx'), '\\Nx')
  const ended = '编号,姓名,数量\n1,a,2\n\u001a'
  t.match(await refusal(read(ended)), /its last byte is 0x1A/)
  t.equal(await refusal(read(ended, optional('take'))), '1 rows')
})

t.test('texts that are none: characters that were lost, pictures, joined files', async (t) => {
  const faults = async (cell: string) => faultsOf(await read(`编号,姓名,数量\n1,${cell},2\n`))[0]
  t.match(await faults('张\ufffd'), /U\+FFFD/)
  t.match(await faults('"=DISPIMG(""ID_1"",1)"'), /a picture/)
  const joined = '3: - - 行首有字节顺序标记：多个文件被拼接在一起 / it begins with a byte order mark: files were put together'
  t.same(faultsOf(await read('\ufeff编号,姓名,数量\n1,a,2\n\ufeff2,b,3\n')), [joined])
})

t.test('headers that are missing, unknown or there twice are all named', async (t) => {
  t.equal(
    await refusal(read('编号,传真,数量,quantity,操作\n', sourceOf([items.id, items.name, items.count], { whole: true }))),
    '第 1 行: 缺少列：姓名 (full_name)；整表文件不能有操作列：E 操作；不认识的列：B 传真；重复的列：D quantity / line 1: columns missing: 姓名 (full_name); a file of the whole table has no operations: E 操作; unknown columns: B 传真; columns there twice: D quantity',
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
    '3: - - 有 2 个单元格，表头有 3 个 / it has 2 cells, the header has 3',
    '5: - - 有 4 个单元格，表头有 3 个 / it has 4 cells, the header has 3',
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
