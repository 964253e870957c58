import { isPlausibleEpoch, type Position } from '../../protocol/position.ts'
import type { Store } from '../store/store.ts'

/** The exchange's own notes on streams, beside the log: who produces, which snapshot is wanted, what is known of epochs. */
export interface StreamNotes {
  knownEpoch: number
  /** Set where a snapshot is wanted: it must begin after the place (null: anywhere). */
  wanted?: { after: Position | null }
  headStatement?: string
}

interface Row {
  resource: string
  known_epoch: string
  snapshot_wanted: boolean
  wanted_after_epoch: string | null
  wanted_after_seq: string | null
  head_statement: string | null
}

type Db = Pick<Store, 'query'>

/** Named, because every poll asks it: a prepared statement needs no planning. */
export async function readStreams({ pool }: Pick<Store, 'pool'>, resources: readonly string[]): Promise<Map<string, StreamNotes>> {
  const text = `select resource, known_epoch, snapshot_wanted, wanted_after_epoch, wanted_after_seq, head_statement
    from stream where resource = any($1)`
  if (resources.length === 0) return new Map()
  const { rows } = await pool.query<Row>({ name: 'streams', text, values: [resources] })
  return new Map(rows.map((row) => [row.resource, notes(row)]))
}

function notes(row: Row): StreamNotes {
  const { wanted_after_epoch: epoch, wanted_after_seq: seq } = row
  const after = epoch === null ? null : { epoch: Number(epoch), seq: Number(seq) }
  return {
    knownEpoch: Number(row.known_epoch),
    ...(row.snapshot_wanted && { wanted: { after } }),
    ...(row.head_statement && { headStatement: row.head_statement }),
  }
}

/**
 * Asks the provider for a snapshot that begins after this place. Of several wishes the latest place counts.
 * @returns true where this is news for the provider.
 */
export async function wantSnapshot(db: Db, resource: string, after: Position | null): Promise<boolean> {
  const text = `update stream set snapshot_wanted = true, wanted_after_epoch = $2::bigint, wanted_after_seq = $3::bigint
    where resource = $1 and (not snapshot_wanted
      or (coalesce(wanted_after_epoch, 0), coalesce(wanted_after_seq, 0)) < (coalesce($2::bigint, 0), coalesce($3::bigint, 0)))
    returning 1`
  return (await db.query(text, [resource, after?.epoch ?? null, after?.seq ?? null])).length > 0
}

/** A snapshot that began here fulfils every wish for one after an earlier place. */
export async function snapshotBegan(db: Db, resource: string, at: Position): Promise<void> {
  const text = `update stream set snapshot_wanted = false, wanted_after_epoch = null, wanted_after_seq = null
    where resource = $1 and snapshot_wanted and (coalesce(wanted_after_epoch, 0), coalesce(wanted_after_seq, 0)) < ($2::bigint, $3::bigint)`
  await db.query(text, [resource, at.epoch, at.seq])
}

/** From here on `producer` makes the stream; written before its first batch. */
export async function produces(db: Db, resource: string, producer: string): Promise<void> {
  const text = `insert into stream (resource, producer) values ($1, $2) on conflict (resource) do update set producer = $2`
  await db.query(text, [resource, producer])
}

/**
 * A receiver ahead of the log shows that the hub was restored: the next epoch must be later than the one it has seen. Where the source
 * was restored to the same place, its provider sees nothing wrong: the wish for a snapshot beyond its head tells it.
 * @returns true where this is news for the provider.
 */
export async function noteAhead(db: Db, resource: string, seen: Position, now: Date): Promise<boolean> {
  // A receiver that names one from a farther future must not exhaust them.
  if (!isPlausibleEpoch(seen.epoch, 0, now)) return false
  await db.query('update stream set known_epoch = $2 where resource = $1 and known_epoch < $2', [resource, seen.epoch])
  return wantSnapshot(db, resource, seen)
}
