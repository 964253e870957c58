/** Excel files: which sheet, what cells say, and what is refused with its place. */
import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readFileRows } from '../../../../agent/folders/formats/read-file.ts'
import { writeWorkbook } from '../../../../protocol/excel/write.ts'
import type { Item } from '../../../../protocol/schema.ts'
import { entriesOf, workbook, zip, type Parts } from '../../../protocol/excel/files.ts'
import { faultsOf, items, readRows, refusal, sourceOf, valuesOf } from './fixture.ts'

const source = sourceOf([items.id, items.name, items.count, items.born])
const folder = t.testdir()
const read = (bytes: Buffer, of = source) => readRows(folder, 'a.xlsx', bytes, of)
const cell = (text: string | null): string =>
  text === null ? '<c/>' : text.startsWith('<c') ? text : `<c t="inlineStr"><is><t>${text}</t></is></c>`
const row = (number: number, ...cells: (string | null)[]): string => `<row r="${number}">${cells.map(cell).join('')}</row>`
const book = (rows: string[], parts: Parts = {}): Buffer => workbook({ ...parts, sheets: { 人员: rows.join('') } })
const header = row(1, '编号', '姓名(必填)', '数量', '出生日期')

t.test('rows, blank ones left out, numbered as in the sheet', async (t) => {
  const bytes = book([
    row(1, '人员表'),
    row(3, '编号', '姓名', null, '出生日期'),
    row(4, '1', '张三', null, '2026/1/2'),
    row(6, ' '),
    row(9, '2', '李四'),
  ])
  const rows = await read(bytes)
  t.same(valuesOf(rows), [
    [4, '1', '张三', null, '2026-01-02'],
    [9, '2', '李四', null, null],
  ])
  t.same(faultsOf(await read(book([header, row(2, '1', 'a', '5', null, 'x')]))), [
    '2: - - E 列没有表头，却有内容“x” / column E has no header, but holds "x"',
  ])
})

t.test('numbers, dates and what a formula gave; the first visible sheet, or the named one', async (t) => {
  const cells = row(2, '<c><v>440106</v></c>', '<c t="str"><f>B9</f><v>张三</v></c>', '<c><v>5</v></c>', '<c s="1"><v>46348</v></c>')
  t.same(valuesOf(await read(book([header, cells], { formats: [14], application: 'WPS 表格' }))), [
    [2, '440106', '张三', '5', '2026-11-22'],
  ])
  const column = (header: string) => ({ header })
  const columns = [column('编号'), column('姓名')]
  const two = await writeWorkbook({
    sheets: [
      { name: '说明', columns: [column('填写说明')], rows: [['先看这里']] },
      { name: '数据', columns, rows: [['1', '=a']] },
    ],
  })
  t.match(await refusal(read(two)), /^说明!1: .*no header/)
  t.same(valuesOf(await read(two, sourceOf([items.id, items.name], { format: { sheet: '数据' } }))), [[2, '1', '=a']])
  t.match(await refusal(read(two, sourceOf([items.id], { format: { sheet: '没有' } }))), /there is no sheet 没有/)
})

t.test('a text is what a person reads in its cell; another number than its value, or a part of it, is none', async (t) => {
  const read1 = async (format: string, value: string, of: Item = items.name) => {
    const column = of.label
    const bytes = book(
      [
        row(1, '编号', ...(of === items.name ? [column] : ['姓名', column])),
        row(2, '1', ...(of === items.name ? [] : ['a']), `<c s="1"><v>${value}</v></c>`),
      ],
      { formats: [format] },
    )
    const rows = await read(bytes, sourceOf([items.id, items.name, ...(of === items.name ? [] : [of])]))
    return faultsOf(rows)[0]?.replace(/.* \/ /, '') ?? rows[0]!.row!.at(-1)
  }
  const held = (value: string) => `it holds "${value}", and its format shows something else: format it as text or general`
  const texts: [string, string, string][] = [
    ['General', '10010.0', '10010'],
    ['000000', '10010', '010010'],
    ['0.00', '19.5', '19.50'],
    ['#,##0', '10010', '10010'],
    ['0%', '0.5', '50%'],
    ['"第"0"号"', '5', '第5号'],
    ['000-0000', '7654321', '765-4321'],
    ['yyyy/m/d', '46348', '2026-11-22'],
    ['h:mm', '0.5', '12:00:00'],
    ['0', '10010.4', held('10010.4')],
    ['0.0,', '12345', held('12345')],
    ['0%', '0.505', held('0.505')],
    ['[DBNum1]General', '5', held('5')],
    ['[=1]"男";[=2]"女"', '1', held('1')],
    ['0.00E+00', '12345', held('12345')],
    ['yyyy"年"m"月"', '46348', held('2026-11-22')],
    ['aaaa', '46348', held('2026-11-22')],
    ['yyyy/m/d', '46348.5', held('2026-11-22T12:00:00')],
    ['h:mm', '0.50001157', held('12:00:01')],
  ]
  for (const [format, value, wanted] of texts) t.equal(await read1(format, value), wanted, `${format} of ${value}`)
  const others: [Item, string, string, string][] = [
    [items.count, '000000', '10010', '10010'],
    [items.count, '"第"0"号"', '5', '5'],
    [items.count, '0"万"', '5', held('5')],
    [items.price, '0.0', '19.46', '19.46'],
    [items.price, '0%', '0.5', held('0.5')],
    [items.price, '0.0,', '12300', held('12300')],
    [items.price, '0;0', '-5', held('-5')],
    [items.born, 'aaaa', '46348', '2026-11-22'],
  ]
  for (const [item, format, value, wanted] of others)
    t.equal(await read1(format, value, item), wanted, `${format} of ${value} as ${item.type}`)
  const key = book([row(1, '编号', '姓名'), row(2, '<c s="1"><v>10010</v></c>', 'a'), row(3, '<c s="1"><v>1.5</v></c>', 'b')], {
    formats: ['000000'],
  })
  t.same(
    (await read(key, sourceOf([items.id, items.name]))).map(({ key }) => key?.[0]),
    ['010010', undefined],
  )
})

t.test('refused with the place: long numbers, formulas without a value, errors, merged cells', async (t) => {
  const refused = (...cells: string[]) => refusal(read(book([header, row(2, ...cells)])))
  t.match(await refused('<c><v>4.4010619850512E+17</v></c>', 'a'), /^人员!A2: .*more than 15 digits/)
  t.match(await refused('<c><v>440106198505120017</v></c>', 'a'), /^人员!A2: .*文本格式/)
  t.match(await refused('1', '<c><f>1+1</f></c>'), /^人员!B2: .*no result/)
  t.match(await refused('1', '<c t="e"><v>#REF!</v></c>'), /^人员!B2: .*#REF!/)
  const merged = (range: string) => ({ behind: `<mergeCells><mergeCell ref="${range}"/></mergeCells>` })
  const rows = [row(1, '人员表'), header.replace('r="1"', 'r="2"'), row(3, '1', 'a')]
  t.match(await refusal(read(book(rows, merged('A3:A4')))), /^人员!A3:A4: .*may not be merged/)
  t.equal(await refusal(read(book(rows, merged('A1:D1')))), '1 rows', 'a title')
})

t.test('headers: missing, unknown, there twice, there again', async (t) => {
  t.match(
    await refusal(read(book([row(1, '编号', '编号', '传真')]))),
    /^人员!1: .*columns missing: 姓名 \(full_name\); unknown columns: C 传真; columns there twice: B 编号/,
  )
  const again = await read(book([header, row(2, '1', 'a'), row(3, '编号', '姓名', '数量', '出生日期'), row(4, '2', 'b')]))
  t.same(faultsOf(again), ['3: - - 表头再次出现 / the header is there again'])
  t.match(await refusal(read(book([]))), /no header/)
})

t.test('a second visible sheet of the same table is refused, unless one is named', async (t) => {
  const rows = [header, row(2, '1', 'a')].join('')
  const two = (second: string) => workbook({ sheets: { 人员: rows, 人员2: second } })
  t.match(await refusal(read(two(rows))), /人员2: .*the header of sheet "人员" and rows too/)
  t.equal(await refusal(read(two(header))), '1 rows', 'a header alone')
  t.equal(await refusal(read(two(row(1, '编号', '说明')))), '1 rows', 'another table')
  t.equal(
    await refusal(read(two(rows), sourceOf([items.id, items.name, items.count, items.born], { format: { sheet: '人员' } }))),
    '1 rows',
  )
})

t.test('archive bombs, and what is no workbook', async (t) => {
  const small = sourceOf([items.id, items.name, items.count, items.born], { format: { unpackedLimit: 1 << 20 } })
  t.match(await refusal(read(book([header, '<row/>'.repeat(1 << 20)]), small)), /^文件: .* \/ file: .*100 to 1/)
  const lying = entriesOf({}).map((entry) =>
    entry.name.endsWith('sheet1.xml') ? { ...entry, data: `<a>${'<row/>'.repeat(1 << 20)}</a>`, declared: { size: 500_000 } } : entry,
  )
  t.match(await refusal(read(zip(lying))), /damaged: too many bytes/)
  t.match(await refusal(read(book([header]).subarray(0, 700))), /damaged/)
  t.match(await refusal(read(Buffer.from('编号,姓名\n'))), /not an \.xlsx file/)
  const old = Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(600)])
  t.match(await refusal(read(old)), /old \.xls file/)
  t.match(await refusal(read(Buffer.concat([old, Buffer.from('EncryptedPackage', 'utf16le')]))), /encrypted/)
  t.match(await refusal(readRows(folder, 'a.xls', old, source)), /old \.xls file/)
})

t.test('a row that is too long in a cell names the cell', async (t) => {
  t.match(await refusal(read(book([header, row(2, '1', 'x'.repeat(32_768))]))), /^人员!B2: .*32767 characters/)
})

t.test(
  'what the system says while it is read is no fault of the file',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async (t) => {
    const folder = t.testdir()
    const path = join(folder, 'a.xlsx')
    const columns = [{ header: '编号' }, { header: '姓名' }]
    const rows = Array.from({ length: 20_000 }, (_, i) => [String(i), randomUUID().slice(0, 10)])
    writeFileSync(path, await writeWorkbook({ sheets: [{ name: '数据', columns, rows }] }))
    const reading = readFileRows({ path, source: sourceOf([items.id, items.name]), signal: new AbortController().signal })
    await reading.next()
    // Its descriptor cannot be read any more: as when a share is gone.
    const descriptor = readdirSync('/proc/self/fd').find((fd) => linkOf(fd) === path)!
    closeSync(Number(descriptor))
    t.equal(openSync(join(folder, 'b'), 'w'), Number(descriptor), 'the descriptor is another file, to be written only')
    await t.rejects(Array.fromAsync(reading), { code: 'EBADF', syscall: 'read' })
  },
)

function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return undefined
  }
}
