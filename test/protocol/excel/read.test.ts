import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { entriesOf, excelRefusal, firstRow, readAll, workbook, zip, type Parts } from './files.ts'

/** Saved by a program that calculates. */
const excel: Parts = { application: 'Microsoft Excel' }

/** The cells of one row. */
async function cells(row: string, parts: Parts = {}): Promise<unknown[]> {
  const [sheet] = await readAll(firstRow(row, parts))
  return ((sheet as unknown[])[1] as unknown[]).slice(1)
}

t.test('sheets come in the order of the workbook, not of their files', async (t) => {
  const row = (text: string) => `<row><c t="inlineStr"><is><t>${text}</t></is></c></row>`
  const sheets = { 人员: row('a'), 单位: row('b') }
  t.same(await readAll(workbook({ sheets })), [
    ['人员', [1, 'a']],
    ['单位', [1, 'b']],
  ])
  const path = join(t.testdir(), 'two.xlsx')
  writeFileSync(path, workbook({ sheets }))
  t.same((await readAll(path)).length, 2, 'from a file')
})

t.test('hidden sheets are marked; chart sheets are left out; prefixes do not matter', async (t) => {
  const { readWorkbook } = await import('../../../protocol/excel/read.ts')
  const entries = entriesOf({ sheets: { a: '<row><c><v>1</v></c></row>', b: '' } }).map((entry) => ({ ...entry, data: String(entry.data) }))
  const [book, relationships] = [entries[1]!, entries[2]!]
  book.data = book.data.replace('sheetId="2"', 'sheetId="2" state="veryHidden"').replace('</sheets>', '<sheet name="c" r:id="c"/></sheets>')
  relationships.data = relationships.data.replace('</Rel', '<Relationship Id="c" Type="x/chartsheet" Target="c.xml"/></Rel')
  const sheet = entries.find(({ name }) => name.endsWith('sheet2.xml'))!
  sheet.data = sheet.data.replace('xmlns=', 'xmlns:x=').replace(/<(\/?)(?=[a-z])/g, '<$1x:')
  const opened = await readWorkbook(zip(entries))
  t.same(
    opened.sheets.map(({ name, hidden }) => [name, hidden]),
    [
      ['a', false],
      ['b', true],
    ],
  )
  opened.close()
  t.same((await readAll(zip(entries)))[0], ['a', [1, '1']])
})

t.test('texts: shared, rich, phonetic, escaped, inline, of formulas', async (t) => {
  const texts = `<si><t xml:space="preserve"> a </t></si><si><r><t>东</t></r><r><rPr/><t>莞</t></r><rPh sb="0" eb="1"><t>ㄉ</t></rPh></si>
    <si><t>x_x000D_y_x005F_x0041_</t></si><si><t/></si>`
  const row = [0, 1, 2, 3].map((n) => `<c t="s"><v>${n}</v></c>`).join('')
  t.same(await cells(row, { texts }), [' a ', '东莞', 'x\ry_x0041_', ''])
  t.same(await cells('<c t="inlineStr"><is><r><t>a&amp;</t></r><r><t>b</t></r></is></c><c t="str"><f>A1</f><v>c</v></c>', excel), [
    'a&b',
    'c',
  ])
  t.match(await excelRefusal(readAll(firstRow('<c t="s"><v>7</v></c>'))), /one!A1: .*not there/)
})

t.test('rows and columns: gaps are filled, empty cells and rows are none', async (t) => {
  const sheets = {
    one: '<row r="3"><c r="B3"><v>1</v></c><c r="D3"><v>2</v></c><c r="XFD3" s="0"/></row><row r="4"><c/></row><row><c><v>3</v></c></row>',
  }
  t.same(await readAll(workbook({ sheets })), [['one', [3, null, '1', null, '2'], [5, '3']]])
  for (const wrong of [
    '<row r="2"/><row r="2"/>',
    '<row r="1048577"/>',
    '<row r="1"><c r="A2"/></row>',
    '<row r="1"><c r="B1"/><c r="A1"/></row>',
  ])
    t.match(await excelRefusal(readAll(workbook({ sheets: { one: wrong } }))), /out of/, wrong)
})

t.test('numbers are plain digits, fifteen of them; longer ones are refused by cell', async (t) => {
  const given = [
    '12.50',
    '10010.0',
    '441900.0',
    '1.380013800E10',
    '0012',
    '0.0',
    '0',
    '-0',
    '19.899999999999999',
    '0.30000000000000004',
    '1E-3',
    '1.5e-7',
    '999999999999999',
    '1.2E+3',
    '-0.000001234567890123456',
  ]
  const wanted = [
    '12.5',
    '10010',
    '441900',
    '13800138000',
    '12',
    '0',
    '0',
    '0',
    '19.9',
    '0.3',
    '0.001',
    '0.00000015',
    '999999999999999',
    '1200',
    '-0.00000123456789012346',
  ]
  t.same(await cells(given.map((v) => `<c><v>${v}</v></c>`).join('')), wanted)
  for (const long of ['441900198505120000', '999999999999999.9', '4.4190019850512E+17', '1000000000000000', '-1E15'])
    t.match(await excelRefusal(readAll(firstRow(`<c r="AB1"><v>${long}</v></c>`))), /^one!AB1: .*文本格式.*15 digits/, long)
  t.match(await excelRefusal(readAll(firstRow('<c><v>0x10</v></c>'))), /one!A1: .*not a number/)
})

t.test('dates are told by their style, in both date systems', async (t) => {
  const formats = [14, 22, 20, 31, 'yyyy"年"m"月"d"日"', '[$-804]aaaa;@', '0.00"day"', '[Red]0', 'h:mm', '[h]:mm', 'm/d']
  const row = (...pairs: [style: number, serial: string][]) => pairs.map(([s, v]) => `<c s="${s}"><v>${v}</v></c>`).join('')
  const shown = row(
    [1, '46348'],
    [2, '46348.354166666664'],
    [3, '0.35416666666666669'],
    [4, '46348'],
    [5, '46348'],
    [6, '46348'],
    [7, '46348'],
    [8, '46348'],
    [9, '0.5'],
  )
  const dated = ['2026-11-22', '2026-11-22T08:30:00', '08:30:00', '2026-11-22', '2026-11-22', '2026-11-22', '46348', '46348', '12:00:00']
  t.same(await cells(shown, { formats }), dated)
  const edges = row([1, '1'], [1, '59'], [1, '61'], [1, '2958465'], [1, '46348.25'], [11, '46348.999999999999'], [2, '46348.00000116'])
  const edged = ['1900-01-01', '1900-02-28', '1900-03-01', '9999-12-31', '2026-11-22T06:00:00', '2026-11-23', '2026-11-22T00:00:00.100']
  t.same(await cells(edges, { formats }), edged)
  t.same(await cells(row([1, '0'], [1, '44886'], [3, '0.25']), { formats, date1904: true }), ['1904-01-01', '2026-11-22', '06:00:00'])
  for (const wrong of [row([1, '60']), row([1, '0']), row([1, '-1']), row([1, '2958466']), row([10, '1.5'])])
    t.match(await excelRefusal(readAll(firstRow(wrong, { formats }))), /^one!A1: /, wrong)
  t.same(await cells('<c t="d"><v>2026-11-22T08:30:00.500</v></c><c t="d"><v>2026-11-22</v></c>'), ['2026-11-22T08:30:00.5', '2026-11-22'])
})

t.test('booleans, errors, formulas', async (t) => {
  t.same(await cells('<c t="b"><v>1</v></c><c t="b"><v>0</v></c>'), ['true', 'false'])
  t.match(await excelRefusal(readAll(firstRow('<c/><c t="e"><v>#N/A</v></c>'))), /^one!B1: 错误值 #N\/A/)
  t.same(await cells('<c><f>1+1</f><v>2</v></c>', excel), ['2'])
  t.match(await excelRefusal(readAll(firstRow('<c><f>1+1</f></c>', excel))), /^one!A1: .*no result/)
  t.match(await excelRefusal(readAll(firstRow('<c><f>1+1</f><v>2</v></c>'), { formulas: 'refuse' })), /^one!A1: .*not taken/)
  t.match(
    await excelRefusal(readAll(firstRow('<c t="str"><f>_xlfn.DISPIMG("ID_1",1)</f><v>=DISPIMG("ID_1",1)</v></c>', excel))),
    /a picture/,
  )
})

t.test('formulas that no program has calculated are refused, whoever wrote them', async (t) => {
  const calculators = [
    'Microsoft Excel',
    'Microsoft Macintosh Excel',
    'LibreOffice/24.2.7.2$Linux_X86_64',
    'WPS 表格',
    'WPS Office_12.1.0',
    'ONLYOFFICE',
  ]
  const formula = (value: string) => `<c><f>1+1</f><v>${value}</v></c>`
  for (const application of calculators) t.same(await cells(formula('2'), { application }), ['2'], application)
  const writers: [string, string, Parts][] = [
    ['POI', '0.0', { application: 'Apache POI' }],
    ['POI with a template of Excel', '0.0', excel],
    ['POI, negative and small', '-1.0E-7', excel],
    ['xlsxwriter, openpyxl', '0', { ...excel, calculation: 'calcId="124519" fullCalcOnLoad="1"' }],
    ['another library', '0', { application: 'SheetJS' }],
    ['one that says nothing', '0', {}],
    ['Excel, before it had calculated', '0', { ...excel, calculation: 'calcId="191029" calcCompleted="0"' }],
  ]
  for (const [writer, value, parts] of writers)
    t.match(await excelRefusal(readAll(firstRow(formula(value), parts))), /^one!A1: .*was not calculated/, writer)
})

t.test('limits', async (t) => {
  const rows = workbook({
    sheets: { one: '<row><c><v>1</v></c></row>'.repeat(3), two: '<row/>'.repeat(9) },
    texts: '<si><t>a</t></si>'.repeat(3),
  })
  const over = async (limits: object) => excelRefusal(readAll(rows, { limits }))
  t.match(await over({ rows: 2 }), /^one: .*2 rows/)
  t.match(await over({ sheets: 1 }), /1 sheets/)
  t.match(await over({ texts: 2 }), /2 texts/)
  t.match(await over({ textLength: 2 }), /longer than 2 characters together/)
  t.match(await over({ entries: 3 }), /3 files/)
  t.match(await over({ fileBytes: 100 }), /larger than 100 bytes/)
  t.match(await over({ unpackedBytes: 1000 }), /more than 1000 bytes/)
  t.equal(await over({ rows: 3, sheets: 2, texts: 3, entries: 7, columns: 1, cellLength: 1 }), 'not refused')
  t.match(await excelRefusal(readAll(firstRow('<c r="C1"><v>1</v></c>'), { limits: { columns: 2 } })), /^one!C1: .*2 columns/)
  t.match(await excelRefusal(readAll(firstRow('<c><v>123</v></c>'), { limits: { cellLength: 2 } })), /^one!A1: .*2 characters/)
})

t.test('archives as office programs write them', async (t) => {
  const row = '<row r="1"><c t="inlineStr"><is><t>a</t></is></c></row>'
  const backslashes = entriesOf({ sheets: { one: row } }).map((entry) => ({ ...entry, name: entry.name.replaceAll('/', '\\') }))
  t.same(await readAll(zip(backslashes)), [['one', [1, 'a']]])
  const styled = `<row>${'<c s="0"/>'.repeat(20)}</row>`.repeat(20_000)
  t.same(await readAll(workbook({ sheets: { one: row + styled } })), [['one', [1, 'a']]], 'empty cells, packed by several hundred to one')
})

t.test('archives made to do harm', async (t) => {
  const bomb = '<row/>'.repeat(1 << 20)
  t.match(await excelRefusal(readAll(workbook({ sheets: { one: bomb } }), { limits: { ratioBytes: 1 << 20 } })), /100 to 1/, 'declared')
  const replaced = (name: string, more: object) => zip(entriesOf({}).map((entry) => (entry.name === name ? { ...entry, ...more } : entry)))
  const sheet = 'xl/worksheets/sheet1.xml'
  t.match(
    await excelRefusal(readAll(replaced(sheet, { data: `<a>${bomb}</a>`, declared: { size: 500_000 } }))),
    /damaged: too many bytes/,
    'declared small',
  )
  t.match(await excelRefusal(readAll(replaced(sheet, { declared: { checksum: 1 } }))), /another checksum/)
  t.match(await excelRefusal(readAll(replaced(sheet, { declared: { flags: 0x801 } }))), /encrypted/)
  t.match(await excelRefusal(readAll(replaced(sheet, { declared: { method: 12 } }))), /unsupported way/)
  t.match(await excelRefusal(readAll(replaced(sheet, { data: '<worksheet><sheetData>' }))), /not valid XML/)
  t.match(await excelRefusal(readAll(replaced(sheet, { data: `<a>${'<b>'.repeat(100)}` }))), /nested too deep/)
  t.match(await excelRefusal(readAll(replaced(sheet, { data: Buffer.from('<a>\xff</a>', 'latin1') }))), /not valid XML/)
  const random = randomBytes(3 << 20).toString('hex')
  t.match(await excelRefusal(readAll(replaced(sheet, { data: `<a><!--${random}--></a>` }))), /too long a text/)
  const dtd = `<!DOCTYPE a [<!ENTITY b "${'c'.repeat(99)}">]><worksheet><sheetData/></worksheet>`
  t.match(await excelRefusal(readAll(replaced(sheet, { data: dtd }))), /document type/)
  for (const name of ['../evil.xml', 'xl/../../evil.xml', '/evil.xml', '..\\evil.xml'])
    t.match(await excelRefusal(readAll(zip([...entriesOf({}), { name, data: '' }]))), /damaged/, name)
  t.match(await excelRefusal(readAll(zip([...entriesOf({}), { name: 'XL/workbook.xml', data: '' }]))), /there twice/)
  t.match(await excelRefusal(readAll(workbook({}).subarray(0, 900))), /damaged/)
})

t.test('what is not .xlsx is told what it is', async (t) => {
  const refused = (bytes: string | Buffer) => excelRefusal(readAll(Buffer.from(bytes)))
  const compound = (stream: string) =>
    Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(600), Buffer.from(stream, 'utf16le')])
  t.match(await refused(compound('Workbook')), /旧版 \.xls.*old \.xls/)
  t.match(await refused(compound('EncryptedPackage')), /encrypted/)
  t.match(await refused('编号,名称\n1,a\n'), /CSV/)
  t.match(await refused('\ufeff<html><table>'), /web page/)
  t.match(await refused(''), /CSV/)
  t.match(await refused(zip([{ name: 'word/document.xml', data: '<a/>' }])), /no \.xlsx workbook/)
  const binary = entriesOf({}).map((entry) =>
    entry.name === '_rels/.rels' ? { ...entry, data: String(entry.data).replace('.xml"', '.bin"') } : entry,
  )
  t.match(await refused(zip([...binary, { name: 'xl/workbook.bin', data: 'x' }])), /no \.xlsx workbook/)
})
