/**
 * Changes of a resource since a position, for copies that others keep: upserts and deletes in the order in which the hub's own table took
 * them. A place is `epoch.seq.row.shape`: behind so many rows of that batch, of a copy of that shape.
 */
import { hash as digest } from 'node:crypto'
import { splitBatch, trustedManifest, type OpenBatch } from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { comparePositions, isAfter, positionNumber, type Position } from '../../protocol/position.ts'
import type { Value } from '../../protocol/value.ts'
import { unlimited } from '../exchange/context.ts'
import type { Log } from '../log.ts'
import type { Query } from '../store/store.ts'
import { readRows } from '../tables/rows.ts'
import { rowJson } from './exports.ts'
import { wrong } from './filters.ts'
import type { Share, SharedItem } from './share.ts'

export interface ChangesDeps {
  query: Query
  log: Pick<Log, 'read' | 'state'>
}

export interface Change {
  op: 'upsert' | 'delete'
  /** Values of the selected items; of a delete those of the key alone. */
  values: Value[]
}

export interface Changes {
  changes: Change[]
  /** Where to go on. */
  next: string
  /** False where there is more now. */
  complete: boolean
}

interface Place extends Position {
  /** Rows of this batch that were had. */
  row: number
  /** Of the copy that is continued: `copyShape`; undefined of one that was begun by an older hub. */
  shape: string | undefined
}

const placeForm = /^([1-9]\d{0,9})\.(\d{1,10})\.(\d{1,7})(?:\.([\w-]{12}))?$/

/** What a copy is made of: the items that are told, each as it is masked. Where it changes, what was told of other rows is not as it would be told now. */
export function copyShape({ id: right }: Pick<Share, 'id'>, select: readonly SharedItem[]): string {
  const items = select.map(({ id, masked }) => [id, masked ?? null, masked?.kind === 'hash' ? right : null])
  return digest('sha256', JSON.stringify(items), 'base64url').slice(0, 12)
}

/** Bytes of the log that one answer reads. */
const portion = 4 << 20

/**
 * At most about `limit` changes. Without `after` from the beginning: the newest complete snapshot. Throws QZ-DATA-FILTER where `after` is no place,
 * QZ-DATA-TRIMMED where nothing goes on from there, or the copy is of another shape: it is to be made anew.
 */
export async function readChanges(
  { query, log }: ChangesDeps,
  share: Share,
  { after, limit, select }: { after: string | undefined; limit: number; select: readonly SharedItem[] },
): Promise<Changes> {
  const shape = copyShape(share, select)
  const from = after === undefined ? { ...(await beginning(log, share)), shape } : placeOf(after)
  if (from.shape !== shape)
    throw trimmed(after!, {
      zh: '所要的信息项或其脱敏已变，已有的行与现在的不同',
      en: 'the items asked for, or their masks, are other ones: rows that are there would be told otherwise now',
    })
  if (isAfter(from, share.table.place)) throw trimmed(after!, { zh: '中心没有这一位置', en: 'the hub has no such place' })
  const batches = await log.read(share.resource, { epoch: from.epoch, seq: from.seq - 1 }, portion)
  // The batch of the place may be all that a portion holds.
  if (batches.length === 1) batches.push(...(await log.read(share.resource, from, portion)))
  const changes: Change[] = []
  let at: Place = from
  let first = true
  for (const { bytes, hash } of batches) {
    const sealed = splitBatch(bytes, unlimited)
    const batch: OpenBatch = { ...sealed, manifest: trustedManifest(sealed), keyId: '', hash }
    const { epoch, seq, schema, snapshot } = batch.manifest
    if (first) checkContinues(from, batch, after)
    first = false
    if (comparePositions({ epoch, seq }, share.table.place) > 0) break
    if (schema !== share.table.version) {
      if (after === undefined || changes.length === 0)
        throw trimmed(after ?? '-', { zh: '资源的版本已变', en: 'the resource has another version' })
      break
    }
    const skipped = epoch === from.epoch && seq === from.seq ? from.row : 0
    const rows = changesOf(batch, share, select)
    const swept = snapshot?.last ? await sweptAt(query, share, positionNumber({ epoch, seq })) : []
    const all = [...rows, ...swept]
    const taken = all.slice(skipped, skipped + Math.max(0, limit - changes.length))
    for (const change of taken) if (change) changes.push(change)
    at = { epoch, seq, row: skipped + taken.length, shape }
    if (at.row < all.length) return { changes, next: showPlace(at), complete: false }
    if (changes.length >= limit) break
  }
  if (batches.length === 0) throw trimmed(after ?? '-', { zh: '所需的批次已清理', en: 'the batches that are needed are gone' })
  const complete = comparePositions(at, share.table.place) === 0
  return { changes, next: showPlace(at), complete }
}

/** JSON of each change, as answers and webhooks tell them. */
export function changeLines({ keys }: Pick<Share, 'keys'>, select: readonly SharedItem[], changes: readonly Change[]): string[] {
  return changes.map(({ op, values }) => `{"op":"${op}","item":${rowJson(op === 'upsert' ? select : keys, values)}}`)
}

async function beginning(log: Pick<Log, 'state'>, { resource, table }: Share): Promise<Omit<Place, 'shape'>> {
  const { complete } = await log.state(resource)
  if (!complete || isAfter(complete.began, table.place)) throw new QianzhiError('QZ-DATA-PREPARING', { resource })
  return { ...complete.began, row: 0 }
}

function placeOf(after: string): Place {
  const [, epoch, seq, row, shape] = placeForm.exec(after) ?? []
  if (epoch === undefined) throw wrong('after', { zh: '须为上次得到的 next', en: 'it must be the next of the answer before' })
  return { epoch: Number(epoch), seq: Number(seq), row: Number(row), shape }
}

/** Below zero where the first is behind the second. Throws QZ-DATA-FILTER. */
export function comparePlaces(one: string, other: string): number {
  const [first, second] = [placeOf(one), placeOf(other)]
  return comparePositions(first, second) || first.row - second.row
}

function showPlace({ epoch, seq, row, shape }: Place): string {
  return `${epoch}.${seq}.${row}.${shape}`
}

/** The batch of the place itself must still be there, else what came between cannot be known. */
function checkContinues({ epoch, seq }: Place, { manifest }: OpenBatch, after: string | undefined): void {
  if (manifest.epoch === epoch && manifest.seq === seq) return
  throw trimmed(after ?? '-', { zh: '所需的批次已清理', en: 'the batches that are needed are gone' })
}

/** Nothing goes on from there. */
export function trimmed(after: string, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-DATA-TRIMMED', { after: after.slice(0, 60), reason })
}

/** One for each row of the batch; null for rows that change nothing. */
function changesOf(batch: OpenBatch, { keys, table }: Share, select: readonly SharedItem[]): (Change | null)[] {
  const { read, said } = readRows(batch, table.items)
  const columnOf = ({ id, mask }: SharedItem): Value[] => {
    const { values } = read[table.items.findIndex((item) => item.id === id)]!
    return mask ? values.map((value) => (value === null ? null : mask(value))) : values
  }
  const [selected, key] = [select.map(columnOf), keys.map(columnOf)]
  return said.map((one, row): Change | null => {
    if (one === 'u') return { op: 'upsert', values: selected.map((values) => values[row]!) }
    return one === 'd' ? { op: 'delete', values: key.map((values) => values[row]!) } : null
  })
}

async function sweptAt(query: Query, { resource }: Share, position: string): Promise<Change[]> {
  const rows = await query<{ key: string }>('select key from resource_swept where resource = $1 and position = $2 order by key', [
    resource,
    position,
  ])
  return rows.map(({ key }) => ({ op: 'delete', values: JSON.parse(key) as Value[] }))
}
