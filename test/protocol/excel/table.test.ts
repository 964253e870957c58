import t from 'tap'
import type { QianzhiError } from '../../../protocol/errors.ts'
import { readWorkbook } from '../../../protocol/excel/read.ts'
import { readTable, type TableColumn, type TableOptions } from '../../../protocol/excel/table.ts'
import { writeWorkbook } from '../../../protocol/excel/write.ts'
import { excelRefusal, workbook } from './files.ts'

type Key = 'code' | 'name' | 'phone'
const columns: TableColumn<Key>[] = [
  { key: 'code', headers: ['机构代码', 'Code'], required: true },
  { key: 'name', headers: ['机构名称', 'Name'], required: true },
  { key: 'phone', headers: ['电话', 'Phone'] },
]

async function read(bytes: Buffer, options?: TableOptions, of = columns) {
  const book = await readWorkbook(bytes)
  const rows: [number, Record<Key, string | null>][] = []
  try {
    for await (const { number, values } of readTable(book, of, options)) rows.push([number, values])
    return rows
  } finally {
    book.close()
  }
}

const row = (n: number, ...cells: (string | null)[]): string =>
  `<row r="${n}">${cells.map((text) => (text === null ? '<c/>' : `<c t="inlineStr"><is><t>${text}</t></is></c>`)).join('')}</row>`
const sheet = (rows: string[], behind = '') => workbook({ sheets: { 机构: rows.join('') }, behind })

t.test('columns are found by either language, in any order, below a merged title', async (t) => {
  const title = '<mergeCells><mergeCell ref="A1:C1"/></mergeCells>'
  const rows = [
    row(1, '东莞市机构'),
    row(3, 'PHONE', ' 机构 名称 *', 'code(必填)'),
    row(4, null, ' 民政局 ', '0071'),
    row(9, ' '),
    row(30, '1', 'b', 'c'),
  ]
  t.same(await read(sheet(rows, title)), [
    [4, { code: '0071', name: '民政局', phone: null }],
    [30, { code: 'c', name: 'b', phone: '1' }],
  ])
  const written = await writeWorkbook({
    sheets: [{ name: 'x', columns: [{ header: 'Name' }, { header: '机构代码' }], rows: [['水务局', '1']] }],
  })
  t.same(await read(written), [[2, { code: '1', name: '水务局', phone: null }]])
  t.same(await read(sheet([row(1, 'code', 'name')])), [], 'no rows')
})

t.test('an older workbook, whose header has ASCII punctuation, is read', async (t) => {
  const renamed: TableColumn<Key>[] = [{ key: 'code', headers: ['代码\uff08单位\uff1a条\uff09', 'Code'], required: true }]
  t.same(await read(sheet([row(1, '代码(单位:条)'), row(2, '1')]), {}, renamed), [[2, { code: '1' }]])
})

t.test('a row that was sorted above the header is no title', async (t) => {
  const sorted = sheet([
    row(1, '填报单位:', '民政局', '2026'),
    row(2, '0071', '民政局', '1'),
    row(3, 'code', 'name', 'phone'),
    row(4, '0072', '水务局'),
  ])
  t.match(await excelRefusal(read(sorted)), /机构!2.*表头（第 3 行）之上.*above the header/)
  const faults: QianzhiError[] = []
  t.same(await read(sorted, { onFault: (fault) => faults.push(fault) }), [[4, { code: '0072', name: '水务局', phone: null }]])
  t.equal(faults.length, 1, 'it is told, and nothing is taken in silence')
})

t.test('headers that are missing, unknown or there twice are all named', async (t) => {
  const refused = await excelRefusal(read(sheet([row(1, '机构代码', 'Code', '传真', '电话')])))
  t.equal(
    refused,
    '机构: 缺少列：机构名称 (Name)；不认识的列：C1 传真；重复的列：B1 Code / 机构: columns missing: 机构名称 (Name); unknown columns: C1 传真; columns there twice: B1 Code',
  )
  t.match(await excelRefusal(read(sheet([row(1, 'a'), row(25, 'code', 'name')]))), /^机构: .*no header.*机构代码 \(Code\)/)
  t.match(await excelRefusal(read(sheet([]))), /no header/)
  t.match(await excelRefusal(read(sheet([row(1, 'code', 'name')]), { sheet: '人员' })), /no sheet 人员/)
})

t.test('faults name the cell; all of them are given to whoever asks', async (t) => {
  const bytes = sheet([row(1, 'code', 'name'), row(2, 'a'), row(3, 'b', 'B', 'c'), row(4, 'd', 'D')])
  t.match(await excelRefusal(read(bytes)), /^机构!B2: 必填/)
  const faults: QianzhiError[] = []
  t.same(await read(bytes, { onFault: (fault) => faults.push(fault) }), [[4, { code: 'd', name: 'D', phone: null }]])
  t.same(
    faults.map(({ details }) => details['where']),
    ['机构!B2', '机构!C3'],
  )
  const book = await readWorkbook(sheet([row(1, 'code', 'name'), row(2, 'a', 'A')]))
  for await (const { fault } of readTable(book, columns)) {
    t.match(fault('name', '已存在', 'it exists').details, { where: '机构!B2', reason: { zh: '已存在', en: 'it exists' } })
    t.equal(fault('phone', '缺', 'none').details['where'], '机构!2', 'a column that is not there')
  }
})

t.test('merged cells of the table are refused: all their values but one are not there', async (t) => {
  const rows = [row(1, 'code', 'name'), row(2, 'a', 'A'), row(3, 'b', 'B')]
  const merged = (range: string) => excelRefusal(read(sheet(rows, `<mergeCells><mergeCell ref="${range}"/></mergeCells>`)))
  t.match(await merged('A2:A3'), /^机构!A2:A3: .*merged/)
  t.match(await merged('A1:B1'), /^机构!A1:B1: /)
})
