/**
 * Who brought which batch of the hub's own producer. The log is in no transaction with the registry: an entry is written before its batch, and
 * counts from when that is known to be in the log.
 */
import { hash } from 'node:crypto'
import type { ChainPosition, Position } from '../../protocol/position.ts'
import { showPosition } from '../../protocol/position.ts'
import type { Value } from '../../protocol/value.ts'
import type { Log } from '../log.ts'
import { writeAudit, type Act } from '../records/audit.ts'
import type { Query, Store } from '../store/store.ts'

export const rowOps = ['create', 'change', 'delete'] as const
export type RowOp = (typeof rowOps)[number]

/** Who brings rows, and what the audit calls it. */
export interface Bringing {
  act: 'row.create' | 'row.change' | 'row.delete' | 'row.import' | 'supply.snapshot' | 'supply.take-over' | 'supply.resend' | 'supply.rekey'
  /** Null: the hub itself. */
  person: string | null
  by: Pick<Act, 'actor' | 'agency' | 'via' | 'ip'>
  /** The import that brings them, and its file. */
  from?: { job: string; file: string; sha256: string }
}

/** A row that an entry brings, by its key. */
export interface BroughtRow {
  op: RowOp
  key: readonly Value[]
}

/** Keys may be personal: what is kept of them tells a row only to who knows its key. */
export function rowHash(resource: string, key: readonly Value[]): Buffer {
  return hash('sha256', JSON.stringify([resource, ...key]), 'buffer')
}

/** @returns its id. */
export async function beginEntry(
  store: Pick<Store, 'transaction'>,
  { act, person, by, from }: Bringing,
  { resource, at, position, rows, brought }: { resource: string; at: Date; position: ChainPosition; rows: number; brought: BroughtRow[] },
): Promise<string> {
  return store.transaction(async (query) => {
    const { epoch, seq, hash } = position
    const [entry] = await query<{ id: string }>(
      `insert into supply_entry (resource, epoch, seq, hash, person, by, at, act, rows, job, file, file_sha256)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning id`,
      [resource, epoch, seq, hash, person, JSON.stringify(by), at, act, rows, from?.job, from?.file, from?.sha256],
    )
    await query(
      'insert into supply_entry_row (entry, row_hash, op) select $1, row_hash, op from unnest($2::bytea[], $3::text[]) r (row_hash, op)',
      [entry!.id, brought.map(({ key }) => rowHash(resource, key)), brought.map(({ op }) => op)],
    )
    return entry!.id
  })
}

/** Its batch was not stored. */
export async function dropEntry(query: Query, id: string): Promise<void> {
  await query('delete from supply_entry where id = $1 and not stored', [id])
}

interface Settled extends Position {
  resource: string
  hash: string
  by: Bringing['by']
  act: string
  rows: number
  job: string | null
  file: string | null
  sha256: string | null
}

/** Its batch is in the log: the act is on record from here on. */
export async function settleEntry(store: Pick<Store, 'transaction'>, id: string): Promise<void> {
  await store.transaction(async (query) => {
    const [entry] = await query<Settled>(
      `update supply_entry set stored = true where id = $1 and not stored
       returning resource, epoch::int as epoch, seq::float8 as seq, hash, by, act, rows, job, file, file_sha256 as sha256`,
      [id],
    )
    if (!entry) return
    const { resource, by, act, rows, hash, job, file, sha256 } = entry
    const from = job === null ? {} : { job, file, sha256 }
    await writeAudit(query, { ...by, act, object: resource, details: { position: showPosition(entry), hash, rows, ...from } })
  })
}

/** Entries of a process that ended in between: settled where the log has their batch, dropped where it does not. */
export async function settleLeft(
  { store, log }: { store: Pick<Store, 'query' | 'transaction'>; log: Pick<Log, 'has'> },
  before: Date,
): Promise<void> {
  const left = await store.query<{ id: string; resource: string; hash: string } & Position>(
    `select id, resource, epoch::int as epoch, seq::float8 as seq, hash from supply_entry where not stored and at < $1 order by id limit 1000`,
    [before],
  )
  for (const { id, resource, ...position } of left) {
    if (await log.has(resource, position)) await settleEntry(store, id)
    else await dropEntry(store.query, id)
  }
}

/** Entries that an import left when its process ended, as far as the log has their batches. */
export async function settleImport(
  { store, log }: { store: Pick<Store, 'query' | 'transaction'>; log: Pick<Log, 'has'> },
  job: string,
): Promise<void> {
  const left = await store.query<{ id: string; resource: string; hash: string } & Position>(
    `select id, resource, epoch::int as epoch, seq::float8 as seq, hash from supply_entry where job = $1 and not stored order by id`,
    [job],
  )
  for (const { id, resource, ...position } of left) if (await log.has(resource, position)) await settleEntry(store, id)
}

export interface HistoryLine extends Position {
  op: RowOp
  by: string
  at: Date
}

/** What happened to a row, newest first, at most 100; lines whose batch may still be on its way are not among them. */
export async function historyOf(query: Query, resource: string, key: readonly Value[]): Promise<HistoryLine[]> {
  return query<HistoryLine>(
    `select e.epoch::int as epoch, e.seq::float8 as seq, r.op, e.by ->> 'actor' as by, e.at
     from supply_entry_row r join supply_entry e on e.id = r.entry where r.row_hash = $1 and e.stored order by e.epoch desc, e.seq desc limit 100`,
    [rowHash(resource, key)],
  )
}

/**
 * Whether the row, which stands in the batch at `position`, is as it was in the one at `seen`: snapshots alone brought it again, nobody but
 * the hub produced in between, and under the same key: by another one nothing is known of what was done to it.
 */
export async function isBroughtAgain(
  query: Query,
  resource: string,
  key: readonly Value[],
  seen: Position,
  position: Position,
): Promise<boolean> {
  const [same] = await query<{ same: boolean }>(
    `select exists (select from supply_entry where resource = $1 and epoch = $3 and seq = $4)
       and exists (select from supply_entry where resource = $1 and epoch = $5 and seq = $6 and act like 'supply.%')
       and not exists (select from supply_entry where resource = $1 and epoch > $3 and act in ('supply.take-over', 'supply.rekey'))
       and not exists (select from supply_entry_row r join supply_entry e on e.id = r.entry where r.row_hash = $2 and (e.epoch, e.seq) > ($3, $4)) as same`,
    [resource, rowHash(resource, key), seen.epoch, seen.seq, position.epoch, position.seq],
  )
  return same!.same
}
