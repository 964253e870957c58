/** What is wrong with a workbook, by its cells: alike faults of a column together, with the rows in which they are. */
import { columnLetters } from '../../../protocol/excel/fault.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'

/** `reject`: nothing is taken while it is there. `warn`: it is told, and taken. */
export type Severity = 'reject' | 'warn'

export interface CellFault extends LocalizedText {
  severity: Severity
  /** From 0; undefined where it concerns the row, or the sheet. */
  column?: number
  item?: string
}

export interface ReportLine extends LocalizedText {
  severity: Severity
  /** Undefined where it concerns the file. */
  sheet?: string
  /** `C` */
  column?: string
  item?: string
  /** How often. */
  count: number
  /** Rows as the sheet counts them: `5`, `7-12`; not all where there are very many. */
  rows: string[]
}

/** Places that are told one by one. */
const mostPlaces = 1000

interface Group extends Omit<ReportLine, 'rows'> {
  ranges: [from: number, to: number][]
}

export class FaultReport {
  readonly #groups = new Map<string, Group>()
  #places = 0
  readonly counts: Record<Severity, number> = { reject: 0, warn: 0 }

  /** In the order of the rows. `row`: undefined where it concerns the sheet. */
  add(sheet: string | undefined, row: number | undefined, { severity, column, item, zh, en }: CellFault): void {
    this.counts[severity]++
    const key = `${severity} ${sheet ?? ''} ${column ?? ''} ${zh}`
    let group = this.#groups.get(key)
    if (!group) {
      if (row !== undefined && this.#places >= mostPlaces) return
      const place = { ...(sheet !== undefined && { sheet }), ...(column !== undefined && { column: columnLetters(column) }) }
      group = { severity, ...place, ...(item !== undefined && { item }), zh, en, count: 0, ranges: [] }
      this.#groups.set(key, group)
    }
    group.count++
    if (row === undefined) return
    const last = group.ranges.at(-1)
    if (last && row >= last[0] && row <= last[1] + 1) last[1] = Math.max(last[1], row)
    else if (this.#places < mostPlaces) {
      this.#places++
      group.ranges.push([row, row])
    }
  }

  lines(): ReportLine[] {
    return Array.from(this.#groups.values(), ({ ranges, ...line }) => ({
      ...line,
      rows: ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)),
    }))
  }
}
