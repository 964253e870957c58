/**
 * One resource's table follows its stream:
 *
 *     log:   … [snapshot v1 ……] changes … [snapshot v2 ……] changes …
 *     live:     r7 ────────────────────►|  stays as it is: readers go on
 *     filling:                            r8 ──────────────►| complete and not behind: r8 is live, r7 is gone
 *
 * A snapshot of the same version is written over the live table, and what it did not bring goes at its end. Another version, a gap in the
 * log, another set of columns or a command fill a new table beside it, from a snapshot's beginning.
 */
import { setImmediate } from 'node:timers/promises'
import { beginsSnapshot, openBatch, splitBatch, trustedManifest, type Manifest, type OpenBatch } from '../../protocol/batch.ts'
import { isAfter, positionNumber, samePosition, type ChainPosition, type Position } from '../../protocol/position.ts'
import { keyId, readStatement, type SigningKey } from '../../protocol/signature.ts'
import type { StoredReceipt } from '../../protocol/receipt.ts'
import { unlimited } from '../exchange/context.ts'
import { wantSnapshot } from '../exchange/streams.ts'
import type { Log, StoredBatch } from '../log.ts'
import type { Query, Store } from '../store/store.ts'
import type { Wakeups } from '../store/wakeups.ts'
import { schemaOf, storedResource, tablesOf, type ResourceTable, type StoredResource } from './records.ts'
import { applyBatch, makeReady, refusesRow, type ReadyBatch, type StoredTable } from './rows.ts'
import { createIndex, createTable, dropIndex, indexedItems, shapeOf } from './shape.ts'

export interface FollowDeps {
  store: Pick<Store, 'query' | 'transaction'>
  log: Log
  wakeups: Wakeups
  hubKey: Pick<SigningKey, 'publicKey'>
}

/** Bytes of the log that one turn takes, so that others get theirs. */
const turnBytes = 8 << 20

/** `more`: another turn will find something. */
export type Turn = 'more' | 'done'

/** One turn of one resource. Throws QZ-BATCH-* where the log holds what its provider did not sign. */
export async function followStream(deps: FollowDeps, code: string): Promise<Turn> {
  const { query } = deps.store
  const resource = await storedResource(query, code)
  if (!resource?.kept) {
    await query(`update resource_table set state = 'gone' where resource = $1 and state <> 'gone'`, [code])
    return 'done'
  }
  const { live, filling } = await tablesOf(query, code)
  const went = live && (await advance(deps, resource, live))
  if (!filling) return live && went ? goOn(deps, resource, live, went) : beginFilling(deps, resource, null)
  const filled = (await holdsTooMuch(query, resource, filling)) ? 'gap' : await advance(deps, resource, filling)
  if (filled === 'gap' || filled === 'other') {
    // The stream went on in another way, or columns have to go: another table then.
    await query(`update resource_table set state = 'gone' where id = $1`, [filling.id])
    return 'more'
  }
  return (await swapWhereReady(deps.store, resource, went)) || filled === 'moved' || went === 'moved' ? 'more' : 'done'
}

/** The live table goes on, or another is begun beside it. */
async function goOn(deps: FollowDeps, resource: StoredResource, live: ResourceTable, went: Advance): Promise<Turn> {
  const looked = live.catalogVersion === resource.catalogVersion
  const refill = went === 'gap' || live.rebuild || (!looked && (await holdsTooMuch(deps.store.query, resource, live)))
  if (refill) return beginFilling(deps, resource, null)
  if (went === 'other') return beginFilling(deps, resource, live.place)
  if (!looked) await keepIndexes(deps.store, resource, live)
  return went === 'moved' ? 'more' : 'done'
}

/** `gap`: what the log holds behind the table does not continue it; `other`: it does, in another version. */
type Advance = 'moved' | 'current' | 'gap' | 'other'

/** Writes what the log holds behind a table. */
async function advance(deps: FollowDeps, resource: StoredResource, table: ResourceTable): Promise<Advance> {
  const { log, store } = deps
  const stored = await log.read(resource.code, table.place ?? before(table.began), turnBytes)
  const made = await schemaOf(store.query, resource.code, table.version)
  const { count, next } = continuing(stored, table)
  if (count === 0) return next
  const shape = shapeOf(table.id, made, resource)
  const to: StoredTable = { id: table.id, resource: resource.code, shape }
  const ready = await open(deps, resource, stored.slice(0, count), to)
  const write = (carefully: boolean) => writeTurn(store, table, to, ready, carefully)
  await write(false).catch((error: unknown) => {
    if (!refusesRow(error)) throw error
    return write(true)
  })
  if (ready.some(({ batch }) => batch.manifest.snapshot?.last)) await forgetSwept(deps, resource.code)
  return 'moved'
}

/** Who follows changes from before the log's beginning must begin again anyway. */
async function forgetSwept({ store, log }: FollowDeps, resource: string): Promise<void> {
  const { first } = await log.state(resource)
  if (first) await store.query('delete from resource_swept where resource = $1 and position < $2', [resource, positionNumber(first)])
}

function before({ epoch, seq }: Position): Position {
  return { epoch, seq: seq - 1 }
}

/** How many of these batches continue the table, one after the other, in its version; and what comes then. */
function continuing(stored: readonly StoredBatch[], { place, began, version }: ResourceTable): { count: number; next: Advance } {
  let last = place
  for (const [count, batch] of stored.entries()) {
    const manifest = trustedManifest(splitBatch(batch.bytes, unlimited))
    const continues = last ? follows(manifest, last) : manifest.epoch === began.epoch && manifest.seq === began.seq
    if (!continues) return { count, next: 'gap' }
    if (manifest.schema !== version) return { count, next: 'other' }
    last = batch
  }
  return { count: stored.length, next: 'current' }
}

function follows(manifest: Manifest, after: ChainPosition): boolean {
  return beginsSnapshot(manifest) || (manifest.epoch === after.epoch && manifest.seq === after.seq + 1 && manifest.prev === after.hash)
}

/** Each batch verified once more by its provider's key, whatever was done to the log meanwhile. */
async function open(
  { log, store, hubKey }: FollowDeps,
  { code, agency }: StoredResource,
  stored: readonly StoredBatch[],
  { shape }: StoredTable,
): Promise<ReadyBatch[]> {
  const agents = await store.query<{ key: string }>('select public_key as key from agent where agency = $1', [agency])
  const keys = new Map([...agents.map(({ key }) => key), hubKey.publicKey].map((key) => [keyId(key), key]))
  const first = stored[0]!
  const listed = await log.list(code, before(first), stored.length)
  const received = new Map(listed.map(({ hash, receipt }) => [hash, (readStatement(receipt) as StoredReceipt | undefined)?.time]))
  const ready: ReadyBatch[] = []
  for (const { bytes, hash } of stored) {
    const batch: OpenBatch = openBatch(splitBatch(bytes, unlimited), (id) => keys.get(id), unlimited)
    ready.push(makeReady(batch, shape, received.get(hash) ?? batch.manifest.time))
    // Unpacking takes milliseconds: others get their turn between batches.
    await setImmediate()
  }
  return ready
}

/** Rows and place in one transaction. Another hub process may have done it: then nothing. What is written here can be made again: no wait for the disk. */
async function writeTurn(
  store: Pick<Store, 'transaction'>,
  { place }: ResourceTable,
  table: StoredTable,
  ready: readonly ReadyBatch[],
  carefully: boolean,
): Promise<void> {
  await store.transaction(async (query) => {
    await query('set local synchronous_commit = off')
    const [now] = await query<{ epoch: string | null; seq: string; hash: string; anyAside: boolean }>(
      `select epoch, seq, hash, exists (select from resource_table_aside where resource_table = $1) as "anyAside"
       from resource_table where id = $1 and state <> 'gone' for no key update`,
      [table.id],
    )
    const at = now && now.epoch !== null ? { epoch: Number(now.epoch), seq: Number(now.seq), hash: now.hash } : null
    if (!now || !samePosition(at, place)) return
    let grown = 0
    const putting = { carefully, anyAside: now.anyAside }
    for (const one of ready) grown += await applyBatch(query, table, one, putting)
    const { batch, received } = ready.at(-1)!
    const { epoch, seq } = batch.manifest
    const complete = ready.some((one) => one.batch.manifest.snapshot?.last)
    await query(
      `update resource_table set epoch = $2, seq = $3, hash = $4, rows = rows + $5, as_of = $6, complete = complete or $7 where id = $1`,
      [table.id, epoch, seq, batch.hash, grown, received, complete],
    )
  })
}

/** Whether it has columns that must not be stored any more. */
async function holdsTooMuch(query: Query, resource: StoredResource, table: ResourceTable): Promise<boolean> {
  const allowed = new Set(shapeOf(table.id, await schemaOf(query, resource.code, table.version), resource).items.map(({ id }) => id))
  return table.items.some((item) => !allowed.has(item))
}

/** A new table from a snapshot that begins after a place: the newest complete one, or one under way. Where there is none at all, it is asked for. */
async function beginFilling({ store, log, wakeups }: FollowDeps, resource: StoredResource, after: Position | null): Promise<Turn> {
  const { complete, begun, head } = await log.state(resource.code)
  const found = [complete, begun].find((snapshot) => snapshot && isAfter(snapshot.began, after))
  const [first] = found ? await log.read(resource.code, before(found.began), 1) : []
  if (first) {
    const version = trustedManifest(splitBatch(first.bytes, unlimited)).schema
    await makeTable(store, resource, version, found!.began)
    return 'more'
  }
  if (head && !after && (await wantSnapshot(store, resource.code, head))) wakeups.wake(`snapshot:${resource.code}`)
  return 'done'
}

async function makeTable(store: Pick<Store, 'transaction'>, resource: StoredResource, version: number, began: Position): Promise<void> {
  await store.transaction(async (query) => {
    const made = await schemaOf(query, resource.code, version)
    const items = shapeOf('0', made, resource).items.map(({ id }) => id)
    const [row] = await query<{ id: string }>(
      `insert into resource_table (resource, version, items, began_epoch, began_seq) values ($1, $2, $3, $4, $5) on conflict do nothing returning id`,
      [resource.code, version, items, began.epoch, began.seq],
    )
    if (row) await query(createTable(shapeOf(row.id, made, resource)))
  })
}

/** Readers see the new table from one statement to the next. @returns whether they do. */
async function swapWhereReady(
  store: Pick<Store, 'query' | 'transaction'>,
  resource: StoredResource,
  went: Advance | undefined,
): Promise<boolean> {
  const { live, filling } = await tablesOf(store.query, resource.code)
  if (!filling?.complete || !filling.place) return false
  const liveGoesOn = went === 'moved' || went === 'current'
  if (live?.place && liveGoesOn && isAfter(live.place, filling.place)) return false
  await keepIndexes(store, resource, filling)
  await store.transaction(async (query) => {
    const locked = await query<{ id: string }>(
      `select id from resource_table where resource = $1 and state <> 'gone' order by id for no key update`,
      [resource.code],
    )
    if (!locked.some(({ id }) => id === filling.id)) return
    await query(`update resource_table set state = 'gone' where resource = $1 and state = 'live'`, [resource.code])
    await query(`update resource_table set state = 'live' where id = $1`, [filling.id])
  })
  return true
}

/** Makes the indexes that the table should have, and drops those that it need not. */
export async function keepIndexes(
  store: Pick<Store, 'query' | 'transaction'>,
  resource: StoredResource,
  table: ResourceTable,
): Promise<void> {
  const shape = shapeOf(table.id, await schemaOf(store.query, resource.code, table.version), resource)
  const wanted = indexedItems(shape, resource.searchable)
  await store.transaction(async (query) => {
    const [now] = await query<{ indexed: string[] }>('select indexed from resource_table where id = $1 for no key update', [table.id])
    if (!now) return
    for (const item of now.indexed) if (!wanted.includes(item)) await query(dropIndex(shape, item))
    const made: string[] = []
    for (const item of wanted) if (now.indexed.includes(item) || (await tryIndex(query, createIndex(shape, item)))) made.push(item)
    await query('update resource_table set indexed = $2, catalog_version = $3 where id = $1', [table.id, made, resource.catalogVersion])
  })
  await store.query(`analyze ${shape.name}`)
}

/** Values that were stored before their item was searchable may be too long for it: then rows are found without an index. */
async function tryIndex(query: Query, sql: string): Promise<boolean> {
  await query('savepoint making_index')
  try {
    await query(sql)
    return true
  } catch (error) {
    if (!refusesRow(error)) throw error
    await query('rollback to savepoint making_index')
    return false
  }
}
