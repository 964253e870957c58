import assert from 'node:assert/strict'
import { Workbook } from '@cj-tech-master/excelts'
import fc from 'fast-check'
import t from 'tap'
import { readWorkbook } from '../../../protocol/excel/read.ts'
import { writeWorkbook, type WrittenColumn } from '../../../protocol/excel/write.ts'
import { readAll } from './files.ts'

const columns: WrittenColumn[] = [
  { header: '身份证件号码', width: 22, note: { zh: '18 位', en: '18 places' } },
  { header: '日期', format: 'date' },
  { header: '金额', format: 'number' },
  { header: '类型', list: ['有,逗号', '"引号"', 'x'.repeat(300)] },
]

t.test('what is written is read again', async (t) => {
  const rows = [
    ['441900198505120000', '2026-11-22', '12.5', '有,逗号'],
    ['007', '1900-01-01', '123456789012345678', ''],
    ['=1+1', '明天', '1e5', '+86'],
    ['-1', null, '-0.001', '@x'],
    [' a\nb ', '9999-12-31', '999999999999999', '_x0041_\r\0'],
  ]
  const bytes = await writeWorkbook({ sheets: [{ name: '人员[1]/'.padEnd(40, '长'), columns, rows }] })
  const [sheet, lists] = (await readAll(bytes, { formulas: 'refuse' })) as unknown[][]
  t.same(sheet![0], '人员_1__'.padEnd(31, '长'))
  t.same(sheet![1], [1, ...columns.map(({ header }) => header)])
  t.same(
    sheet!.slice(2),
    rows.map((row, i) => [i + 2, ...row]),
  )
  t.same(lists, ['_lists', [1, '有,逗号'], [2, '"引号"'], [3, 'x'.repeat(300)]])
})

t.test('as another program reads it: types, formats, lists, notes, frozen header, hidden lists', async (t) => {
  const rows = [['441900198505120000', '2026-11-22', '12.5', 'x']]
  const book = new Workbook()
  await book.xlsx.load(await writeWorkbook({ sheets: [{ name: 'a', columns, rows }] }))
  const [sheet, lists] = [book.getWorksheet('a')!, book.getWorksheet('_lists')!]
  t.equal(sheet.getCell('A2').value, '441900198505120000')
  t.equal(sheet.getCell('A2').numFmt, '@')
  t.equal(sheet.getCell('A500').numFmt, '@', 'rows to be filled in are text too')
  t.same(sheet.getCell('B2').value, new Date('2026-11-22T00:00:00Z'))
  t.equal(sheet.getCell('C2').value, 12.5)
  t.match(sheet.getCell('D9000').dataValidation, { type: 'list', formulae: ['_lists!$A$1:$A$3'] })
  t.match(JSON.stringify(sheet.getCell('A1').note), /18 位/)
  t.match(sheet.views, [{ state: 'frozen', ySplit: 1 }])
  t.equal(lists.state, 'hidden')
})

t.test('every character comes back', async (t) => {
  const texts: string[] = []
  for (let from = 0; from < 0x110000; from += 0x100) {
    const points = Array.from({ length: 0x100 }, (_, n) => from + n).filter((point) => point < 0xd800 || point > 0xdfff)
    if (points.length > 0) texts.push(points.map((point) => `a${String.fromCodePoint(point)}`).join(''))
  }
  const book = await readWorkbook(
    await writeWorkbook({ sheets: [{ name: 'a', columns: [{ header: 'x' }], rows: texts.map((text) => [text]) }] }),
  )
  const wrong: string[] = []
  for await (const { number, cells } of book.sheets[0]!.rows()) {
    const text = number > 1 ? texts[number - 2] : 'x'
    if (cells[0] !== text) wrong.push(JSON.stringify(text))
  }
  book.close()
  t.same(wrong, [])
})

t.test('any text comes back as it was, but for halves of characters', async (t) => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.stringMatching(/^[=+\-@_x0-9A-F& <>"'\t\n]{0,12}$/),
    fc.integer().map(String),
    fc
      .date({ min: new Date('1800-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((date) => date.toISOString().slice(0, 10)),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  )
  const row = fc.tuple(text, fc.option(text), fc.option(text), text)
  const held = (value: string | null) => value?.toWellFormed() ?? null
  const property = fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 30 }), async (rows) => {
      const book = await readWorkbook(await writeWorkbook({ sheets: [{ name: 'a', columns, rows }] }), { formulas: 'refuse' })
      const read: unknown[] = []
      for await (const { cells } of book.sheets[0]!.rows()) read.push(cells)
      assert.deepEqual(
        read.slice(1),
        rows.map((cells) => cells.map(held)),
      )
    }),
    { numRuns: 60 },
  )
  await t.resolves(property)
})
