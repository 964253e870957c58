/** What remembering costs the agent for each row: first load, the same rows once more, and all of them changed; and bytes on disk. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { Row, SourceTable } from '../../agent/database.ts'
import type { BatchDraft } from '../../agent/outbound/packing.ts'
import { SentRows } from '../../agent/outbound/sent-rows.ts'
import type { ChainPosition } from '../../protocol/position.ts'
import { villageColumns, villagesResource } from '../../config-examples/demo/villages.ts'
import type { BenchOptions } from './main.ts'

const atOnce = 10_000

export async function run({ rows, note }: BenchOptions): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-bench-'))
  const schema = { ...villagesResource(), version: 1 }
  const columns = schema.items.map((item) => ({ item, column: item.name }))
  const source: SourceTable = {
    resource: 'villages',
    table: 'villages',
    schema,
    columns,
    capture: 'triggers',
    zeroDates: 'refuse',
    valueLimit: 1 << 20,
    queueLimit: 1 << 30,
  }
  const sent = new SentRows(folder, source, true, pino({ level: 'silent' }))
  sent.begin(null)
  const line = new Line(sent, rows)
  try {
    const firstLoad = line.pass('一', true)
    const unchanged = line.pass('一', false)
    const changed = line.pass('二', false)
    const bytes = readdirSync(join(folder, 'sent')).reduce((sum, file) => sum + statSync(join(folder, 'sent', file)).size, 0)
    const figures = {
      rows,
      firstLoadMicros: firstLoad,
      unchangedMicros: unchanged,
      changedMicros: changed,
      bytesPerRow: Math.round(bytes / rows),
    }
    note(JSON.stringify(figures))
    return figures
  } finally {
    sent.close()
    rmSync(folder, { recursive: true })
  }
}

class Line {
  readonly #sent: SentRows
  readonly #rows: number
  #at: ChainPosition | null = null

  constructor(sent: SentRows, rows: number) {
    this.#sent = sent
    this.#rows = rows
  }

  /** @returns microseconds of processor time per row. */
  pass(name: string, snapshot: boolean): number {
    let took = 0
    for (let from = 0; from < this.#rows; from += atOnce) {
      const rows: Row[] = Array.from({ length: atOnce }, (_, i) => rowOf(from + i, name))
      const before = process.cpuUsage()
      this.#send(rows, snapshot ? { first: from === 0, last: from + atOnce >= this.#rows, after: null } : undefined)
      const { user, system } = process.cpuUsage(before)
      took += user + system
    }
    return Number((took / this.#rows).toFixed(2))
  }

  #send(rows: Row[], snapshot: BatchDraft['snapshot']): void {
    const read: BatchDraft = { rows, deletes: [], faults: [], entries: [], ...(snapshot && { snapshot }) }
    const piece = snapshot ? read : this.#sent.withoutUnchanged(read)
    if (snapshot) this.#sent.reread(read)
    if (piece.rows.length === 0) return
    const seq = (this.#at?.seq ?? 0) + 1
    const to = { epoch: 1, seq, hash: seq.toString(16).padStart(64, '0') }
    this.#sent.record(this.#at, to, piece)
    this.#sent.drop(piece)
    this.#at = to
  }
}

function rowOf(n: number, name: string): Row {
  return villageColumns.map((column) => (column === 'code' ? String(440_000_000_000 + n) : `${column} ${name} ${n % 977}`))
}
