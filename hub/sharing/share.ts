/** What somebody may read of a resource now, in query, API or open data (Art. 5, 16). */
import { isDeepStrictEqual } from 'node:util'
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { maskOf, type Mask, type Masks } from '../../protocol/masks.ts'
import type { Position } from '../../protocol/position.ts'
import type { Schema } from '../../protocol/schema.ts'
import { unmaskable } from '../records/masks.ts'
import { sharedSql } from '../records/supply.ts'
import type { Value } from '../../protocol/value.ts'
import type { CatalogItem } from '../registry/catalog/content.ts'
import type { Query } from '../store/store.ts'
import { keptSql } from '../tables/records.ts'
import { tableName } from '../tables/shape.ts'

/** An item as one right shows it. */
export interface SharedItem extends CatalogItem {
  /** Set where not all of its values is shown: then nothing is found, sorted, checked or proven by it. */
  mask?: (value: string) => Value
  masked?: Mask
}

export interface Share {
  /** Names the right: cursors and tags of one are worth nothing for another. */
  id: string
  resource: string
  title: string
  /** The source, which every answer names (Art. 5). */
  agency: string
  agencyName: string
  /** In the order of the schema, keys among them. */
  items: readonly SharedItem[]
  keys: readonly SharedItem[]
  table: SharedTable
}

export interface SharedTable {
  name: string
  version: number
  /** All that it holds, whoever may read it. */
  items: readonly CatalogItem[]
  rows: number
  /** Up to where the stream stands in it. */
  place: Position
  /** Hub's time of acceptance of the newest batch in it. */
  asOf: Date
}

interface Row {
  resource: string
  title: string
  agency: string
  agencyName: string
  schema: Schema
  shared: boolean
  kept: boolean
  table: string | null
  version: number
  columns: string[]
  rows: string
  epoch: string
  seq: string
  asOf: Date
}

const shareSql = `
  select r.code as resource, r.title, r.agency, a.name as "agencyName", v.schema, ${sharedSql} as shared, ${keptSql} as kept,
    t.id as table, t.version, t.items as columns, t.rows, t.epoch, t.seq, t.as_of as "asOf"
  from resource r join agency a on a.code = r.agency join resource_version v on v.resource = r.code and v.version = r.version
    left join resource_table t on t.resource = r.code and t.state = 'live'
  where r.code = $1`

export interface Asked {
  /** Of the right by which is read. */
  id: string
  resource: string
  /** Ids of the items that it names; keys go with them. `own`: the provider's own rows, closed items that it stores here among them. */
  items: readonly string[] | 'own'
  /** Of what is not shown whole; `secret` is the right's own. */
  masks?: Masks
  secret?: Buffer
}

/**
 * The items that were granted and are open now, and the table that holds them. An item that was closed since is not there, whatever was
 * granted. Nothing is shown while an item that is to be masked cannot be. Throws QZ-DATA-ENDED, QZ-DATA-RELAYED, QZ-DATA-PREPARING.
 */
export async function openShare(query: Query, { id, resource, items, masks = {}, secret = noSecret }: Asked): Promise<Share> {
  const [row] = await query<Row>(shareSql, [resource])
  if (!row || (items !== 'own' && !row.shared)) throw ended(resource, { zh: '资源已停止共享', en: 'the resource is not shared any more' })
  if (!row.kept) throw new QianzhiError('QZ-DATA-RELAYED', { resource })
  if (row.table === null) throw new QianzhiError('QZ-DATA-PREPARING', { resource })
  const { title, agency, agencyName, schema, version, columns, rows, epoch, seq, asOf } = row
  const readable = (item: CatalogItem) => items === 'own' || (item.openness !== 'closed' && (item.key || items.includes(item.id)))
  const stored = (schema.items as CatalogItem[]).filter((item) => columns.includes(item.id))
  const open = stored.filter(readable)
  const whole = unmaskable(open, masks)
  if (whole) throw ended(resource, whole.reason)
  const shown = open.map((item): SharedItem => {
    const mask = masks[item.id]
    return mask ? { ...item, mask: maskOf(mask, secret), masked: mask } : item
  })
  const place = { epoch: Number(epoch), seq: Number(seq) }
  const table = { name: tableName(row.table), version, items: stored, rows: Number(rows), place, asOf }
  return { id, resource, title, agency, agencyName, items: shown, keys: shown.filter(({ key }) => key), table }
}

/** Of rights that mask nothing. */
const noSecret = Buffer.alloc(0)

export function ended(resource: string, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-DATA-ENDED', { resource, reason })
}

/** The item of this id that may be used. One answer for unknown, closed and ungranted ones. Throws QZ-DATA-ITEM. */
export function requireItem({ items }: Pick<Share, 'items'>, id: string): SharedItem {
  const item = items.find((one) => one.id === id)
  if (!item) throw new QianzhiError('QZ-DATA-ITEM', { item: id.slice(0, 60) })
  return item
}

/** Items whose blocks of a signed batch may be handed out: what is masked is in none. */
export function provable({ items }: Share): Set<string> {
  return new Set(items.flatMap(({ id, mask }) => (mask ? [] : [id])))
}

/** What is being read is still shown, each item as it was. Throws QZ-DATA-ENDED. */
export function requireStill({ resource, items }: Share, select: readonly SharedItem[]): void {
  const still = ({ id, masked }: SharedItem) => items.some((item) => item.id === id && isDeepStrictEqual(item.masked, masked))
  if (!select.every(still)) throw ended(resource, { zh: '授权已变更', en: 'what is granted has changed' })
}
