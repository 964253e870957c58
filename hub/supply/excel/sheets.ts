/** The sheet of a workbook that holds the rows, and what is wrong with its header and with the sheets beside it. */
import { headerWithin } from '../../../protocol/excel/table.ts'
import type { Sheet, Workbook } from '../../../protocol/excel/read.ts'
import type { Row } from '../../../protocol/excel/sheet.ts'
import type { EnteredResource } from '../entered-resource.ts'
import { fingerprintOf, headerOf, Headers, readMark, type Mark, type Meaning } from './columns.ts'
import type { FaultReport } from './report.ts'

export interface DataTable {
  sheet: Sheet
  headerRow: number
  /** Of each column from A. */
  columns: readonly Meaning[]
  /** As they stand there. */
  headers: readonly (string | null)[]
  mark?: Mark
}

interface Looked {
  sheet: Sheet
  best: Row | undefined
  known: number
  /** There are rows behind the header. */
  filled: boolean
  mark: Mark | undefined
}

const fault = (zh: string, en: string, column?: number) => ({
  severity: 'reject' as const,
  zh,
  en,
  ...(column !== undefined && { column }),
})

/** Undefined where there is none that can be read: then the report says why. Throws QZ-EXCEL. */
export async function findTable(
  { sheets }: Workbook,
  { code, items }: Pick<EnteredResource, 'code' | 'items'>,
  report: FaultReport,
): Promise<DataTable | undefined> {
  const headers = new Headers(items)
  const looked: Looked[] = []
  for (const sheet of sheets) looked.push(await look(sheet, headers))
  const mark = looked.find((one) => one.mark)?.mark
  if (mark && !isOf(mark, code, items, report)) return undefined
  const least = Math.min(2, items.length)
  const tables = looked.filter((one) => !one.mark && one.known >= least)
  const [table] = tables.filter(({ sheet }) => !sheet.hidden)
  for (const { sheet } of tables.filter((one) => one !== table && one.filled)) {
    if (sheet.hidden)
      report.add(
        sheet.name,
        undefined,
        fault('该工作表已隐藏，却有数据：请取消隐藏或删除', 'it is hidden and has rows: show it, or delete it'),
      )
    else
      report.add(
        sheet.name,
        undefined,
        fault('也有同样表头的数据：请合并为一张工作表', 'it has the same header, and rows: put them into one sheet'),
      )
  }
  if (!table) {
    const names = items.map(headerOf).join('、')
    report.add(
      undefined,
      undefined,
      fault(
        `前 ${headerWithin} 行中没有表头：${names}`,
        `there is no header within the first ${headerWithin} rows of a visible sheet: ${names}`,
      ),
    )
    return undefined
  }
  const columns = table.best!.cells.map((cell) => (cell?.trim() ? headers.meaning(cell) : undefined))
  const right = checkHeader(table, columns, items, report)
  return right
    ? { sheet: table.sheet, headerRow: table.best!.number, columns, headers: table.best!.cells, ...(mark && { mark }) }
    : undefined
}

async function look(sheet: Sheet, headers: Headers): Promise<Looked> {
  const found: Looked = { sheet, best: undefined, known: 0, filled: false, mark: undefined }
  let rows = 0
  for await (const row of sheet.rows()) {
    // The mark stands behind the items in the guide.
    for (const cell of row.cells) if (cell?.startsWith('qianzhi-template/')) found.mark ??= readMark(cell)
    if (row.number <= headerWithin) {
      const known = row.cells.filter((cell) => cell?.trim() && typeof headers.meaning(cell) === 'number').length
      if (known > found.known) Object.assign(found, { best: row, known, filled: false })
      else if (found.best && row.number > found.best.number) found.filled = true
    } else if (found.best) found.filled = true
    if (++rows > 1000) break
  }
  return found
}

function isOf(mark: Mark, code: string, items: EnteredResource['items'], report: FaultReport): boolean {
  const { resource, catalogVersion, fingerprint } = mark
  if (resource !== code) {
    report.add(
      undefined,
      undefined,
      fault(`这是资源 ${resource} 的模板：请下载本资源的模板`, `this is the template of resource ${resource}: download that of this one`),
    )
    return false
  }
  if (fingerprint === fingerprintOf(items)) return true
  report.add(
    undefined,
    undefined,
    fault(
      `模板的目录版本 ${catalogVersion} 已不适用，信息项已有变更：请下载新模板，将数据粘贴到其中`,
      `the template is of catalog version ${catalogVersion}, and the items have changed since: download the new one and paste the rows into it`,
    ),
  )
  return false
}

function checkHeader({ sheet, best }: Looked, columns: readonly Meaning[], items: EnteredResource['items'], report: FaultReport): boolean {
  const { cells, number } = best!
  const before = report.counts.reject
  for (const [at, item] of items.entries())
    if (!columns.includes(at))
      report.add(sheet.name, number, { ...fault(`缺少列：${headerOf(item)}`, `the column is missing: ${headerOf(item)}`), item: item.id })
  for (const [at, cell] of cells.entries()) {
    const meaning = columns[at]
    if (!cell?.trim() || meaning === 'own') continue
    if (meaning === undefined)
      report.add(sheet.name, number, fault('没有这个信息项：请删除该列', 'there is no such item: delete the column', at))
    else if (columns.indexOf(meaning) !== at)
      report.add(sheet.name, number, fault('该列出现两次：请删除一列', 'the column is there twice: delete one', at))
  }
  return report.counts.reject === before
}
