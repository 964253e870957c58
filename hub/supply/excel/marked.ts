/** A copy of a checked workbook, with what is wrong beside each row; all else, formats and sheets, as it was. */
import { patchWorkbook, type Patch } from '../../../protocol/excel/patch.ts'
import type { Language } from '../../../protocol/localized.ts'
import type { EnteredResource } from '../entered-resource.ts'
import { isRemarksHeader, remarksHeader } from './columns.ts'
import { FaultReport, type CellFault } from './report.ts'
import { readExcel, SeenKeys, type ExcelReading, type ExcelRow } from './rows.ts'

export interface MarkedOptions {
  path: string
  resource: EnteredResource
  /** Of the template that the workbook was made from: the copy can be corrected and brought again. */
  mark: string
  language: Language
}

/** The person's own workbook: a column of remarks behind the last header (or in the place of those of before), and a sheet with all of them. */
export async function* markedCopy({ path, resource, mark, language }: MarkedOptions): AsyncGenerator<Buffer> {
  const read: ExcelReading = { report: new FaultReport(), keys: new SeenKeys() }
  const portions = readExcel(path, resource, read)
  try {
    // The header is known with the first rows.
    const rows = new RowsInOrder(portions, await portions.next())
    const { table } = read
    const last = {
      name: reportSheet[language],
      rows: async () => {
        await rows.drain()
        return reportRows(read.report, mark, language)
      },
    }
    let cells: Patch['cells']
    if (table) {
      const { headers, headerRow, sheet } = table
      const before = headers.findIndex((header) => isRemarksHeader(header ?? ''))
      const textOf = async (row: number): Promise<string | undefined> => {
        if (row === headerRow) return remarksHeader[language]
        const faults = (await rows.at(row))?.faults ?? []
        return faults.map((fault) => remark(fault, headers, language)).join('\n') || undefined
      }
      cells = { sheet: sheet.name, column: before < 0 ? headers.length : before, own: before >= 0, textOf }
    }
    yield* patchWorkbook(path, { ...(cells && { cells }), last })
  } finally {
    await portions.return(undefined)
  }
}

/** The rows of a workbook, asked for by their numbers, which only grow. */
class RowsInOrder {
  readonly #portions: AsyncGenerator<ExcelRow[]>
  #rows: ExcelRow[]
  #at = 0
  #done: boolean

  constructor(portions: AsyncGenerator<ExcelRow[]>, first: IteratorResult<ExcelRow[]>) {
    this.#portions = portions
    this.#rows = first.done ? [] : first.value
    this.#done = first.done === true
  }

  async at(number: number): Promise<ExcelRow | undefined> {
    for (;;) {
      while (this.#at < this.#rows.length && this.#rows[this.#at]!.number < number) this.#at++
      const row = this.#rows[this.#at]
      if (row) return row.number === number ? row : undefined
      if (this.#done) return undefined
      await this.#next()
    }
  }

  /** What is only seen at the end is in the report then. */
  async drain(): Promise<void> {
    while (!this.#done) await this.#next()
  }

  async #next(): Promise<void> {
    const next = await this.#portions.next()
    this.#done = next.done === true
    this.#rows = next.done ? [] : next.value
    this.#at = 0
  }
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
