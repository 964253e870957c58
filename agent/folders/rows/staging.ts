/** A file's rows between being read and being taken: in an SQLite file of their own, which nobody misses when it is lost. */
import { rmSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { RowFault } from '../../database.ts'
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

  constructor(path: string) {
    this.path = path
    removeStaging(path)
    this.#database = new DatabaseSync(path)
    this.#database.exec(`
      pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive; pragma cache_size = -65536;
      create table row (key text primary key, row text, fault text, number integer not null) without rowid; begin`)
    this.#insert = this.#database.prepare('insert or ignore into row (key, row, fault, number) values (?, ?, ?, ?)')
  }

  /** @returns the faults, each with its row's number; a key that was there before is one. */
  add(rows: readonly FileRow[]): { number: number; fault: CellFault }[] {
    const found: { number: number; fault: CellFault }[] = []
    for (const { number, op, row, key, faults } of rows) {
      this.rows++
      if (faults.length > 0) this.bad++
      for (const fault of faults) found.push({ number, fault })
      if (!key) {
        this.keyless++
        continue
      }
      const text = writeKey(key)
      const fault = faults[0] && JSON.stringify(rowFault(key, faults[0]))
      const values = fault || op === 'd' ? null : JSON.stringify(row)
      if (this.#insert.run(text, values, fault ?? null, number).changes === 1) continue
      if (faults.length === 0) this.bad++
      found.push({ number, fault: repeated(this.#numberOf(text)) })
    }
    return found
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

export function removeStaging(path: string): void {
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(path + suffix, { force: true })
}

function rowFault(key: FileRow['key'] & {}, { code, item, zh, en }: CellFault): RowFault {
  return { key, code, ...(item !== undefined && { item }), reason: { zh, en } }
}

function repeated(number: number): CellFault {
  return { code: 'QZ-ROW-KEY-TWICE', zh: `主键与第 ${number} 行相同`, en: `its key is that of row ${number}` }
}
