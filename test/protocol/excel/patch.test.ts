/** A cell more in some rows of a sheet: read back, everything else is as it was, however its XML is written and cut into pieces. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateRawSync } from 'node:zlib'
import t from 'tap'
import { openArchive } from '../../../protocol/excel/archive.ts'
import { excelLimits } from '../../../protocol/excel/limits.ts'
import { patchWorkbook, type Patch } from '../../../protocol/excel/patch.ts'
import { readWorkbook } from '../../../protocol/excel/read.ts'
import { workbook, zip, type Cell } from '../../support/workbook.ts'

const folder = mkdtempSync(join(tmpdir(), 'qianzhi-patch-'))
t.teardown(() => rmSync(folder, { recursive: true }))

async function patched(bytes: Buffer, cells?: Patch['cells']): Promise<Buffer> {
  const path = join(folder, 'given.xlsx')
  writeFileSync(path, bytes)
  const parts: Buffer[] = []
  for await (const part of patchWorkbook(path, {
    ...(cells && { cells }),
    last: {
      name: '结果',
      rows: async () => [
        ['=1', '<&>'],
        [null, '二'],
      ],
    },
  }))
    parts.push(part)
  return Buffer.concat(parts)
}

async function partsOf(bytes: Buffer): Promise<Record<string, string>> {
  const archive = await openArchive(bytes, excelLimits)
  const texts: Record<string, string> = {}
  for (const part of archive.parts()) {
    const chunks: Buffer[] = []
    for await (const chunk of part.chunks()) chunks.push(chunk)
    texts[part.name] = Buffer.concat(chunks).toString()
  }
  archive.close()
  return texts
}

async function rowsOf(bytes: Buffer, sheet: number): Promise<[number, (string | null)[]][]> {
  const book = await readWorkbook(bytes)
  const rows: [number, (string | null)[]][] = []
  for await (const { number, cells } of book.sheets[sheet]!.rows()) rows.push([number, cells])
  book.close()
  return rows
}

void t.test('thousands of rows, cut anywhere', async (t) => {
  const rows = Array.from({ length: 4000 }, (_, i): Cell[] => [`k${i}`, i % 3 ? `值${'𠮷'.repeat(i % 40)}` : null, { n: String(i) }])
  const bytes = workbook(rows, [['other']])
  const asked: number[] = []
  const textOf = async (row: number) => {
    asked.push(row)
    return row % 4 === 0 ? `r${row} <&>\n"=1"` : undefined
  }
  const made = await patched(bytes, { sheet: '数据', column: 5, own: false, textOf })
  t.same(
    asked,
    [...rows.keys()].map((i) => i + 1),
    'each row is asked for once, in order',
  )
  const want = (await rowsOf(bytes, 0)).map(([number, cells]) => [
    number,
    number % 4 ? cells : [...cells, null, null, `r${number} <&>\n"=1"`],
  ])
  t.same(await rowsOf(made, 0), want)
  t.same(await rowsOf(made, 1), [[1, ['other']]])
  t.same(await rowsOf(made, 2), [
    [1, ['=1', '<&>']],
    [2, [null, '二']],
  ])
  const [before, after] = [await partsOf(bytes), await partsOf(made)]
  for (const name of Object.keys(before))
    if (!/Content_Types|workbook\.xml|sheet1\.xml/.test(name)) t.equal(after[name], before[name], `${name} is as it was`)
  const stripped = after['xl/worksheets/sheet1.xml']!.replaceAll(
    /<c r="F\d+" t="inlineStr"><is><t xml:space="preserve">[^<]*<\/t><\/is><\/c>/g,
    '',
  )
  t.equal(stripped, before['xl/worksheets/sheet1.xml'], 'nothing but the cells')
})

void t.test('tags that are cut in two', async (t) => {
  const bytes = workbook(Array.from({ length: 20_000 }, (): Cell[] => [{ n: '1' }]))
  const made = await patched(bytes, { sheet: '数据', column: 1, own: false, textOf: async (row) => String(row) })
  const wrong = (await rowsOf(made, 0)).filter(([number, cells]) => cells.join() !== `1,${number}`)
  t.same(wrong, [])
})

void t.test('XML as other programs write it', async (t) => {
  const parts = await partsOf(workbook([['x']]))
  const row = (inside: string) =>
    `<x:worksheet xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><x:cols><x:col min="1" max="1" width="40"/></x:cols><x:sheetData>${inside}</x:sheetData><!-- <row> --></x:worksheet>`
  const cell = (place: string, text: string) => `<x:c\r\n r="${place}" t="str"><x:v>${text}</x:v></x:c>`
  const sheet = row(
    `<x:row r="1">${cell('A1', 'a')}</x:row><x:row r="3" ht="30"/><x:row\r\n r="4" >${cell('A4', 'b')}${cell('B4', 'there')}${cell('D4', 'd')}</x:row >` +
      `<x:row r="5">${cell('D5', 'far')}</x:row><x:row r="6"><x:c r="B6" s="1"/>${cell('C6', 'c')}</x:row>`,
  )
  const given = zip({ ...parts, 'xl/worksheets/sheet1.xml': sheet })
  const textOf = async (row: number) => (row === 1 ? undefined : `n${row}`)
  t.same(await rowsOf(await patched(given, { sheet: '数据', column: 1, own: false, textOf }), 0), [
    [1, ['a']],
    [3, [null, 'n3']],
    [4, ['b', 'there', null, 'd', 'n4']],
    [5, [null, 'n5', null, 'far']],
    [6, [null, null, 'c', 'n6']],
  ])
  const own = await patched(given, { sheet: '数据', column: 1, own: true, textOf: async (row) => (row === 6 ? 'six' : undefined) })
  t.same(await rowsOf(own, 0), [
    [1, ['a']],
    [4, ['b', null, null, 'd']],
    [5, [null, null, null, 'far']],
    [6, [null, 'six', 'c']],
  ])
  const text = (await partsOf(own))['xl/worksheets/sheet1.xml']!
  t.match(text, /<x:cols><x:col min="1" max="1" width="40"\/><\/x:cols>/)
  t.match(text, /<!-- <row> -->/)
  const again = await patched(own)
  t.equal((await readWorkbook(again)).sheets.length, 2, 'the sheet of before is replaced')
})

void t.test('the archive is one that others read', async (t) => {
  const made = await patched(workbook([['x']]))
  // By hand: the central directory, and each file by what that says of it (APPNOTE 4.3).
  const end = made.length - 22
  t.equal(made.readUInt32LE(end), 0x06054b50)
  let at = made.readUInt32LE(end + 16)
  for (let i = 0; i < made.readUInt16LE(end + 10); i++) {
    const [packed, size, length, begins] = [
      made.readUInt32LE(at + 20),
      made.readUInt32LE(at + 24),
      made.readUInt16LE(at + 28),
      made.readUInt32LE(at + 42),
    ]
    const name = made.toString('utf8', at + 46, at + 46 + length)
    t.equal(made.readUInt32LE(begins), 0x04034b50, name)
    const data = begins + 30 + made.readUInt16LE(begins + 26)
    t.equal(inflateRawSync(made.subarray(data, data + packed)).length, size, name)
    at += 46 + length
  }
  t.equal(at, end)
})
