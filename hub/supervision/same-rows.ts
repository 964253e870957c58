import { hash } from 'node:crypto'
import { blockValues, opBlock, splitBatch, trustedManifest, type Manifest, type SealedBatch } from '../../protocol/batch.ts'
import { keyItems, type Schema } from '../../protocol/schema.ts'
import type { Position } from '../../protocol/position.ts'
import type { ListedBatch, Log, StoredBatch } from '../log.ts'
import { dayOf, type Day } from '../records/calendar.ts'
import { readRules } from '../records/settings.ts'
import type { Query } from '../store/store.ts'
import { cyclesOwing, frequencies, periodOf, type Cycle } from './duties/periods.ts'

/** Bytes of a log, as stored, up to which it is read for this. */
const longest = 64 << 20
/** Bytes read at once. */
const portion = 4 << 20

/**
 * Of the batches that a turn puts on record, those that say that rows changed and in which every row stands as it stood before: an update
 * of nothing (`set x = x`, a row deleted and inserted again before it was read). Looked at is only what a duty may hang on: until a day's
 * first change that is one, in a period without an update so far.
 *
 * What the hub cannot tell counts as changed: rows beside a snapshot of the same day, which may have brought them first; logs that hold no
 * whole state (resources that are only relayed) or more than 64 MiB.
 * @returns hashes of their manifests.
 */
export async function sameBatches(
  { query, log }: { query: Query; log: Log },
  resource: string,
  batches: readonly (ListedBatch & { time: string })[],
): Promise<Set<string>> {
  const changes = batches.filter(({ snapshot, rows }) => snapshot === undefined && rows > 0)
  const beside = new Set(batches.filter(({ snapshot }) => snapshot !== undefined).map(dayOfBatch))
  const days = await openDays(
    query,
    resource,
    [...new Set(changes.map(dayOfBatch))].filter((day) => !beside.has(day)),
  )
  const wanted = changes.filter((batch) => days.has(dayOfBatch(batch)))
  if (wanted.length === 0) return new Set()
  const { first, snapshotBytes, bytesSince } = await log.state(resource)
  if (first === null || snapshotBytes + bytesSince > longest) return new Set()
  return compare({ query, log }, resource, new Map(wanted.map((batch) => [batch.hash, dayOfBatch(batch)])), wanted.at(-1)!)
}

const dayOfBatch = ({ time }: { time: string }): Day => dayOf(new Date(time))

/** Days without a snapshot, in a period of the resource's cycle that has no update yet. */
async function openDays(query: Query, resource: string, days: readonly Day[]): Promise<Set<Day>> {
  if (days.length === 0) return new Set()
  const [found] = await query<{ cycle: Cycle }>('select cycle from resource where code = $1', [resource])
  const { duties } = await readRules(query)
  const frequency = found && frequencies.find((one) => cyclesOwing(one, duties).includes(found.cycle))
  const open = new Set<Day>()
  for (const day of frequency ? days : []) {
    const { from, to } = periodOf(frequency!, day)
    if (day > to) continue
    const settled = await query(
      `select from supply_day where resource = $1 and (day between $2::date and $3::date and changed_rows > same_rows
         or day = $4::date and snapshot_rows > 0) limit 1`,
      [resource, from, to, day],
    )
    if (settled.length === 0) open.add(day)
  }
  return open
}

async function compare(
  { query, log }: { query: Query; log: Log },
  resource: string,
  /** Hashes of the manifests, with their days. */
  wanted: ReadonlyMap<string, Day>,
  { epoch, seq }: Position,
): Promise<Set<string>> {
  const keysOf = await readKeys(query, resource)
  // Both as hashes, so that a log of many rows takes little memory.
  const state = new Map<number, number>()
  const changed = new Set<Day>()
  const same = new Set<string>()
  let after: Position | null = null
  for (let begun = false; ; begun = true) {
    const found: StoredBatch[] = await log.read(resource, after, portion)
    for (const stored of found) {
      if (stored.epoch > epoch || (stored.epoch === epoch && stored.seq > seq)) return same
      const sealed = splitBatch(stored.bytes)
      const manifest = trustedManifest(sealed)
      // Without a whole state at its beginning nothing can be compared.
      if (!begun && stored === found[0] && manifest.snapshot?.began !== manifest.seq) return same
      const rows = rowsOf(sealed, manifest, keysOf(manifest.schema))
      const day = wanted.get(stored.hash)
      if (day !== undefined && !changed.has(day)) {
        if ([...rows].some(([key, row]) => (state.get(key) ?? null) !== row)) changed.add(day)
        else same.add(stored.hash)
      }
      for (const [key, row] of rows) {
        if (row === null) state.delete(key)
        else state.set(key, row)
      }
    }
    const last = found.at(-1)
    if (!last) return same
    after = { epoch: last.epoch, seq: last.seq }
  }
}

/** What a batch says of its keys, null of what has no row any more; those whose rows could not be sent are left out. */
function rowsOf(sealed: SealedBatch, manifest: Manifest, keys: readonly string[]): Map<number, number | null> {
  const open = { ...sealed, manifest, keyId: '' }
  const items = sealed.blocks.map(({ item }) => item)
  const ops = items.includes(opBlock) ? blockValues(open, opBlock) : undefined
  const columns = items.filter((item) => item !== opBlock).toSorted()
  const values = columns.map((item) => blockValues(open, item))
  const keyColumns = keys.map((item) => columns.indexOf(item))
  const rows = new Map<number, number | null>()
  for (let i = 0; i < manifest.rows; i++) {
    const op = ops?.[i] ?? 'u'
    if (op.startsWith('c:')) continue
    const key = digest(keyColumns.map((column) => values[column]?.[i] ?? null))
    rows.set(key, op === 'd' ? null : digest(values.map((column) => column[i] ?? null)))
  }
  return rows
}

function digest(texts: readonly (string | null)[]): number {
  return Number.parseInt(hash('sha256', JSON.stringify(texts), 'hex').slice(0, 13), 16)
}

/** Key items by version of the schema. */
async function readKeys(query: Query, resource: string): Promise<(version: number) => readonly string[]> {
  const rows = await query<{ version: number; schema: Schema }>('select version, schema from resource_version where resource = $1', [
    resource,
  ])
  const known = new Map(rows.map(({ version, schema }) => [version, keyItems(schema).map(({ id }) => id)]))
  return (version) => known.get(version) ?? []
}
