/** How refused rows are found: against a stand-in that keeps a set of rows, refuses some, and loses its transaction over it or not. */
import t from 'tap'
import { BatchApplier } from '../../../../agent/databases/bookkeeping/apply.ts'
import { QuarantineBook } from '../../../../agent/databases/bookkeeping/quarantine-book.ts'
import { RouteBook } from '../../../../agent/databases/bookkeeping/route-book.ts'
import type { OwnSession, RawValue, SqlParameters } from '../../../../agent/databases/sqlserver/connection.ts'
import { ServerSinks } from '../../../../agent/databases/sqlserver/delivery.ts'
import { maxKept, type SinkTable } from '../../../../agent/database.ts'
import { at, schemaOf, sinkOf } from '../conformance/fixture.ts'

const schema = schemaOf([
  { id: 'id', type: 'text', length: 20, key: true, required: true },
  { id: 'name', type: 'text', length: 20 },
])

/** Understands the statements of one batch and no more. */
class Refusing implements OwnSession {
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
  /** Its quarantine by the keys' hashes: position, op, values and the key. */
  readonly #aside = new Map<string, RawValue[]>()
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
    if (sql.startsWith('insert into [t]')) return [[this.#write(sql, parameters)]]
    if (sql.startsWith('update t')) return [[0]]
    if (sql.startsWith('insert into qianzhi.quarantine')) this.#setAside(Object.values(parameters) as string[])
    if (sql.startsWith('delete from qianzhi.quarantine')) for (const hash of Object.values(parameters)) this.#aside.delete(String(hash))
    if (sql.startsWith('select position, op, kept')) return [...this.#aside.values()]
    if (sql.startsWith('select count')) return [[this.#aside.size]]
    return sql.endsWith('select @@rowcount') ? [[1]] : []
  }

  /** Nine values a row: route, part, hash, code, item, op, reason, key, kept. */
  #setAside(values: readonly (string | null)[]): void {
    for (let at = 0; at < values.length; at += 9) {
      const [, , hash, , , op, , key, kept] = values.slice(at, at + 9)
      this.#aside.set(hash!, ['4294967297', op!, kept!, key!])
    }
  }

  /** Keys in quarantine, and whether their rows are kept. */
  get quarantined(): string[] {
    return Array.from(this.#aside.values(), (row) => String(row[3]))
  }

  get kept(): boolean[] {
    return Array.from(this.#aside.values(), (row) => row[2] !== null)
  }

  async close(): Promise<void> {}

  refuse(keys: readonly string[]): void {
    this.#refused = new Set(keys)
  }

  #write(sql: string, parameters: SqlParameters): number {
    const [, from, to] = /convert\(int, s\.c4\) >= (\d+) and convert\(int, s\.c4\) < (\d+)/.exec(sql) ?? []
    const keys = this.#staged(sql, parameters)
      .map((row) => String(row[0]))
      .slice(Number(from ?? 0), to === undefined ? undefined : Number(to))
    for (const key of keys) this.#open!.add(key)
    if (!keys.some((key) => this.#refused.has(key))) return keys.length
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

const plain = { takeOver: false, contested: [], readBack: undefined }

for (const survives of [true, false]) {
  for (const count of [4, 300]) {
    t.test(`of ${count} rows the refused ones are set aside, where the transaction ${survives ? 'survives' : 'ends'}`, async (t) => {
      const refused = count === 4 ? ['k0', 'k3'] : ['k0', 'k7', 'k150', 'k299']
      const session = new Refusing(refused, survives)
      const sink: SinkTable = sinkOf(schema)
      const table = { name: '[t]', columns: sink.columns, key: ['id', 'qz_spaces'], texts: new Map(), deletes: 'remove' as const, ...plain }
      const keys = Array.from({ length: count }, (_, i) => `k${i}`)
      const engine = new ServerSinks(session)
      const books = [new RouteBook(engine.session, engine.dialect), new QuarantineBook(engine.session, engine.dialect)] as const
      const applier = new BatchApplier(engine, ...books)
      const batch = engine.prepare(sink, { from: null, to: at(1), rows: count, columns: [keys, keys] })
      const target = { sink, part: 'live' as const, open: { table, quarantine: 0 } }
      const applied = await applier.apply(target, batch)
      t.same(applied, { written: count - refused.length, deleted: 0, quarantined: refused.length, quarantine: refused.length })
      t.same([...session.rows].toSorted(), keys.filter((key) => !refused.includes(key)).toSorted())
      t.same(session.quarantined.toSorted(), refused.map((key) => JSON.stringify([key])).toSorted())
      if (survives) t.equal(session.transactions, 1)
      else t.ok(session.transactions > 1)

      const [first, ...rest] = refused
      session.refuse([first!])
      t.same(await applier.replay(target), { tried: refused.length, applied: rest.length, quarantine: 1 })
      t.same([...session.rows].toSorted(), keys.filter((key) => key !== first).toSorted())
      t.same(session.quarantined, [JSON.stringify([first])], 'the other one has its new reason')
    })
  }
}

t.test('beyond so many keys in a quarantine no rows are kept', async (t) => {
  const session = new Refusing([], true)
  const fault = (id: string) => ({ key: [id], code: 'QZ-ROW-REFUSED' as const, kept: { op: 'u' as const, values: { id, name: null } } })
  const { session: books, dialect } = new ServerSinks(session)
  await new QuarantineBook(books, dialect).add(sinkOf(schema), 'live', at(1), [fault('a'), fault('b')], maxKept - 1)
  t.same(session.quarantined, ['["a"]', '["b"]'])
  t.same(session.kept, [true, false])
})
