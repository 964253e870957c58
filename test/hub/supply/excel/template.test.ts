/** The template, looked at by another library than the one that reads uploads, and brought again as people fill it in. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Workbook } from '@cj-tech-master/excelts'
import t from 'tap'
import type { CatalogItem } from '../../../../hub/registry/catalog/content.ts'
import { catalogVersionOf, check, excelCity, path, standing, take, type ExcelCity } from './fixture.ts'

const bare = { name: '', openness: 'internal' } as const
const items: CatalogItem[] = [
  {
    ...bare,
    id: 'card',
    label: '证件号码',
    type: 'text',
    length: 18,
    key: true,
    example: '11010519491231002X',
    check: { kind: 'identity-number', on: 'warn' },
  },
  { ...bare, id: 'no', label: '序号', type: 'integer', key: true },
  { ...bare, id: 'name', label: '姓名', type: 'text', length: 10, required: true, description: '与证件一致' },
  {
    ...bare,
    id: 'kind',
    label: '类别',
    type: 'text',
    length: 2,
    dictionary: [{ value: '01', label: '低保' }, { value: '02', label: '特困, 供养' }, { value: '9' }],
  },
  { ...bare, id: 'money', label: '金额', type: 'decimal', precision: 12, scale: 2 },
  { ...bare, id: 'large', label: '大额', type: 'decimal', precision: 30, scale: 4 },
  { ...bare, id: 'valid', label: '有效', type: 'boolean' },
  { ...bare, id: 'day', label: '日期', type: 'date' },
  { ...bare, id: 'at', label: '办理时间', type: 'timestamp' },
  { ...bare, id: 'moment', label: '时刻', type: 'timestamptz' },
  { ...bare, id: 'clock', label: '钟点', type: 'time' },
]

const openCity = (test: Parameters<typeof excelCity>[0]) =>
  excelCity(test, (draft) => {
    draft.items = items.map((item) => ({ ...item, name: item.id }))
  })

async function template({ registrar }: ExcelCity, language = 'zh'): Promise<Workbook> {
  const answer = await registrar.get(`${path}/template?language=${language}`)
  const book = new Workbook()
  await book.xlsx.load(answer.bytes)
  return book
}

void t.test('it says what the catalog says', async (t) => {
  const excel = await openCity(t)
  const book = await template(excel)
  t.same(
    book.worksheets.map(({ name, state }) => [name, state]),
    [
      ['数据', 'visible'],
      ['填报说明', 'visible'],
      ['_lists', 'hidden'],
    ],
  )
  const [data, guide, lists] = book.worksheets
  t.same(
    items.map((_, i) => data!.getCell(1, i + 1).text),
    [
      '证件号码* (card)',
      '序号* (no)',
      '姓名* (name)',
      '类别 (kind)',
      '金额 (money)',
      '大额 (large)',
      '有效 (valid)',
      '日期 (day)',
      '办理时间 (at)',
      '时刻 (moment)',
      '钟点 (clock)',
    ],
  )
  t.same(
    items.map((_, i) => data!.getColumn(i + 1).style.numFmt ?? ''),
    ['@', '@', '@', '@', '', '@', '@', 'yyyy-mm-dd', 'yyyy-mm-dd hh:mm:ss', 'yyyy-mm-dd hh:mm:ss', 'hh:mm:ss'].map((format) => format),
  )
  t.match(data!.views, [{ state: 'frozen', ySplit: 1 }])
  const rule = (cell: string) => data!.getCell(cell).dataValidation
  t.match(rule('D2'), { type: 'list', formulae: [/_lists/], showErrorMessage: true })
  t.match(rule('D10000'), { type: 'list' })
  t.match(rule('G5'), { type: 'list' })
  t.notOk(rule('C2'))
  t.same(
    [1, 2, 3].map((row) => lists!.getCell(row, 1).text),
    ['01 低保', '02 特困, 供养', '9'],
  )
  t.same(
    [1, 2].map((row) => lists!.getCell(row, 2).text),
    ['是', '否'],
  )
  const note = JSON.stringify(data!.getCell(1, 1).note)
  for (const said of ['文本，最多 18 个字符；主键', '必填', '公民身份号码', '示例：11010519491231002X', 'at most 18 characters'])
    t.ok(note.includes(said), said)
  t.match(JSON.stringify(data!.getCell(1, 3).note), /与证件一致/)
  const guideText = JSON.stringify(guide!.getSheetValues())
  t.match(guideText, /qianzhi-template\/1 villages 1 [0-9a-f]{12}/)
  t.match(guideText, /不要合并单元格/)
  t.match(JSON.stringify((await template(excel, 'en')).worksheets[1]!.getSheetValues()), /merge no cells/)
  t.match(await excel.registrar.get(`${path}/template?language=fr`), { status: 400 })
})

void t.test('filled in as people do, it is taken as it was meant', async (t) => {
  const excel = await openCity(t)
  const book = await template(excel)
  const data = book.worksheets[0]!
  const typed: unknown[][] = [
    [
      '11010519491231002X',
      '9223372036854775807',
      '张三',
      '01 低保',
      1234.5,
      '12345678901234567890.1234',
      '是',
      new Date('2026-11-22T00:00:00Z'),
      new Date('2026-11-22T08:30:15Z'),
      '2026-11-22 08:00:00',
      '8:05',
    ],
    ['000000000000000001', 7, ' =1+1', '特困, 供养', '007.10', null, false, '2026年1月2日', '2026/1/2 3:04', '2026-11-22T00:00:00Z', null],
    ['a', '-1', '李', 9, null, 0, 'N', null, null, null, '23:59:59.5'],
  ]
  typed.forEach((row, i) => row.forEach((value, column) => void (data.getCell(i + 2, column + 1).value = value as string)))
  const checked = await check(excel, Buffer.from(await book.xlsx.writeBuffer()))
  t.match(
    checked,
    { state: 'done', result: { rejects: 0, rows: 3, created: 3, template: await catalogVersionOf(excel) } },
    JSON.stringify(checked),
  )
  t.match(checked.result.faults, [
    { severity: 'warn', column: 'A', item: 'card', count: 1, rows: ['3'], zh: /出生日期不存在/ },
    { rows: ['4'], zh: /位数不对/ },
  ])
  t.match(await take(excel, checked), { state: 'done', result: { created: 3 } })
  t.same(await standing(excel), [
    {
      card: '000000000000000001',
      no: '7',
      name: ' =1+1',
      kind: '02',
      money: '7.10',
      large: null,
      valid: 'false',
      day: '2026-01-02',
      at: '2026-01-02T03:04:00',
      moment: '2026-11-22T00:00:00Z',
      clock: null,
    },
    {
      card: '11010519491231002X',
      no: '9223372036854775807',
      name: '张三',
      kind: '01',
      money: '1234.5',
      large: '12345678901234567890.1234',
      valid: 'true',
      day: '2026-11-22',
      at: '2026-11-22T08:30:15',
      moment: '2026-11-22T00:00:00Z',
      clock: '08:05:00',
    },
    {
      card: 'a',
      no: '-1',
      name: '李',
      kind: '9',
      money: null,
      large: '0',
      valid: 'false',
      day: null,
      at: null,
      moment: null,
      clock: '23:59:59.5',
    },
  ])
})

const libreoffice = ['libreoffice', 'soffice'].find((name) =>
  (process.env['PATH'] ?? '').split(':').some((folder) => isThere(join(folder, name))),
)

function isThere(file: string): boolean {
  try {
    return readFileSync(file).length > 0
  } catch {
    return false
  }
}

void t.test('LibreOffice saves it again', { skip: libreoffice === undefined && 'it is not here' }, async (t) => {
  const excel = await openCity(t)
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-template-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const book = await template(excel)
  book.worksheets[0]!.getCell('A2').value = '11010519491231002X'
  book.worksheets[0]!.getCell('B2').value = '1'
  book.worksheets[0]!.getCell('C2').value = '张三'
  writeFileSync(join(folder, 'filled.xlsx'), Buffer.from(await book.xlsx.writeBuffer()))
  await promisify(execFile)(
    libreoffice!,
    ['--headless', '--convert-to', 'xlsx', '--outdir', join(folder, 'again'), join(folder, 'filled.xlsx')],
    { timeout: 120_000 },
  )
  const checked = await check(excel, readFileSync(join(folder, 'again', 'filled.xlsx')))
  t.match(checked, { state: 'done', result: { rejects: 0, rows: 1, created: 1, template: await catalogVersionOf(excel) } })
})
