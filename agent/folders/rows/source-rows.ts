/**
 * The current rows of a source whose files hold rows, in its store in the agent's data folder: what a table is to other sources. `row` holds
 * a row's local values as JSON, or why its key cannot be sent; neither: the key is known to have no row.
 */
import { setImmediate } from 'node:timers/promises'
import { valueFault } from '../../../protocol/value.ts'
import type { FolderSettings, MappedColumn, Row, RowFault, Rows, SourceTable } from '../../database.ts'
import { readKey, writeKey, type StreamStore } from '../../runtime/stream-store.ts'
import { Filling } from './filling.ts'
import { readSourceStore } from '../store/stores.ts'

const tables = `
  create table if not exists row (key text primary key, row text, fault text) without rowid;
  create table if not exists folder (
    one integer primary key check (one = 1), merged integer not null default 0, refused integer not null default 0, shape text not null default '');
  insert or ignore into folder (one) values (1)`

/** Rows merged, looked through or rewritten in one transaction. */
const pageRows = 10_000

interface StoredRow {
  key: string
  row: string | null
  fault: string | null
}
const present = '(row is not null or fault is not null)'

/** A file in `done/`. */
export interface AcceptedFile {
  number: number
  /** Called within the transaction in which its merging ends. */
  merged: () => void
}

export class SourceRows {
  readonly #store: StreamStore
  readonly #source: SourceTable

  constructor(store: StreamStore, source: SourceTable) {
    this.#store = store
    this.#source = source
  }

  /** Makes what is missing. */
  make(): this {
    this.#store.make(tables)
    return this
  }

  /** To be read beside a running agent; undefined where nothing is remembered in this shape. */
  static read(folder: Pick<FolderSettings, 'data' | 'path'>, source: SourceTable): SourceRows | undefined {
    const store = readSourceStore(folder, source.resource)
    if (!store) return undefined
    const rows = new SourceRows(store, source)
    if (rows.#shape === shapeOf(source)) return rows
    rows.close()
    return undefined
  }

  get #shape(): string {
    return String(this.#store.get('select shape from folder')!['shape'])
  }

  close(): void {
    this.#store.close()
  }

  /** Number of the last file that was merged whole. */
  get merged(): number {
    return Number(this.#store.get('select merged from folder')!['merged'])
  }

  count(): number {
    return Number(this.#store.get(`select count(*) as rows from row where ${present}`)!['rows'])
  }

  /** A key of which nothing was ever heard is none that has no row: the data folder may have been put back behind it. */
  rowsByKeys(keys: readonly Row[]): Rows {
    const texts = keys.map(writeKey)
    const found = new Map(
      this.#store
        .all('select key, row, fault from row where key in (select value from json_each(?))', JSON.stringify(texts))
        .map((entry) => [String(entry['key']), entry]),
    )
    const read: Rows = { rows: [], faults: [] }
    texts.forEach((text, i) => {
      const entry = found.get(text)
      if (entry) add(read, entry as unknown as StoredRow)
      else read.faults.push({ key: keys[i]!, code: 'QZ-ROW-UNKNOWN' })
    })
    return read
  }

  rowsAfter(after: Row | null, limit: number): Rows & { last: Row | null } {
    const from = after === null ? '' : writeKey(after)
    const entries = this.#store.all(`select key, row, fault from row where key > ? and ${present} order by key limit ?`, from, limit)
    const read: Rows & { last: Row | null } = { rows: [], faults: [], last: null }
    for (const entry of entries) add(read, entry as unknown as StoredRow)
    const last = entries.at(-1)
    if (last) read.last = readKey(String(last['key']))
    return read
  }

  /** To write the first file's rows to; undefined where rows are known, or may be at the hub. */
  filling(): Filling | undefined {
    return this.merged === 0 && !this.#mustQueue ? new Filling(this.#store) : undefined
  }

  /** The first file is accepted. @returns how many keys are known now. */
  takeFilled({ rows }: Filling, accepted: AcceptedFile): number {
    this.#store.transaction(() => {
      this.#store.make('drop table row; alter table next rename to row')
      this.#merged(accepted)
    })
    return rows
  }

  /**
   * Takes what was staged, page by page in the order of keys: a stop in between only means that it is taken again. With `whole`, rows that
   * it lacks are deleted. @returns how many keys changed.
   */
  async merge(staging: string, { whole, ...accepted }: AcceptedFile & { whole: boolean }, step: () => void): Promise<number> {
    const store = this.#store
    store.run('attach database ? as staged', staging)
    let changed = 0
    const first = store.get('select 1 from main.row limit 1') === undefined
    try {
      for (let from = ''; ;) {
        const bound = store.get('select key from staged.row where key > ? order by key limit 1 offset ?', from, pageRows - 1)
        const to = bound ? String(bound['key']) : undefined
        changed += store.transaction(() => this.#mergePage(from, to))
        step()
        await setImmediate()
        if (to === undefined) break
        from = to
      }
      if (whole) changed += store.transaction(() => this.#settleUnknown())
      if (whole && !first) changed += await this.#deleteOthers(step)
      store.transaction(() => this.#merged(accepted))
      return changed
    } finally {
      store.make('detach database staged')
    }
  }

  #merged({ number, merged }: AcceptedFile): void {
    this.#store.run('update folder set merged = ?', number)
    merged()
  }

  /** What a file of changes does not say of a row is as it was; where that is not known, the row stays as it is. */
  #complete(range: string, values: readonly string[]): void {
    const found = this.#store.all(
      `select s.key, s.row, s.absent, r.row as known, r.fault from staged.row s join main.row r on r.key = s.key
       where ${range} and s.absent is not null and s.row is not null and (r.row is not null or r.fault is not null)`,
      ...values,
    )
    for (const { key, row, absent, known, fault } of found) {
      const before = known === null ? undefined : (JSON.parse(known as string) as Row)
      const places = JSON.parse(String(absent)) as number[]
      const whole = before && (JSON.parse(String(row)) as Row).map((value, place) => (places.includes(place) ? before[place]! : value))
      this.#store.run(
        'update staged.row set row = ?, fault = ?, absent = null where key = ?',
        whole ? JSON.stringify(whole) : null,
        whole ? null : String(fault),
        String(key),
      )
    }
  }

  /** The first of these items that any row has a value of; undefined where none has. */
  firstWithValues(places: readonly number[]): MappedColumn | undefined {
    const place = places.find((at) =>
      this.#store.get(`select 1 from row where row is not null and json_extract(row, ?) is not null limit 1`, `$[${at}]`),
    )
    return place === undefined ? undefined : this.#source.columns[place]
  }

  #mergePage(from: string, to: string | undefined): number {
    const [range, values] = to === undefined ? ['s.key > ?', [from]] : ['s.key > ? and s.key <= ?', [from, to]]
    this.#complete(range, values)
    if (this.#mustQueue) {
      this.#store.run(
        `insert or replace into queue (key, print, at)
         select s.key, null, ? from staged.row s left join main.row r on r.key = s.key
         where ${range} and (r.key is null or r.row is not s.row or r.fault is not s.fault)`,
        Date.now(),
        ...values,
      )
    }
    this.#store.run(
      `insert into row (key, row, fault) select s.key, s.row, s.fault from staged.row s where ${range}
       on conflict (key) do update set row = excluded.row, fault = excluded.fault
       where row.row is not excluded.row or row.fault is not excluded.fault`,
      ...values,
    )
    return Number(this.#store.get('select changes() as rows')!['rows'])
  }

  /** A snapshot that has not begun will meet every row. */
  get #mustQueue(): boolean {
    const { position, snapshot } = this.#store.state()
    return position !== null && snapshot !== 'needed'
  }

  async #deleteOthers(step: () => void): Promise<number> {
    const store = this.#store
    let deleted = 0
    for (let from = ''; ;) {
      const bound = store.get('select key from main.row where key > ? order by key limit 1 offset ?', from, pageRows - 1)
      const to = bound && String(bound['key'])
      deleted += this.#deletePage(from, to)
      step()
      await setImmediate()
      if (to === undefined) return deleted
      from = to
    }
  }

  #deletePage(from: string, to: string | undefined): number {
    const store = this.#store
    const [range, values] = to === undefined ? ['key > ?', [from]] : ['key > ? and key <= ?', [from, to]]
    const lacks = `${present} and not exists (select 1 from staged.row s where s.key = row.key)`
    const keys = store.all(`select key from main.row where ${range} and ${lacks}`, ...values).map(({ key }) => String(key))
    if (keys.length === 0) return 0
    const list = JSON.stringify(keys)
    store.transaction(() => {
      if (this.#mustQueue)
        store.run('insert or replace into queue (key, print, at) select value, null, ? from json_each(?)', Date.now(), list)
      store.run('update main.row set row = null, fault = null where key in (select value from json_each(?))', list)
    })
    return keys.length
  }

  /** A whole table says of keys that were not known any more that they have no row. */
  #settleUnknown(): number {
    const unknown = `code = 'QZ-ROW-UNKNOWN' and not exists (select 1 from staged.row s where s.key = quarantine.key)`
    const keys = this.#store.all(`select key from quarantine where ${unknown}`).map(({ key }) => String(key))
    for (const key of keys) {
      this.#store.run('insert or ignore into row (key) values (?)', key)
      this.#store.enqueue(key, null)
    }
    return keys.length
  }

  /** Brings what is kept to what the source supplies now: other items, another key, narrower values. */
  async follow(): Promise<void> {
    const shape = shapeOf(this.#source)
    const before = this.#shape
    if (before === shape) return
    if (before !== '' && this.count() > 0) await this.#rewrite((JSON.parse(before) as [string][]).map(([id]) => id))
    this.#store.run('update folder set shape = ?', shape)
  }

  async #rewrite(items: readonly string[]): Promise<void> {
    const { columns } = this.#source
    const places = columns.map(({ item }) => items.indexOf(item.id))
    this.#store.make('drop table if exists next; create table next (key text primary key, row text, fault text) without rowid')
    for (let from = ''; ;) {
      const page = this.#store.all('select key, row, fault from row where key > ? order by key limit ?', from, pageRows)
      if (page.length === 0) break
      this.#store.transaction(() => {
        for (const entry of page) this.#rewriteRow(entry as unknown as StoredRow, places)
      })
      await setImmediate()
      from = String(page.at(-1)!['key'])
    }
    this.#store.transaction(() => {
      this.#store.make('drop table row; alter table next rename to row')
    })
  }

  #rewriteRow({ key, row, fault }: StoredRow, places: readonly number[]): void {
    const insert = 'insert or ignore into next (key, row, fault) values (?, ?, ?)'
    if (row === null) return void this.#store.run(insert, key, null, fault)
    const old = JSON.parse(row) as Row
    const { columns } = this.#source
    const values = places.map((place) => (place < 0 ? null : old[place]!))
    const newKey = values.filter((_, i) => columns[i]!.item.key)
    if (newKey.includes(null)) return
    const wrong = columns.findIndex(({ item }, i) => (item.required && values[i] === null) || valueFault(item, values[i]!) !== undefined)
    const text = writeKey(newKey)
    if (wrong < 0) return void this.#store.run(insert, text, JSON.stringify(values), null)
    const { item } = columns[wrong]!
    const found: RowFault = {
      key: newKey,
      code: 'QZ-ROW-VALUE',
      item: item.id,
      reason: valueFault(item, values[wrong]!) ?? { zh: '必填', en: 'is required' },
    }
    this.#store.run(insert, text, null, JSON.stringify(found))
  }

  /** Keys that are known to have no row, and of which nothing is to be sent any more, are forgotten: a complete snapshot has said so. */
  forgetDeleted(): void {
    this.#store.run(`delete from row where not ${present} and key not in (select key from queue)`)
  }
}

function add(read: Rows, { row, fault }: Pick<StoredRow, 'row' | 'fault'>): void {
  if (fault !== null) read.faults.push(JSON.parse(fault) as RowFault)
  else if (row !== null) read.rows.push(JSON.parse(row) as Row)
}

function shapeOf({ columns }: SourceTable): string {
  return JSON.stringify(
    columns.map(({ item: { id, type, length, precision, scale, key, required } }) => [id, type, length, precision, scale, key, required]),
  )
}
