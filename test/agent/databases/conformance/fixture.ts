/** The tables, positions and the small agent that the conformance tests share. */
import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import type {
  Applied,
  Capture,
  Change,
  Database,
  Delivery,
  Part,
  Row,
  RowBlocks,
  Rows,
  SinkTable,
  SourceTable,
  Take,
} from '../../../../agent/database.ts'
import { opBlock, packBlock, type OpenBatch } from '../../../../protocol/batch.ts'
import type { ChainPosition } from '../../../../protocol/position.ts'
import { keyItems, type Item, type Schema } from '../../../../protocol/schema.ts'
import type { Dialect, TestDatabase } from './suite.ts'

type ItemSketch = Pick<Item, 'id' | 'type'> & Partial<Item>

export function schemaOf(items: readonly ItemSketch[], version = 1): Schema {
  return {
    resource: 'scjg.licence',
    version,
    title: '食品经营许可证',
    agency: 'scjg',
    table: 'licence',
    items: items.map((item) => ({ name: item.id, label: `信息项'${item.id}`, openness: 'internal', ...item })),
  }
}

/** The usual table: a text key, a name and a number. */
export const licence = schemaOf([
  { id: 'id', type: 'text', length: 20, key: true, required: true },
  { id: 'name', type: 'text', length: 100 },
  { id: 'amount', type: 'decimal', precision: 12, scale: 2 },
])

/** A key of two items. */
export const twoKeys = schemaOf([
  { id: 'region', type: 'integer', key: true, required: true },
  { id: 'name', type: 'text', length: 100 },
  { id: 'code', type: 'text', length: 20, key: true, required: true },
])

export function sourceOf(schema: Schema, changes: Partial<SourceTable> = {}): SourceTable {
  return {
    resource: schema.resource,
    table: 'licence',
    schema,
    columns: schema.items.map((item) => ({ item, column: item.name })),
    capture: 'triggers',
    zeroDates: 'refuse',
    valueLimit: 1 << 20,
    queueLimit: 64 << 20,
    ...changes,
  }
}

export function sinkOf(schema: Schema, changes: Partial<SinkTable> = {}): SinkTable {
  return {
    route: 'route-1',
    resource: schema.resource,
    table: 'delivered',
    schema,
    columns: schema.items.map((item) => ({ item, column: item.name })),
    source: 'scjg',
    deletes: 'remove',
    shared: false,
    ...changes,
  }
}

export function at(seq: number, epoch = 1): ChainPosition {
  return { epoch, seq, hash: createHash('sha256').update(`${epoch}/${seq}`).digest('hex') }
}

export function keyOf(schema: Schema, row: Row): Row {
  return keyItems(schema).map((key) => row[schema.items.indexOf(key)]!)
}

export interface Opened {
  test: TestDatabase
  database: Database
}

export async function openDatabase(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): Promise<Opened> {
  const test = await freshDatabase()
  const database = await engine.open({ name: 'front', url: test.url, pace: 5 })
  t.teardown(async () => {
    await database.close()
    await test.drop()
  })
  return { test, database }
}

export interface Watched extends Opened {
  source: SourceTable
  capture: Capture
}

/** The source in the engine's own mode of capture. */
export function capturedAs({ capture = 'triggers' }: Dialect, source: SourceTable): SourceTable {
  return source.capture === 'triggers' ? { ...source, capture } : source
}

/** A supply table that is set up and watched, its first snapshot behind it. */
export async function watch(
  t: Test,
  engine: Dialect,
  freshDatabase: () => Promise<TestDatabase>,
  wanted: SourceTable = sourceOf(licence),
): Promise<Watched> {
  const source = capturedAs(engine, wanted)
  const opened = await openDatabase(t, engine, freshDatabase)
  await opened.database.run(await opened.database.supplyTable(source))
  return setUp(t, opened, source)
}

/** Sets up and watches a table that is there. */
export async function setUp(t: Test, opened: Opened, source: SourceTable): Promise<Watched> {
  await opened.database.run(await opened.database.setupScript(source))
  const capture = await opened.database.openCapture([source])
  t.teardown(() => capture.close())
  await capture.record(source, { from: null, to: at(1), entries: [], snapshot: null, faults: [], sent: [] })
  return { ...opened, source, capture }
}

/** What a receiver that got every batch would hold: rows by key. */
export class Model {
  readonly rows = new Map<string, Row>()
  seq = 1
  marked = false

  /** One step of the sending line: take, read, remember. Returns what was taken. */
  async step({ capture, source }: Pick<Watched, 'capture' | 'source'>, maxKeys = 1000): Promise<Take> {
    const take = await capture.take(source, maxKeys, new Set())
    const read = await capture.rowsByKeys(source, take.keys)
    for (const key of take.keys) this.rows.delete(JSON.stringify(key))
    for (const row of read.rows) this.rows.set(JSON.stringify(keyOf(source.schema, row)), row)
    this.marked ||= take.marked
    const from = at(this.seq)
    await capture.record(source, { from, to: at(++this.seq), entries: take.entries, faults: read.faults, sent: [] })
    return take
  }

  async drain(watched: Pick<Watched, 'capture' | 'source'>): Promise<void> {
    while ((await this.step(watched)).entries.length > 0);
  }

  sorted(): Row[] {
    return sortRows([...this.rows.values()])
  }
}

export function sortRows(rows: readonly Row[]): Row[] {
  const text = new Map(rows.map((row) => [row, JSON.stringify(row)]))
  return rows.toSorted((a, b) => (text.get(a)! < text.get(b)! ? -1 : 1))
}

/** All rows of a table, read in chunks as a snapshot is; what can be read as blocks is the same. */
export async function tableRows(capture: Pick<Capture, 'rowsAfter' | 'blocksAfter'>, source: SourceTable, chunk = 1000): Promise<Row[]> {
  const rows: Row[] = []
  for (let after: Row | null = null; ;) {
    const read: Awaited<ReturnType<Capture['rowsAfter']>> = await capture.rowsAfter(source, after, chunk)
    const blocks = await capture.blocksAfter?.(source, after, chunk)
    if (blocks) sameAsBlocks(read, blocks)
    rows.push(...read.rows)
    if (read.last === null) return sortRows(rows)
    after = read.last
  }
}

function sameAsBlocks(read: Rows & { last: Row | null }, { rows, columns, last }: RowBlocks & { last: Row | null }): void {
  const texts = columns.map((_, i) => JSON.stringify(read.rows.map((row) => row[i])))
  const same = rows === read.rows.length && JSON.stringify(last) === JSON.stringify(read.last) && read.faults.length === 0
  for (const [i, column] of columns.entries())
    if (!same || column.toString() !== texts[i])
      throw new Error(`as blocks ${JSON.stringify({ rows, last, column: column.toString() })}, by values ${texts[i]}`)
}

export interface Filling extends Opened {
  delivery: Delivery
}

export async function openSinks(
  t: Test,
  engine: Dialect,
  freshDatabase: () => Promise<TestDatabase>,
  sinks: readonly SinkTable[],
): Promise<Filling> {
  const opened = await openDatabase(t, engine, freshDatabase)
  const delivery = await opened.database.openDelivery(sinks)
  t.teardown(() => delivery.close())
  return { ...opened, delivery }
}

/** The delivered table read back through the engine's own reader. */
export async function delivered({ database }: Opened, schema: Schema, table = 'delivered'): Promise<Row[]> {
  const source = sourceOf(schema, { table })
  const capture = await database.openCapture([])
  try {
    return await tableRows(capture, source)
  } finally {
    await capture.close()
  }
}

/** A change whose rows are given as such. */
export type ChangeOfRows = Omit<Change, 'rows' | 'columns'> & { of: readonly Row[] }

/** Applies a change as a route does: from its blocks where the engine can. */
export function apply(delivery: Delivery, sink: SinkTable, { of, ...sketch }: ChangeOfRows, part: Part = 'live'): Promise<Applied> {
  const columns = sink.columns.map((_, i) => of.map((row) => row[i]!))
  return applyChange(delivery, sink, { ...sketch, rows: of.length, columns }, part)
}

export function applyChange(delivery: Delivery, sink: SinkTable, change: Change, part: Part = 'live'): Promise<Applied> {
  const prepared = delivery.prepareBlocks?.(sink, part, { batch: batchOf(sink, change), change })
  return delivery.apply(sink, part, prepared ?? delivery.prepare(sink, change))
}

/** What of a batch is read when its rows are. */
export function batchOf({ columns }: SinkTable, { rows, columns: values, ops }: Change): OpenBatch {
  const blocks = columns.map(({ item }, i) => packBlock('none', { item: item.id, values: values[i]! }))
  if (ops) blocks.push(packBlock('none', { item: opBlock, values: ops }))
  return { manifest: { rows, codec: 'none' }, blocks } as unknown as OpenBatch
}
