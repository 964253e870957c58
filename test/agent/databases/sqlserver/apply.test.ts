/** How refused rows are found: against a stand-in that keeps a set of rows, refuses some, and loses its transaction over it or not. */
import t from 'tap'
import { applyBatch } from '../../../../agent/databases/sqlserver/apply.ts'
import { setAside } from '../../../../agent/databases/sqlserver/quarantine.ts'
import { replayQuarantine } from '../../../../agent/databases/sqlserver/replay.ts'
import { prepareBatch } from '../../../../agent/databases/sqlserver/batch.ts'
import type { RawValue, Session, SqlParameters } from '../../../../agent/databases/sqlserver/connection.ts'
import { maxKept, type SinkTable } from '../../../../agent/database.ts'
import { at, schemaOf, sinkOf } from '../conformance/fixture.ts'

const schema = schemaOf([
  { id: 'id', type: 'text', length: 20, key: true, required: true },
  { id: 'name', type: 'text', length: 20 },
])

/** Understands the statements of one batch and no more. */
class Refusing implements Session {
  readonly stages = new Map<string, string>()
  readonly server = {
    version: '15',
    edition: '',
    database: 'd',
    schema: 'dbo',
    collation: 'x',
    reading: 'versioned',
    rowcount: true,
  } as const
  #refused: ReadonlySet<string>
  readonly #survives: boolean
  readonly #loaded = new Map<string, (string | Buffer | null)[][]>()
  /** Committed, and as the transaction sees them; undefined where it has ended. */
  rows = new Set<string>()
  quarantined: string[] = []
  /** Rows of its quarantine: epoch, seq, op and values. */
  kept: RawValue[][] = []
  #open: Set<string> | undefined
  #saved = new Set<string>()
  transactions = 0

  constructor(refused: readonly string[], survives: boolean) {
    this.#refused = new Set(refused)
    this.#survives = survives
  }

  async query(sql: string, parameters: SqlParameters = {}): Promise<RawValue[][]> {
    if (sql === 'save transaction qz_rows') this.#saved = new Set(this.#open)
    if (sql === 'rollback transaction qz_rows') this.#open = new Set(this.#saved)
    if (sql === 'select xact_state()') return [[this.#open ? 1 : 0]]
    if (sql.startsWith('truncate table')) this.#loaded.set(sql.split(' ')[2]!, [])
    if (sql.startsWith('insert into [t]')) this.#write(sql, parameters)
    if (sql.startsWith('insert into qianzhi.quarantine')) {
      const rows = this.#staged(sql, parameters)
      this.quarantined = rows.map((row) => String(row[1]))
      this.kept = rows.map((row) => ['1', '1', String(row[5]), String(row[6])])
    }
    if (sql.startsWith('select epoch, seq, op, kept')) return this.kept
    if (sql.startsWith('update q set code')) this.quarantined = this.#staged(sql, parameters).map((row) => String(row[1]))
    if (sql.startsWith('select count')) return [[this.quarantined.length]]
    return sql.endsWith('select @@rowcount') ? [[1]] : []
  }

  refuse(keys: readonly string[]): void {
    this.#refused = new Set(keys)
  }

  #write(sql: string, parameters: SqlParameters): void {
    const [, from, to] = /convert\(int, s\.c4\) >= (\d+) and convert\(int, s\.c4\) < (\d+)/.exec(sql) ?? []
    const keys = this.#staged(sql, parameters)
      .map((row) => String(row[0]))
      .slice(Number(from ?? 0), to === undefined ? undefined : Number(to))
    for (const key of keys) this.#open!.add(key)
    if (!keys.some((key) => this.#refused.has(key))) return
    if (!this.#survives) this.#open = undefined
    throw Object.assign(new Error('refused here'), { number: this.#survives ? 547 : 50_001, class: 16, code: 'EREQUEST' })
  }

  #staged(sql: string, parameters: SqlParameters): (string | Buffer | null)[][] {
    const table = /#qz_stage_\d+/.exec(sql)?.[0]
    if (table) return this.#loaded.get(table)!
    const [, list, columns] = /\(values (.*?)\) \w\((c1[^)]*)\)/s.exec(sql)!
    const values = Array.from(list!.matchAll(/@(\w+)/g), ([, name]) => parameters[name!]!)
    const width = columns!.split(',').length
    return Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width))
  }

  async load(table: string, _columns: unknown, rows: Iterable<readonly (string | Buffer | null)[]>): Promise<void> {
    this.#loaded.set(
      table,
      [...rows].map((row) => [...row]),
    )
  }

  async transaction<T>(work: () => Promise<T>): Promise<T> {
    this.transactions++
    this.#open = new Set(this.rows)
    const result = await work()
    this.rows = this.#open
    return result
  }

  qualify(table: string): string {
    return table
  }
}

for (const survives of [true, false]) {
  for (const count of [4, 300]) {
    t.test(`of ${count} rows the refused ones are set aside, where the transaction ${survives ? 'survives' : 'ends'}`, async (t) => {
      const refused = count === 4 ? ['k0', 'k3'] : ['k0', 'k7', 'k150', 'k299']
      const session = new Refusing(refused, survives)
      const sink: SinkTable = sinkOf(schema)
      const table = { name: '[t]', columns: sink.columns, key: ['id', 'qz_spaces'], texts: new Map(), deletes: 'remove' as const }
      const keys = Array.from({ length: count }, (_, i) => `k${i}`)
      const batch = prepareBatch(sink, { from: null, to: at(1), rows: count, columns: [keys, keys] })
      const target = { session, sink, part: 'live' as const, open: { table, quarantine: 0 } }
      const applied = await applyBatch(target, batch)
      t.same(applied, { written: count - refused.length, deleted: 0, quarantined: refused.length, quarantine: refused.length })
      t.same([...session.rows].toSorted(), keys.filter((key) => !refused.includes(key)).toSorted())
      t.same(session.quarantined.toSorted(), refused.map((key) => JSON.stringify([key])).toSorted())
      if (survives) t.equal(session.transactions, 1)
      else t.ok(session.transactions > 1)

      const [first, ...rest] = refused
      session.refuse([first!])
      t.same(await replayQuarantine(target), { tried: refused.length, applied: rest.length, quarantine: 1 })
      t.same([...session.rows].toSorted(), keys.filter((key) => key !== first).toSorted())
      t.same(session.quarantined, [JSON.stringify([first])], 'the other one has its new reason')
    })
  }
}

t.test('beyond so many keys in a quarantine no rows are kept', async (t) => {
  const session = new Refusing([], true)
  const fault = (id: string) => ({ key: [id], code: 'QZ-ROW-REFUSED' as const, kept: { op: 'u' as const, values: { id, name: null } } })
  await setAside({ session, sink: sinkOf(schema), part: 'live' }, at(1), [fault('a'), fault('b')], maxKept - 1)
  t.same(session.quarantined, ['["a"]', '["b"]'])
  t.same(
    session.kept.map((row) => row[2]),
    ['u', 'null'],
  )
})
