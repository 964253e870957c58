import { checkerOf } from './item-checks.ts'
import type { Row, Rows, SourceTable } from '../database.ts'
import { portableRows } from '../config/mapping.ts'

/** What becomes of rows read, before they travel: values become portable, and identifiers are checked, where the rows are. */
export class RowChecks {
  readonly #portable: ReturnType<typeof portableRows>
  readonly #checker: ReturnType<typeof checkerOf>
  /** Rows read that a check warned of: counted when the hub has them. */
  readonly #warned = new WeakSet<Row>()

  constructor(source: SourceTable) {
    this.#portable = portableRows(source.columns)
    this.#checker = checkerOf(source)
  }

  /** Whether values are looked at, or become others. */
  get looks(): boolean {
    return this.#portable !== undefined || this.checks
  }

  get checks(): boolean {
    return this.#checker !== undefined
  }

  /** A row that may not go becomes one that cannot be sent. */
  take(local: Rows): Rows {
    const read = this.#portable ? this.#portable(local) : local
    if (!this.#checker) return read
    const { rows, faults, warned } = this.#checker(read)
    for (const row of warned) this.#warned.add(row)
    return { rows, faults }
  }

  warnedOf(rows: readonly Row[]): number {
    return rows.filter((row) => this.#warned.has(row)).length
  }
}
