/** What the store says of resource tables: which there are, and up to where each has its stream. */
import { QianzhiError } from '../../protocol/errors.ts'
import { readText, same, type LocalizedText } from '../../protocol/localized.ts'
import type { ChainPosition, Position } from '../../protocol/position.ts'
import type { Schema } from '../../protocol/schema.ts'
import type { Query } from '../store/store.ts'

export interface ResourceTable {
  id: string
  state: 'filling' | 'live'
  version: number
  /** Items that are its columns, and those that an index stands on beside the key. */
  items: string[]
  indexed: string[]
  /** The catalog version by which columns and indexes were looked at last. */
  catalogVersion: number
  /** Where the snapshot began that it is made from, and whether that is complete. */
  began: Position
  complete: boolean
  /** What it holds; null before its first batch. */
  place: ChainPosition | null
  rebuild: boolean
}

/** A resource, as far as its table depends on it. */
export interface StoredResource {
  code: string
  agency: string
  catalogVersion: number
  schema: Schema
  storedClosed: string[]
  /** Items that the catalog calls searchable. */
  searchable: string[]
  /** False where nothing of it stays: it is relayed, withdrawn or declared secret (Art. 5, 26). */
  kept: boolean
}

/** SQL: whether the hub may hold a table of a resource `r`. */
export const keptSql = `(r.keep = 'store' and r.state <> 'withdrawn' and not r.secrecy)`

export async function storedResource(query: Query, code: string): Promise<StoredResource | undefined> {
  const [row] = await query<StoredResource>(
    `select r.code, r.agency, r.catalog_version as "catalogVersion", v.schema,
       array(select item ->> 'id' from jsonb_array_elements(v.schema -> 'items') item where item -> 'searchable' = 'true') as searchable,
       v.stored_closed_items as "storedClosed", ${keptSql} as kept
     from resource r join resource_version v on v.resource = r.code and v.version = r.version where r.code = $1`,
    [code],
  )
  return row
}

/** A registered version of a resource. */
export async function schemaOf(query: Query, resource: string, version: number): Promise<Schema> {
  const [row] = await query<{ schema: Schema }>('select schema from resource_version where resource = $1 and version = $2', [
    resource,
    version,
  ])
  if (!row) throw new Error(`version ${version} of ${resource} is not registered`)
  return row.schema
}

interface Row extends Omit<ResourceTable, 'began' | 'place'> {
  began_epoch: string
  began_seq: string
  epoch: string | null
  seq: string | null
  hash: string
}

/** The tables of a resource that are not on their way out: at most one of each state. */
export async function tablesOf(query: Query, resource: string): Promise<{ filling?: ResourceTable; live?: ResourceTable }> {
  const rows = await query<Row>(
    `select id, state, version, items, indexed, catalog_version as "catalogVersion", began_epoch, began_seq, complete, epoch, seq, hash, rebuild
     from resource_table where resource = $1 and state <> 'gone'`,
    [resource],
  )
  return Object.fromEntries(rows.map((row) => [row.state, tableOf(row)]))
}

function tableOf({ began_epoch, began_seq, epoch, seq, hash, ...row }: Row): ResourceTable {
  const place = epoch === null ? null : { epoch: Number(epoch), seq: Number(seq), hash }
  return { ...row, began: { epoch: Number(began_epoch), seq: Number(began_seq) }, place }
}

/** How a resource's table stands, for those who run the hub. */
export interface TableStatus {
  id: string
  resource: string
  state: 'filling' | 'live'
  version: number
  rows: number
  /** Keys whose rows cannot stand in it. */
  aside: number
  asOf: Date | null
  /** Batches' places: what it holds, and where the stream's head is. */
  place: string | null
  head: string | null
  fault: LocalizedText | null
}

export async function listTables(query: Query): Promise<TableStatus[]> {
  const rows = await query<Omit<TableStatus, 'fault'> & { fault: string | null }>(
    `select t.id, t.resource, t.state, t.version, t.rows::float8 as rows, t.as_of as "asOf", t.epoch || '/' || t.seq as place,
       s.epoch || '/' || s.seq as head, f.reason as fault,
       (select count(*)::int from resource_table_aside a where a.resource_table = t.id) as aside
     from resource_table t left join stream s on s.resource = t.resource left join resource_table_fault f on f.resource = t.resource
     where t.state <> 'gone' order by t.resource, t.id`,
  )
  return rows.map(({ fault, ...row }) => ({ ...row, fault: fault === null ? null : asLocalized(readText(fault)) }))
}

function asLocalized(text: string | LocalizedText): LocalizedText {
  return typeof text === 'string' ? same(text) : text
}

/** Has a live table made anew from the log, beside the one that readers see. Throws QZ-NOT-FOUND. */
export async function rebuildTable(query: Query, resource: string): Promise<void> {
  const marked = await query(`update resource_table set rebuild = true where resource = $1 and state = 'live' returning 1`, [resource])
  if (marked.length === 0)
    throw new QianzhiError('QZ-NOT-FOUND', { what: { zh: `资源 ${resource} 的资源表`, en: `a table of resource ${resource}` } })
}
