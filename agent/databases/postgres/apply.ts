/** Applies a batch in one transaction with the route's position; a row that the database refuses is set aside and the rest goes in. */
import { finished } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import { positionNumber, showPosition, type Position, type ChainPosition } from '../../../protocol/position.ts'
import { names, remove, removeOlder, rowsOfTexts, stageTable, upsert } from './sql.ts'
import type { Value } from '../../../protocol/value.ts'
import type { Applied, Part, SinkTable } from '../../database.ts'
import { keptAt, keyAt, type Batch, type Refused } from './batch.ts'
import { isRowError, type Connection } from './connection.ts'
import { setAside } from './quarantine.ts'
import { quarantinedKeys, type OpenSink } from './sink.ts'

export interface Target {
  connection: Connection
  sink: SinkTable
  part: Part
  open: OpenSink
  /** Stage tables of this session by their definition. */
  stages: Map<string, string>
}

interface Counts {
  written: number
  deleted: number
}

export async function applyBatch(target: Target, batch: Batch): Promise<Applied> {
  try {
    return await applyAtOnce(target, batch)
  } catch (error) {
    if (!isRowError(error)) throw error
    return await applyCarefully(target, batch)
  }
}

/** Small batches of changes take one statement, which is its own transaction. */
async function applyAtOnce(target: Target, batch: Batch): Promise<Applied> {
  if (!batch.copy && batch.faults.length === 0 && !batch.change.snapshot?.last) {
    return finish(target, await writeAll(target, batch, undefined), 0)
  }
  const stage = batch.copy && (await stageFor(target))
  return target.connection.transaction(async () => {
    if (stage) await copyInto(target, stage, batch.copy!)
    const counts = await writeAll(target, batch, stage)
    counts.deleted += await afterRows(target, batch, batch.faults)
    return finish(target, counts, batch.faults.length)
  })
}

/** Every row of a part that the database takes, each other one found by halving. */
async function applyCarefully(target: Target, batch: Batch): Promise<Applied> {
  return target.connection.transaction(async () => {
    // Where the receiver's constraints are deferred, they must speak before COMMIT.
    await target.connection.script('set constraints all immediate')
    await writeAll(target, { ...batch, upserts: [], deletes: [] }, undefined)
    const faults: Refused[] = [...batch.faults]
    const counts = { written: 0, deleted: 0 }
    for (const op of ['upserts', 'deletes'] as const) await halve(target, batch, op, batch[op], counts, faults)
    counts.deleted += await afterRows(target, batch, faults)
    return finish(target, counts, faults.length)
  })
}

export async function halve(
  target: Target,
  batch: Batch,
  op: 'upserts' | 'deletes',
  rows: readonly number[],
  counts: Counts,
  faults: Refused[],
): Promise<void> {
  if (rows.length === 0) return
  const { connection, sink } = target
  await connection.script('savepoint part')
  try {
    const { text, values } = op === 'upserts' ? upsertOf(target, batch, rows, 1) : removeOf(target, batch, rows, 1)
    const [row] = await connection.query(`with done as (${text} returning 1) select count(*) from done`, values)
    counts[op === 'upserts' ? 'written' : 'deleted'] += Number(row![0])
    await connection.script('release savepoint part')
  } catch (error) {
    if (!isRowError(error)) throw error
    await connection.script('rollback to savepoint part; release savepoint part')
    if (rows.length === 1) {
      const reason = reasonOf(error instanceof QianzhiError ? error.cause : error)
      const [key, kept] = [keyAt(sink, batch.change, rows[0]!), keptAt(sink, batch.change, rows[0]!, op === 'upserts' ? 'u' : 'd')]
      faults.push({ key, code: 'QZ-ROW-REFUSED', reason, kept })
      return
    }
    const middle = rows.length >> 1
    await halve(target, batch, op, rows.slice(0, middle), counts, faults)
    await halve(target, batch, op, rows.slice(middle), counts, faults)
  }
}

/** Rows written in one statement with the position are none where it did not move. */
const ifMoved = ' cross join moved'

interface Sql {
  text: string
  values: unknown[]
}

/**
 * The position by compare-and-set, the rows, and the quarantine of keys that this batch touches, as one statement. Nothing but the
 * first happens where the position is another. Throws QZ-CHAIN-BROKEN.
 */
async function writeAll(target: Target, batch: Batch, stage: string | undefined): Promise<Counts> {
  const { connection } = target
  const moved = moveOf(target, batch)
  const parts = [`moved as (${moved.text} returning 1 as moved)`]
  const values = moved.values
  const counts = { written: '0', deleted: '0' }
  const add = (name: string, make: (first: number) => Sql): void => {
    const { text, values: more } = make(values.length + 1)
    parts.push(`${name} as (${text} returning 1)`)
    values.push(...more)
  }
  if (batch.upserts.length > 0) add('written', (first) => upsertOf(target, batch, batch.upserts, first, ifMoved, stage))
  if (batch.deletes.length > 0) add('deleted', (first) => removeOf(target, batch, batch.deletes, first, ifMoved))
  if (target.open.quarantine > 0) add('cleared', (first) => clearOf(target, batch, first))
  if (batch.upserts.length > 0) counts.written = '(select count(*) from written)'
  if (batch.deletes.length > 0) counts.deleted = '(select count(*) from deleted)'
  const sql = `with ${parts.join(',\n')} select (select count(*) from moved), ${counts.written}, ${counts.deleted}`
  const [row] = await connection.prepared(sql, values)
  if (row![0] !== '1') throw new QianzhiError('QZ-CHAIN-BROKEN', { position: showPosition(batch.change.to) })
  return { written: Number(row![1]), deleted: Number(row![2]) }
}

function moveOf({ sink, part }: Target, { change }: Batch): Sql {
  const { from, to, snapshot } = change
  const running = snapshot && !snapshot.last ? snapshot.began : undefined
  const place = (position: ChainPosition | null) => [position?.epoch ?? null, position?.seq ?? null, position?.hash ?? null]
  const values = [sink.route, part, ...place(to), ...place(from), snapshot !== undefined, running?.epoch ?? null, running?.seq ?? null]
  return {
    text: `update qianzhi.route_position set epoch = $3, seq = $4, hash = $5, complete = complete or $12,
        snapshot_epoch = case when $9 then $10::int else snapshot_epoch end, snapshot_seq = case when $9 then $11::bigint else snapshot_seq end
      where route = $1 and part = $2 and (epoch, seq, hash) is not distinct from ($6::int, $7::bigint, $8::text)`,
    values: [...values, snapshot?.last ?? false],
  }
}

function upsertOf(target: Target, { change }: Batch, rows: readonly number[], first: number, joined = '', stage?: string): Sql {
  const { sink, open } = target
  const added = [sink.source, positionNumber(change.to)]
  const [source, position] = [`$${first}::text`, `$${first + 1}::bigint`]
  if (stage) return { text: upsert(open.table, `${stage} s${joined}`, source, position), values: added }
  const lists = change.columns.map((column) => pick(column, rows))
  const from = rowsOfTexts(sink.columns, first + 2) + joined
  return { text: upsert(open.table, from, source, position), values: [...added, ...lists] }
}

function removeOf({ sink, open }: Target, { change }: Batch, rows: readonly number[], first: number, joined = ''): Sql {
  const keys = sink.columns.filter(({ item }) => item.key)
  const lists = sink.columns.flatMap(({ item }, i) => (item.key ? [pick(change.columns[i]!, rows)] : []))
  const marked = sink.deletes === 'mark' ? [positionNumber(change.to)] : []
  const from = rowsOfTexts(keys, first + 1 + marked.length) + joined
  const text = remove(open.table, from, `$${first}::text`, `$${first + 1}::bigint`)
  return { text, values: [sink.source, ...marked, ...lists] }
}

function clearOf({ sink, part }: Target, batch: Batch, first: number): Sql {
  const keys = Array.from({ length: batch.change.rows }, (_, i) => JSON.stringify(keyAt(sink, batch.change, i)))
  return {
    text: `delete from qianzhi.quarantine where route = $${first} and part = $${first + 1} and key = any($${first + 2}::text[])
      and exists (select from moved)`,
    values: [sink.route, part, keys],
  }
}

function pick(column: readonly Value[], rows: readonly number[]): Value[] {
  return rows.map((row) => column[row]!)
}

/** Writes the quarantine, and at a snapshot's end removes what it did not bring. Returns how many rows that were. */
async function afterRows({ connection, sink, part, open }: Target, { change }: Batch, faults: readonly Refused[]): Promise<number> {
  if (faults.length > 0) await setAside(connection, sink, part, change.to, faults, open.quarantine)
  if (!change.snapshot?.last) return 0
  await forgetOlder(connection, sink, part, change.snapshot.began)
  const marked = sink.deletes === 'mark' ? [positionNumber(change.to)] : []
  const kept = await quarantinedKeys(connection, sink, part, 3 + marked.length)
  const text = removeOlder(open.table, '$1', '$2::bigint', '$3::bigint', kept?.from)
  const values = [sink.source, positionNumber(change.snapshot.began), ...marked, ...(kept?.values ?? [])]
  const [row] = await connection.query(`with done as (${text} returning 1) select count(*) from done`, values)
  return Number(row![0])
}

/** A key that was set aside before the snapshot began and that it did not bring is gone from the source: nothing of it is kept. */
async function forgetOlder(connection: Connection, sink: SinkTable, part: Part, began: Position): Promise<void> {
  await connection.query('delete from qianzhi.quarantine where route = $1 and part = $2 and (epoch, seq) < ($3::int, $4::bigint)', [
    sink.route,
    part,
    began.epoch,
    began.seq,
  ])
}

/** Counts the quarantine only where it may have changed. */
async function finish({ connection, sink, part, open }: Target, counts: Counts, quarantined: number): Promise<Applied> {
  if (quarantined > 0 || open.quarantine > 0) {
    const [row] = await connection.prepared('select count(*) from qianzhi.quarantine where route = $1 and part = $2', [sink.route, part])
    open.quarantine = Number(row![0])
  }
  return { ...counts, quarantined, quarantine: open.quarantine }
}

async function stageFor({ connection, sink, stages }: Target): Promise<string> {
  const definition = stageTable('', sink.columns)
  let name = stages.get(definition)
  if (!name) {
    name = `qz_stage_${stages.size}`
    await connection.script(stageTable(name, sink.columns))
    stages.set(definition, name)
  }
  return name
}

async function copyInto({ connection, sink }: Target, stage: string, text: Buffer): Promise<void> {
  const list = names(sink.columns.map(({ column }) => column))
  await connection.guard(async () => {
    const stream = connection.client.query(copyFrom(`copy ${stage} (${list}) from stdin`))
    stream.end(text)
    await finished(stream)
  })
}
