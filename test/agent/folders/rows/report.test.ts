import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import t, { type Test } from 'tap'
import { writeReport, type FileReport } from '../../../../agent/folders/rows/report.ts'
import type { CellFault } from '../../../../agent/folders/formats/file-row.ts'

const fault: CellFault = { code: 'QZ-ROW-VALUE', column: '数量', item: 'count', zh: '“x”不是整数', en: '"x" is not an integer' }

async function report(t: Test, more: Partial<FileReport>): Promise<{ text: string; rows: string[][] }> {
  const folder = t.testdir()
  const path = join(folder, 'a.csv.report.csv')
  await writeReport(path, { file: 'a.csv', faults: [{ number: 3, fault }], total: 1, outcome: 'refused', rows: 5, bad: 1, ...more })
  t.same(readdirSync(folder), ['a.csv.report.csv'], 'nothing else is left')
  const text = readFileSync(path, 'utf8')
  return { text, rows: parse(text, { bom: true, relax_column_count: true, record_delimiter: '\r\n' }) }
}

t.test('says what became of the file, and each fault with its place', async (t) => {
  const { text, rows } = await report(t, {})
  t.ok(text.startsWith('\ufeff'))
  t.ok(text.endsWith('\r\n'))
  t.match(rows[0]![0], /^文件 a\.csv 共 5 行，1 行有误：整个文件已退回.* \/ File a\.csv, 5 rows, 1 have faults: the file was refused/)
  t.same(rows.slice(1), [
    ['行 / row', '列 / column', '信息项 / item', '代码 / code', '原因', 'reason'],
    ['3', '数量', 'count', 'QZ-ROW-VALUE', '“x”不是整数', '"x" is not an integer'],
  ])
  t.match((await report(t, { outcome: 'accepted', rows: 5, bad: 2 })).rows[0]![0], /接收 3 行，2 行有误.*3 were taken, 2 have faults/)
})

t.test('of a file that is refused as a whole', async (t) => {
  const whole = { code: 'QZ-FILE', zh: '编码混杂', en: 'two encodings' } as const
  const { rows } = await report(t, { faults: [{ number: 0, fault: whole }], rows: 0, bad: 0 })
  t.match(rows[0]![0], /^文件 a\.csv 已退回 \/ File a\.csv was refused$/)
  t.same(rows[2], ['', '', '', 'QZ-FILE', '编码混杂', 'two encodings'])
})

t.test('ten thousand faults, and how many more', async (t) => {
  const faults = Array.from({ length: 10_005 }, (_, i) => ({ number: i + 2, fault }))
  const { rows } = await report(t, { faults, total: 20_000 })
  t.equal(rows.length, 10_003)
  t.same(rows.at(-1), ['… 另有 10000 处 / 10000 more'])
})

t.test('no cell is a formula', async (t) => {
  for (const evil of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '=a\n"b"']) {
    const { rows } = await report(t, { faults: [{ number: 2, fault: { ...fault, column: evil } }] })
    t.equal(rows[2]![1], `'${evil}`, JSON.stringify(evil))
  }
})
