import type { Position } from '../../protocol/position.ts'
import { readStatement } from '../../protocol/signature.ts'
import type { ListedBatch, Log } from '../log.ts'
import { writeAudit } from '../records/audit.ts'
import { sameBatches } from './same-rows.ts'
import type { Query, Store } from '../store/store.ts'

interface SupplyDeps {
  store: Pick<Store, 'query' | 'transaction'>
  log: Log
}

/** Batches that one transaction puts on record. */
const most = 1000

/**
 * Puts on record what was supplied since the last turn, of every stream: a consumer of the log with a bookmark, so that no batch waits
 * for the record on its way. A stream that fails holds up no other; it fails the turn in the end. The signal ends the turn behind the stream
 * under way: the next one has the others.
 */
export async function recordSupply(deps: SupplyDeps, signal?: AbortSignal): Promise<void> {
  const streams = await deps.store.query<{ resource: string } & BookmarkRow>(
    'select s.resource, b.epoch, b.seq from stream s left join supply_bookmark b on b.resource = s.resource order by s.resource',
  )
  const heads = await deps.log.heads(streams.map(({ resource }) => resource))
  const failures: unknown[] = []
  for (const { resource, ...bookmark } of streams) {
    if (signal?.aborted) break
    const head = heads.get(resource)
    const at = placeOf(bookmark)
    if (!head || (head.epoch === at?.epoch && head.seq === at.seq)) continue
    await recordStream(deps, resource).catch((error: unknown) => failures.push(error))
  }
  if (failures.length > 0) throw new AggregateError(failures, 'supply not put on record')
}

/** Puts one stream on record up to its head. @returns up to where it is on record: what comes after must not be trimmed. */
export async function recordStream({ store, log }: SupplyDeps, resource: string): Promise<Position | null> {
  for (;;) {
    const [row] = await store.query<BookmarkRow>('select epoch, seq from supply_bookmark where resource = $1', [resource])
    const bookmark = row ? placeOf(row) : null
    const batches = (await log.list(resource, bookmark, most)).map(supplied)
    if (batches.length === 0) return bookmark
    const same = await sameBatches({ query: store.query, log }, resource, batches)
    await store.transaction((query) => record(query, resource, bookmark, batches, same))
  }
}

interface BookmarkRow {
  epoch: string | null
  seq: string | null
}

function placeOf({ epoch, seq }: BookmarkRow): Position | null {
  return epoch === null ? null : { epoch: Number(epoch), seq: Number(seq) }
}

interface Supplied extends ListedBatch {
  producer: string
  /** The hub's time of acceptance. */
  time: string
}

/** Bookmark, entries and days commit together: a turn that is cut off, or that another hub process took, has counted nothing. */
async function record(
  query: Query,
  resource: string,
  bookmark: Position | null,
  batches: readonly Supplied[],
  same: ReadonlySet<string>,
): Promise<void> {
  const last = batches.at(-1)!
  const moved = await query(moveSql, [resource, last.epoch, last.seq, bookmark?.epoch ?? null, bookmark?.seq ?? null])
  if (moved.length === 0) return
  for (const run of byProducer(batches)) await writeSupply(query, resource, run)
  await query(daySql, [
    resource,
    batches.map(({ time }) => time),
    batches.map(({ rows }) => rows),
    batches.map(({ snapshot }) => snapshot !== undefined),
    batches.map(({ hash }) => same.has(hash)),
  ])
}

/** Compare-and-set. */
const moveSql = `
  insert into supply_bookmark as b (resource, epoch, seq) values ($1, $2, $3)
  on conflict (resource) do update set epoch = excluded.epoch, seq = excluded.seq where b.epoch = $4::bigint and b.seq = $5::bigint
  returning 1`

const daySql = `
  insert into supply_day as d (resource, day, batches, changed_rows, same_rows, snapshot_rows, last_change)
  select $1, (at at time zone 'Asia/Shanghai')::date, count(*), coalesce(sum(rows) filter (where not snapshot), 0),
    coalesce(sum(rows) filter (where same), 0), coalesce(sum(rows) filter (where snapshot), 0),
    max(at) filter (where not snapshot and not same and rows > 0)
  from unnest($2::timestamptz[], $3::bigint[], $4::boolean[], $5::boolean[]) as batch (at, rows, snapshot, same) group by 2
  on conflict (resource, day) do update set batches = d.batches + excluded.batches, changed_rows = d.changed_rows + excluded.changed_rows,
    same_rows = d.same_rows + excluded.same_rows, snapshot_rows = d.snapshot_rows + excluded.snapshot_rows,
    last_change = greatest(d.last_change, excluded.last_change)`

function supplied(batch: ListedBatch): Supplied {
  const { producer, time } = readStatement(batch.receipt) as { producer: string; time: string }
  return { ...batch, producer, time }
}

function byProducer(batches: readonly Supplied[]): Supplied[][] {
  const runs: Supplied[][] = []
  for (const batch of batches) {
    const run = runs.at(-1)
    if (run?.[0]?.producer === batch.producer) run.push(batch)
    else runs.push([batch])
  }
  return runs
}

async function writeSupply(query: Query, resource: string, run: readonly Supplied[]): Promise<void> {
  const [first, last] = [run[0]!, run.at(-1)!]
  const actor = first.producer
  const [of] = await query<{ agency: string }>('select agency from resource where code = $1', [resource])
  const changes = run.filter(({ snapshot }) => !snapshot)
  const snapshots = run.filter(({ snapshot }) => snapshot)
  const details = {
    from: { epoch: first.epoch, seq: first.seq },
    to: { epoch: last.epoch, seq: last.seq },
    hash: last.hash,
    ...(changes.length > 0 && { changes: { batches: changes.length, rows: rowsOf(changes) } }),
    ...(snapshots.length > 0 && { snapshot: { batches: snapshots.length, rows: rowsOf(snapshots) } }),
    accepted: last.time,
  }
  const via = actor === 'hub' ? 'hub' : 'agent'
  await writeAudit(query, { actor, agency: of?.agency ?? null, via, act: 'supply', object: resource, details })
}

function rowsOf(batches: readonly ListedBatch[]): number {
  return batches.reduce((sum, { rows }) => sum + rows, 0)
}
