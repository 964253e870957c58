/** What is wrong with a workbook is told by its place, whatever people and programs make of it; nothing is taken then. */
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { CatalogItem } from '../../../../hub/registry/catalog/content.ts'
import { workbook, zip, type Cell } from '../../../support/workbook.ts'
import { check, excelCity, header, path, standing, take, xlsx, type ExcelCity } from './fixture.ts'

type Expected = { zh: RegExp; column?: string; rows?: string[]; count?: number; sheet?: string; severity?: string }[]

async function rejects(t: Test, excel: ExcelCity, what: string, file: Buffer, faults: Expected): Promise<void> {
  const checked = await check(excel, file)
  t.equal(checked.state, 'done', `${what} ${JSON.stringify(checked.problem)}`)
  t.match(checked.result.faults, faults, what)
  t.equal(checked.result.faults.length, faults.length, `${what}: no others ${JSON.stringify(checked.result.faults)}`)
  for (const { zh, en } of checked.result.faults) t.ok(/\p{Script=Han}/u.test(zh) && /^[a-z]/.test(en), `${zh} ${en}`)
  t.match(await take(excel, checked), { status: 409, code: 'QZ-IMPORT-REFUSED' }, `${what} is not taken`)
}

const one: Cell[][] = [header, ['1', '一', null]]
const noMark = { zh: /没有模板标识/, severity: 'warn' }

void t.test('cells', async (t) => {
  const excel = await excelCity(t, (draft) => {
    const item = (id: string, more: Partial<CatalogItem>): CatalogItem => ({
      id,
      name: id,
      label: id,
      type: 'text',
      openness: 'internal',
      ...more,
    })
    draft.items = [
      item('code', { length: 4, key: true }),
      item('part', { type: 'decimal', precision: 6, scale: 2, key: true }),
      item('name', { length: 3, required: true }),
      item('kind', { dictionary: [{ value: '1', label: '甲' }, { value: '2' }] }),
      item('day', { type: 'date' }),
      item('count', { type: 'integer' }),
      item('card', { length: 18, check: { kind: 'identity-number', on: 'reject', when: { item: 'kind', equals: ['1'] } } }),
      item('yes', { type: 'boolean' }),
    ]
  })
  const columns = ['code', 'part', 'name', 'kind', 'day', 'count', 'card', 'yes']
  const good = ['a', '1', '张', '甲', '2026-11-22', '5', '11010519491231002X', '是']
  const row = (more: Record<string, Cell>): Cell[] => columns.map((id, i) => (id in more ? more[id]! : good[i]!))
  const rows = [
    columns,
    good,
    row({ code: 'a', part: '1.00' }),
    row({ code: 'a', part: '001.0' }),
    row({ code: 'toolong' }),
    row({ code: null, name: '' }),
    row({ code: 'b ', name: '一二三四' }),
    row({ code: 'b', kind: '3' }),
    row({ code: 'c', kind: '乙' }),
    row({ code: 'd', day: '2026-02-30', count: '1.5' }),
    row({ code: 'e', day: '昨天', count: '9223372036854775808' }),
    row({ code: 'f', card: '110105194912310021' }),
    row({ code: 'g', card: '1', kind: '2' }),
    row({ code: 'h', yes: '也许', part: '12345.6' }),
    row({ code: 'i', count: '1,000' }),
    row({ code: 'e\u0301' }),
    row({ code: '\u00e9' }),
    row({ code: '   ' }),
  ]
  await rejects(t, excel, 'cells', workbook(rows), [
    { zh: /^主键与第 2 行相同/, column: 'A', rows: ['3-4'], count: 2 },
    { zh: /超过 4 个字符/, column: 'A', rows: ['5'] },
    { zh: /必填/, column: 'A', rows: ['6', '18'], count: 2 },
    { zh: /必填/, column: 'C', rows: ['6'] },
    { zh: /超过 3 个字符/, column: 'C', rows: ['7'] },
    { zh: /不在字典中/, column: 'D', rows: ['8-9'] },
    { zh: /第 7 行只差首尾空格/, rows: ['8'] },
    { zh: /不是日期/, column: 'E', rows: ['10-11'], count: 2 },
    { zh: /不是整数/, column: 'F', rows: ['10'] },
    { zh: /64 位整数/, column: 'F', rows: ['11'] },
    { zh: /公民身份号码：校验码不对/, column: 'G', rows: ['12'] },
    { zh: /超出 6 位、小数 2 位/, column: 'B', rows: ['14'] },
    { zh: /不是是或否/, column: 'H', rows: ['14'] },
    { zh: /千位分隔符/, column: 'F', rows: ['15'] },
    { zh: /第 16 行只差首尾空格或字符的组合/, rows: ['17'] },
    noMark,
  ])
})

void t.test('what Excel and people make of sheets', async (t) => {
  const excel = await excelCity(t)
  const formula = { xml: '<c t="str"><f>A1&amp;"x"</f><v>一x</v></c>' }
  const wrong: [string, Parameters<typeof workbook>, Expected][] = [
    [
      'formulas',
      [[header, ['1', formula, '东城'], ['2', formula, null]]],
      [{ zh: /不能使用公式/, column: 'B', rows: ['2-3'], count: 2 }, noMark],
    ],
    ['an error', [[header, ['1', { xml: '<c t="e"><v>#N/A</v></c>' }]]], [{ zh: /错误值/, column: 'B', rows: ['2'] }, noMark]],
    ['digits that are lost', [[header, [{ n: '441900003001123456' }, '一']]], [{ zh: /超过 15 位/, column: 'A', rows: ['2'] }, noMark]],
    ['lost by CSV', [[header, ['1', '4.41900003001E+17']]], [{ zh: /Excel 改写的数字/, column: 'B' }, noMark]],
    [
      'merged',
      [{ rows: [...one, ['2', '二']], behind: '<mergeCells><mergeCell ref="B2:B3"/></mergeCells>' }],
      [{ zh: /合并单元格/, column: 'B', rows: ['2'] }, noMark],
    ],
    [
      'unknown and missing',
      [
        [
          ['区划代码', '名字', '街道'],
          ['1', '一', '二'],
        ],
      ],
      [
        { zh: /缺少列：名称/, rows: ['1'] },
        { zh: /没有这个信息项/, column: 'B', rows: ['1'] },
      ],
    ],
    [
      'twice',
      [
        [
          [...header, '名称'],
          ['1', '一', null, '二'],
        ],
      ],
      [{ zh: /出现两次/, column: 'D', rows: ['1'] }],
    ],
    ['no header', [[['1', '一', '东城']]], [{ zh: /没有表头/ }]],
    ['a value beside', [[header, ['1', '一', null, '备注']]], [{ zh: /没有表头，却有内容/, column: 'D', rows: ['2'] }, noMark]],
    ['rows above the header', [[['1', '一', '东城'], header, ['2', '二', null]]], [{ zh: /表头之上/, rows: ['1'] }, noMark]],
    ['the header again', [[header, ['1', '一', null], header, ['2', '二', null]]], [{ zh: /表头再次出现/, rows: ['3'] }, noMark]],
    ['a sum', [[header, ['1', '一', null], ['合计', '1', null]]], [{ zh: /合计或说明/, rows: ['3'] }, noMark]],
    ['hidden rows of another sheet', [one, { name: '藏', rows: one, state: 'hidden' }], [{ zh: /已隐藏，却有数据/, sheet: '藏' }, noMark]],
    ['all hidden', [{ rows: one, state: 'hidden' }, [['说明']]], [{ zh: /已隐藏，却有数据/ }, { zh: /没有表头/ }]],
    ['two sheets', [one, one], [{ zh: /同样表头/, sheet: '表2' }, noMark]],
    ['another resource', [one, [['模板标识', 'qianzhi-template/1 people 1 0123456789ab']]], [{ zh: /资源 people 的模板/ }]],
    ['an older template', [one, [['模板标识', 'qianzhi-template/1 villages 1 0123456789ab']]], [{ zh: /目录版本 1 已不适用.*下载新模板/ }]],
  ]
  for (const [what, sheets, faults] of wrong) await rejects(t, excel, what, workbook(...sheets), faults)
  t.same(await standing(excel), [], 'nothing was taken')
  const odd: [string, Parameters<typeof workbook>][] = [
    [
      'another order',
      [
        [
          ['街道', '区划代码 (code)', '名称'],
          ['东城', '1', '一'],
        ],
      ],
    ],
    ['titles above', [[['村居名录'], [], ['填报单位：', '民政局'], header, ['1', '一', '东城']]]],
    [
      'ids, width and case',
      [
        [
          ['ＣＯＤＥ', ' Name ', 'street（必填）'],
          ['1', '一', '东城'],
        ],
      ],
    ],
    ['another sheet beside', [[['说明', '请填写']], [header, ['1', '一', '东城']]]],
    ['an empty second sheet of the form', [[header, ['1', '一', '东城']], [header]]],
    ['blank rows and columns', [[header, [], ['1', '一', '东城', null, ' '], [' ', null, '']]]],
  ]
  for (const [what, sheets] of odd) {
    const checked = await check(excel, workbook(...sheets))
    t.match(checked, { state: 'done', result: { rejects: 0, rows: 1, created: 1 } }, `${what} ${JSON.stringify(checked.result)}`)
  }
})

void t.test('other kinds of files, and such as are made to do harm', async (t) => {
  const excel = await excelCity(t)
  const good = workbook(one)
  const bomb = (unpacked: number) => {
    const sheet = Buffer.alloc(unpacked, ' ')
    sheet.write('<worksheet><sheetData>')
    return zip({ ...bones, 'xl/worksheets/sheet1.xml': sheet })
  }
  const wrong: [string, Buffer, RegExp][] = [
    ['CSV', Buffer.from('code,name\r\n1,一\r\n'), /不是 \.xlsx 文件（可能是 CSV/],
    ['old Excel', Buffer.from('d0cf11e0a1b11ae1', 'hex'), /旧版 \.xls/],
    ['a web page', Buffer.from('<html><table></table></html>'), /网页或 XML/],
    ['gzip', gzipSync('x'), /不是 \.xlsx 文件/],
    ['another archive', zip({ 'a.txt': 'x' }), /不是 \.xlsx 工作簿/],
    ['nothing', Buffer.from('PK'), /已损坏/],
    ['a bomb by ratio', bomb(70 << 20), /压缩比超过/],
    [
      'a bomb that lies',
      zip({ ...bones, 'xl/worksheets/sheet1.xml': Buffer.alloc(80 << 20, ' ') }, { 'xl/worksheets/sheet1.xml': 1000 }),
      /已损坏/,
    ],
    ['many parts', zip(Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`p${i}`, '']))), /超过 1000 个/],
    ['entities', zip({ ...bones, 'xl/worksheets/sheet1.xml': '<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet/>' }), /DTD/],
    ['too many rows', workbook([header, ...Array.from({ length: 200_001 }, (_, i) => [String(i)])]), /超过 200000 行/],
    ...Array.from({ length: 9 }, (_, i): [string, Buffer, RegExp] => [
      `cut at ${i + 1} tenths`,
      good.subarray(0, Math.floor((good.length * (i + 1)) / 10)),
      /已损坏/,
    ]),
  ]
  for (const [what, file, reason] of wrong) {
    const checked = await check(excel, file)
    t.match(
      checked,
      { state: 'failed', result: null, problem: { code: 'QZ-EXCEL', zh: reason, en: /^The Excel or CSV file/ } },
      `${what} ${JSON.stringify(checked)}`,
    )
    t.match(await take(excel, checked), { status: 409, code: 'QZ-IMPORT-REFUSED' })
    t.match(await excel.registrar.get(`${path}/marked?check=${checked.id}`), { status: 409 })
  }
  t.match(await excel.registrar.upload(`${path}/check`, xlsx, Buffer.alloc((50 << 20) + 1)), {
    status: 413,
    body: { code: 'QZ-UPLOAD', detail: { zh: /50 MB/ } },
  })
  t.match(await excel.registrar.upload(`${path}/check`, 'application/json', Buffer.from('{}')), { status: 400 })
  t.equal((await excel.city.store.query('select from job_file')).length, wrong.length, 'what was too large is not there')
})

const bones = {
  '_rels/.rels': `<Relationships><Relationship Id="r1" Type="http://x/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
  'xl/workbook.xml': `<workbook xmlns:r="r"><sheets><sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>`,
  'xl/_rels/workbook.xml.rels': `<Relationships><Relationship Id="r1" Type="http://x/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
}

void t.test('a thousand places are told, and how many there are', async (t) => {
  const excel = await excelCity(t)
  const long = 'x'.repeat(101)
  const rows = Array.from({ length: 3000 }, (_, i): Cell[] => [String(i), i % 2 ? long : 'x', null])
  const { result } = await check(excel, workbook([header, ...rows]))
  t.match(result, { rejects: 1500, rows: 3000, faults: [{ count: 1500, column: 'B' }, {}] })
  t.equal(result.faults[0].rows.length, 1000)
  const different = Array.from({ length: 3000 }, (_, i): Cell[] => [String(i % 1500), null, null])
  const twice = (await check(excel, workbook([header, ...different]))).result
  t.match(twice, { rejects: 1500, warnings: 1 })
  t.equal(twice.faults.length, 1001)
})
