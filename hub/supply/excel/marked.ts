/** A copy of a checked workbook with what is wrong beside each row. */
import { writePages, type WrittenRows } from '../../../protocol/excel/write-pages.ts'
import { readWorkbook } from '../../../protocol/excel/read.ts'
import type { Language } from '../../../protocol/localized.ts'
import type { EnteredResource } from '../entered-resource.ts'
import { remarksHeader, rowHeader } from './columns.ts'
import { FaultReport, type CellFault } from './report.ts'
import { readExcel, SeenKeys, type ExcelReading, type ExcelRow } from './rows.ts'

export interface MarkedOptions {
  path: string
  resource: EnteredResource
  /** Of the template that the workbook was made from: the copy can be corrected and brought again. */
  mark: string
  language: Language
}

/** The rows with their cells as texts, all columns as they stood, and behind them the number of each row and its faults. */
export async function* markedCopy({ path, resource, mark, language }: MarkedOptions): AsyncGenerator<Buffer> {
  const read: ExcelReading = { report: new FaultReport(), keys: new SeenKeys() }
  const portions = readExcel(path, resource, read)
  const first = await portions.next()
  const { table } = read
  if (!table) {
    yield* writePages({ ...(await asItIs(path)), last: { name: reportSheet[language], rows: reportRows(read.report, mark, language) } })
    return
  }
  const kept = table.columns.flatMap((meaning, at) => (meaning === 'own' || !table.headers[at]?.trim() ? [] : [at]))
  const line = ({ number, cells, faults }: ExcelRow) => [
    ...kept.map((at) => cells[at] ?? null),
    String(number),
    faults.map((fault) => remark(fault, table.headers, language)).join('\n') || null,
  ]
  const last = { name: reportSheet[language], rows: [] as (string | null)[][] }
  async function* pages(): AsyncGenerator<WrittenRows> {
    if (!first.done) yield first.value.map(line)
    for await (const portion of portions) yield portion.map(line)
    last.rows.push(...reportRows(read.report, mark, language))
  }
  const headers = [...kept.map((at) => table.headers[at]!), rowHeader[language], remarksHeader[language]]
  yield* writePages({ name: table.sheet.name, headers, pages: pages(), last })
}

const reportSheet = { zh: '检查结果', en: 'Check' }
const severities = { reject: { zh: '错误', en: 'fault' }, warn: { zh: '提示', en: 'warning' } }

function remark(fault: CellFault, headers: readonly (string | null)[], language: Language): string {
  const header = fault.column === undefined ? undefined : headers[fault.column]?.trim()
  const text = header ? `${header}${{ zh: '：', en: ': ' }[language]}${fault[language]}` : fault[language]
  return fault.severity === 'warn' ? `${severities.warn[language]}${{ zh: '：', en: ': ' }[language]}${text}` : text
}

function reportRows(report: FaultReport, mark: string, language: Language): (string | null)[][] {
  const lines = report
    .lines()
    .map((line) => [
      severities[line.severity][language],
      line.sheet ?? null,
      line.column ?? null,
      line.rows.join(', ') || null,
      line[language],
    ])
  return [[{ zh: '模板标识', en: 'Template' }[language], mark], ...lines]
}

/** Where there is no header to tell columns by. */
async function asItIs(path: string): Promise<{ name: string; headers: string[]; pages: AsyncGenerator<WrittenRows> }> {
  const book = await readWorkbook(path, { cellFaults: 'row' })
  const sheet = book.sheets.find(({ hidden }) => !hidden) ?? book.sheets[0]
  async function* pages(): AsyncGenerator<WrittenRows> {
    try {
      if (sheet) for await (const { cells } of sheet.rows()) yield [cells]
    } finally {
      book.close()
    }
  }
  return { name: sheet?.name ?? 'Sheet1', headers: [], pages: pages() }
}
