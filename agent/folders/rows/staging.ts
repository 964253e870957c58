/** A file's rows between being read and being taken: in an SQLite file of their own, which nobody misses when it is lost. */
import { rmSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Row, RowFault } from '../../database.ts'
import { writeKey } from '../../runtime/stream-store.ts'
import type { CellFault, FileRow } from '../formats/file-row.ts'

export class Staging {
  readonly path: string
  readonly #database: DatabaseSync
  readonly #insert: StatementSync
  rows = 0
  /** Rows that are not as they should be. */
  bad = 0
  /** Rows whose key cannot be read: what they would have replaced is not known. */
  keyless = 0
  readonly #lastCounts: boolean

  /** `lastCounts`: of rows of one key the last one counts, as in a file of changes; else the second one is a fault. */
  constructor(path: string, { lastCounts }: { lastCounts: boolean }) {
    this.path = path
    this.#lastCounts = lastCounts
    removeStaging(path)
    this.#database = new DatabaseSync(path)
    this.#database.exec(`
      pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive; pragma cache_size = -65536;
      -- absent: places of values that the file does not say.
      create table row (key text primary key, row text, fault text, absent text, number integer not null) without rowid; begin`)
    this.#insert = this.#database.prepare('insert or ignore into row (key, row, fault, absent, number) values (?, ?, ?, ?, ?)')
  }

  /** @returns the faults, each with its row's number. */
  add(rows: readonly FileRow[]): { number: number; fault: CellFault }[] {
    const found: { number: number; fault: CellFault }[] = []
    for (const { number, op, row, absent, key, faults } of rows) {
      this.rows++
      if (faults.length > 0) this.bad++
      for (const fault of faults) found.push({ number, fault })
      if (!key) {
        this.keyless++
        continue
      }
      const text = writeKey(key)
      const fault = faults[0] && JSON.stringify(rowFault(key, faults[0]))
      const staged: Staged =
        fault || op === 'd' ? { fault: fault ?? null } : { row: row!, absent: this.#lastCounts ? absent : undefined, fault: null }
      if (this.#insert.run(text, ...columnsOf(staged), number).changes === 1) continue
      if (this.#lastCounts) {
        this.#replace(text, staged, number)
        continue
      }
      if (faults.length === 0) this.bad++
      found.push({ number, fault: repeated(this.#numberOf(text)) })
    }
    return found
  }

  #replace(key: string, staged: Staged, number: number): void {
    const before = this.#database.prepare('select row, fault, absent from row where key = ?').get(key)!
    const [values, fault, absent] = columnsOf(behind(before as unknown as StagedColumns, staged))
    this.#database
      .prepare('update row set row = ?, fault = ?, absent = ?, number = ? where key = ?')
      .run(values, fault, absent, number, key)
  }

  #numberOf(key: string): number {
    return Number(this.#database.prepare('select number from row where key = ?').get(key)!['number'])
  }

  /** Complete: to be attached by the store that takes it. */
  finish(): void {
    this.#database.exec('commit')
    this.#database.close()
  }

  discard(): void {
    if (this.#database.isOpen) this.#database.close()
    removeStaging(this.path)
  }
}

interface Staged {
  /** Absent of a delete and of a fault. */
  row?: Row
  absent?: readonly number[] | undefined
  fault: string | null
}

interface StagedColumns {
  row: string | null
  fault: string | null
  absent: string | null
}

function columnsOf({ row, fault, absent = [] }: Staged): [row: string | null, fault: string | null, absent: string | null] {
  return [row ? JSON.stringify(row) : null, fault, absent.length > 0 ? JSON.stringify(absent) : null]
}

/** A row as it is behind an earlier one of its key: what it does not say is as that one had it. */
function behind(before: StagedColumns, staged: Staged): Staged {
  const { row, absent = [] } = staged
  if (!row || absent.length === 0) return staged
  if (before.fault !== null) return { fault: before.fault }
  // It was deleted before: nothing of it is left.
  if (before.row === null) return { row, fault: null }
  const values = JSON.parse(before.row) as Row
  const unsaid = before.absent === null ? [] : (JSON.parse(before.absent) as number[])
  return {
    row: row.map((value, place) => (absent.includes(place) ? values[place]! : value)),
    absent: absent.filter((place) => unsaid.includes(place)),
    fault: null,
  }
}

export function removeStaging(path: string): void {
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(path + suffix, { force: true })
}

function rowFault(key: FileRow['key'] & {}, { code, item, zh, en }: CellFault): RowFault {
  return { key, code, ...(item !== undefined && { item }), reason: { zh, en } }
}

function repeated(number: number): CellFault {
  return { code: 'QZ-ROW-KEY-TWICE', zh: `主键与第 ${number} 行相同`, en: `its key is that of row ${number}` }
}
