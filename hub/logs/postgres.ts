import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import type { Position, ChainPosition } from '../../protocol/position.ts'
import type { ListedBatch, Log, LogState, NewBatch, SnapshotPlace, StoredBatch } from '../log.ts'
import { RecentBatches } from './postgres-recent.ts'

/** Batches that one read may list: bounds memory where a backlog is made of very small ones. */
const maxListed = 1000
/** Bytes that a batch has at least: its manifest. */
const smallest = 512

/**
 * The batch log in PostgreSQL. An append is one statement in one durable transaction: the stream's row is the lock and the head in one.
 * The store always says which batches there are; only their bodies may come from memory, found by place and manifest hash, so that what
 * another process appended, or a restore took away, shows at once.
 */
export function openPostgresLog(
  store: { readonly pool: pg.Pool },
  { cacheBytes = 32 << 20, clock = () => new Date() }: { cacheBytes?: number; clock?: () => Date } = {},
): Log {
  const { pool } = store
  const recent = new RecentBatches(cacheBytes)

  return {
    async append(batch, expected) {
      const appended = await pool.query(appendStatement(batch, expected, clock()))
      if (appended.rowCount === 1) {
        recent.put(cacheKey(batch.resource, batch), batch.bytes)
        return { receipt: batch.receipt }
      }
      const { rows } = await pool.query<HeadRow>('select epoch, seq, hash, receipt from log_stream where resource = $1', [batch.resource])
      return rows[0]?.hash === batch.hash ? { receipt: rows[0].receipt } : { head: rows[0] ? position(rows[0]) : null }
    },
    state: (resource) => readState(pool, resource),
    async receipt(resource, at) {
      const values = [resource, at.epoch, at.seq, at.hash]
      const { rows } = await pool.query<{ receipt: string }>({ name: 'log-receipt', text: receiptSql, values })
      return rows[0]?.receipt
    },
    async has(resource, at) {
      return (await this.receipt(resource, at)) !== undefined
    },
    async read(resource, after, bytes) {
      const { found, live } = await list(pool, resource, after, bytes)
      const bodies = found.map((batch) => recent.get(cacheKey(resource, batch)))
      if (bodies.includes(undefined)) await fetchBodies(pool, resource, found, bodies)
      const batches = whole(found, bodies)
      // What is read far behind the head stays out, lest a first load displace what the live receivers are about to ask for.
      if (live) for (const batch of batches) recent.put(cacheKey(resource, batch), batch.bytes)
      return batches
    },
    async list(resource, after, most) {
      const values = [resource, after?.epoch ?? 0, after?.seq ?? 0, most]
      const { rows } = await pool.query<ListedRow>({ name: 'log-describe', text: describeSql, values })
      return rows.map(listed)
    },
    async heads(resources) {
      const text = 'select resource, epoch, seq, hash from log_stream where resource = any($1)'
      const { rows } = await pool.query<HeadRow & { resource: string }>({ name: 'log-heads', text, values: [resources] })
      return new Map(rows.map((row) => [row.resource, position(row)]))
    },
    async trim(resource, before, storedBefore) {
      const text = `delete from log_batch
        where resource = $1 and (epoch, seq) < ($2::bigint, $3::bigint) and stored_at < coalesce($4::timestamptz, 'infinity')`
      return (await pool.query(text, [resource, before.epoch, before.seq, storedBefore ?? null])).rowCount ?? 0
    },
  }
}

/** pg gives bigint as text. */
interface HeadRow {
  epoch: string
  seq: string
  hash: string
  receipt: string
}

function position(row: Pick<HeadRow, 'epoch' | 'seq' | 'hash'>): ChainPosition {
  return { epoch: Number(row.epoch), seq: Number(row.seq), hash: row.hash }
}

function cacheKey(resource: string, { epoch, seq, hash }: ChainPosition): string {
  return `${resource}/${epoch}/${seq}/${hash}`
}

const insertBatch = `
  insert into log_batch (resource, epoch, seq, hash, receipt, bytes, total, began, last, rows, batch, stored_at)
  select $1, $2, $3, $4, $5, $6::bigint, head.total, $7::bigint, $8::boolean, $9::int, $10::bytea, $11::timestamptz from head`
const moveHead = `
  update log_stream set epoch = $2, seq = $3, hash = $4, receipt = $5, total = total + $6::bigint, stored_at = $11::timestamptz
  where resource = $1 and epoch = $12 and seq = $13 and hash = $14 returning total`
const firstHead = `
  insert into log_stream (resource, epoch, seq, hash, receipt, total, stored_at) values ($1, $2, $3, $4, $5, $6::bigint, $11::timestamptz)
  on conflict do nothing returning total`

function appendStatement(batch: NewBatch, expected: ChainPosition | null, now: Date): pg.QueryConfig {
  const { resource, epoch, seq, hash, receipt, bytes, snapshot, rows } = batch
  const values = [resource, epoch, seq, hash, receipt, bytes.length, snapshot?.began ?? null, snapshot?.last ?? false, rows, bytes, now]
  if (!expected) return { name: 'log-append-first', text: `with head as (${firstHead}) ${insertBatch}`, values }
  return {
    name: 'log-append',
    text: `with head as (${moveHead}) ${insertBatch}`,
    values: [...values, expected.epoch, expected.seq, expected.hash],
  }
}

/** The head is known also when its batch is trimmed. */
const receiptSql = `
  select receipt from log_batch where resource = $1 and epoch = $2 and seq = $3 and hash = $4
  union all select receipt from log_stream where resource = $1 and epoch = $2 and seq = $3 and hash = $4
  limit 1`

const listSql = `
  select epoch, seq, hash, bytes from log_batch
  where resource = $1 and (epoch, seq) > ($2::bigint, $3::bigint) order by resource, epoch, seq limit $4`

const describeSql = `
  select epoch, seq, hash, rows, began, last, receipt from log_batch
  where resource = $1 and (epoch, seq) > ($2::bigint, $3::bigint) order by resource, epoch, seq limit $4`

interface ListedRow extends HeadRow {
  rows: number
  began: string | null
  last: boolean
}

function listed({ rows, began, last, receipt, ...at }: ListedRow): ListedBatch {
  return { ...position(at), rows, receipt, ...(began !== null && { snapshot: { began: Number(began), last } }) }
}

async function list(
  pool: pg.Pool,
  resource: string,
  after: Position | null,
  bytes: number,
): Promise<{ found: ChainPosition[]; live: boolean }> {
  const most = Math.max(16, Math.min(maxListed, Math.floor(bytes / smallest)))
  const values = [resource, after?.epoch ?? 0, after?.seq ?? 0, most]
  const { rows } = await pool.query<HeadRow & { bytes: number }>({ name: 'log-list', text: listSql, values })
  let room = bytes
  const end = rows.findIndex((row, i) => (room -= row.bytes) < 0 && i > 0)
  return { found: rows.slice(0, end < 0 ? rows.length : end).map(position), live: end < 0 && rows.length < most }
}

/**
 * Fills in the bodies that are not in memory. By COPY in binary, which carries bytea as it is: in results of pg it is hexadecimal text
 * (18 instead of 55 ms for 12 MB).
 */
async function fetchBodies(
  pool: pg.Pool,
  resource: string,
  found: readonly ChainPosition[],
  bodies: (Buffer | undefined)[],
): Promise<void> {
  const first = found[bodies.indexOf(undefined)]!
  const last = found[bodies.lastIndexOf(undefined)]!
  const places = new Map(found.map((batch, i) => [`${batch.epoch}/${batch.seq}/${batch.hash}`, i]))
  const sql = `select epoch, seq, hash, batch from log_batch where resource = ${pg.escapeLiteral(resource)}
    and (epoch, seq) >= (${first.epoch}, ${first.seq}) and (epoch, seq) <= (${last.epoch}, ${last.seq}) order by resource, epoch, seq`
  const client = await pool.connect()
  let failure: Error | undefined
  try {
    const chunks: Buffer[] = []
    for await (const chunk of client.query(copyTo(`copy (${sql}) to stdout (format binary)`))) chunks.push(chunk as Buffer)
    for (const [epoch, seq, hash, body] of copiedRows(Buffer.concat(chunks))) {
      const i = places.get(`${epoch!.readBigInt64BE()}/${seq!.readBigInt64BE()}/${hash!.toString('latin1')}`)
      if (i !== undefined) bodies[i] ??= Buffer.from(body!)
    }
  } catch (error) {
    failure = error as Error
    throw error
  } finally {
    client.release(failure)
  }
}

/** Rows of COPY's binary format: 19 bytes of header (no flags, no extension), then per row a field count and the fields with their length. */
function* copiedRows(bytes: Buffer): Generator<Buffer[]> {
  let at = 19
  for (let count = bytes.readInt16BE(at); count >= 0; count = bytes.readInt16BE(at)) {
    at += 2
    yield Array.from({ length: count }, () => {
      const start = at + 4
      at = start + bytes.readInt32BE(at)
      return bytes.subarray(start, at)
    })
  }
}

/** What is there in full, up to the first batch that was trimmed meanwhile. */
function whole(found: readonly ChainPosition[], bodies: readonly (Buffer | undefined)[]): StoredBatch[] {
  const gap = bodies.indexOf(undefined)
  return found.slice(0, gap < 0 ? found.length : gap).map((batch, i) => ({ ...batch, bytes: bodies[i]! }))
}

/** One row: the head, the first batch, and the newest complete and newest begun snapshot with their encoded bytes. */
const stateSql = `
  with ended as (
    select e.epoch, e.seq, e.began, e.total, b.total - b.bytes as before
    from log_batch e join log_batch b on b.resource = e.resource and b.epoch = e.epoch and b.seq = e.began
    where e.resource = $1 and e.last order by e.epoch desc, e.seq desc limit 1
  ), begun as (
    select b.epoch, b.seq, (select min(e.seq) from log_batch e
      where e.resource = $1 and e.epoch = b.epoch and e.seq >= b.seq and e.last and e.began = b.seq) as ended
    from log_batch b where b.resource = $1 and b.began = b.seq order by b.epoch desc, b.seq desc limit 1
  ), first as (select epoch, seq from log_batch where resource = $1 order by resource, epoch, seq limit 1)
  select head.epoch, head.seq, head.hash, first.epoch as first_epoch, first.seq as first_seq,
    ended.epoch as complete_epoch, ended.began as complete_began, ended.seq as complete_ended,
    ended.total - ended.before as snapshot_bytes, head.total - coalesce(ended.total, 0) as bytes_since,
    begun.epoch as begun_epoch, begun.seq as begun_began, begun.ended as begun_ended
  from log_stream head left join first on true left join ended on true left join begun on true
  where head.resource = $1`

async function readState(pool: pg.Pool, resource: string): Promise<LogState> {
  const { rows } = await pool.query<HeadRow & Record<string, string | null>>({ name: 'log-state', text: stateSql, values: [resource] })
  const row = rows[0]
  if (!row) return { head: null, first: null, complete: null, begun: null, snapshotBytes: 0, bytesSince: 0 }
  return {
    head: position(row),
    first: placeOf(row['first_epoch'], row['first_seq']),
    complete: snapshotPlace(row['complete_epoch'], row['complete_began'], row['complete_ended']),
    begun: snapshotPlace(row['begun_epoch'], row['begun_began'], row['begun_ended']),
    snapshotBytes: Number(row['snapshot_bytes'] ?? 0),
    bytesSince: Number(row['bytes_since'] ?? 0),
  }
}

type Cell = string | null | undefined

function placeOf(epoch: Cell, seq: Cell): Position | null {
  return epoch && seq ? { epoch: Number(epoch), seq: Number(seq) } : null
}

function snapshotPlace(epoch: Cell, began: Cell, ended: Cell): SnapshotPlace | null {
  const from = placeOf(epoch, began)
  return from && { began: from, ended: placeOf(epoch, ended) }
}
