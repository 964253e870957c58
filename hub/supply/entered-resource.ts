/** A resource whose rows people enter (Art. 15), and where its stream stands. */
import { comparePositions, isAfter, samePosition, type ChainPosition, type Position } from '../../protocol/position.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { StoredReceipt } from '../../protocol/receipt.ts'
import { keyItems, type Schema } from '../../protocol/schema.ts'
import { readStatement } from '../../protocol/signature.ts'
import { readStreams } from '../exchange/streams.ts'
import type { Log } from '../log.ts'
import { notFound } from '../records/refusals.ts'
import { enteredSql, hubProducer, sharedSql, suppliedItems } from '../records/supply.ts'
import type { CatalogItem } from '../registry/catalog/content.ts'
import type { Query, Store } from '../store/store.ts'
import { keptSql, tablesOf, type ResourceTable } from '../tables/records.ts'

export interface EnteredResource {
  code: string
  title: string
  agency: string
  supplyMode: string
  schema: Schema
  /** What people enter: all items but the closed ones that the provider does not store here, in the order of the schema. */
  items: readonly CatalogItem[]
  keys: readonly CatalogItem[]
  /** Why no rows can be entered now. */
  closed?: LocalizedText
}

interface Row {
  code: string
  title: string
  agency: string
  supplyMode: string
  schema: Schema
  storedClosed: string[]
  entered: boolean
  shared: boolean
  kept: boolean
}

/** Throws QZ-NOT-FOUND. */
export async function enteredResource(query: Query, code: string): Promise<EnteredResource> {
  const [row] = await query<Row>(
    `select r.code, r.title, r.agency, r.supply_mode as "supplyMode", v.schema, v.stored_closed_items as "storedClosed", ${enteredSql} as entered,
       ${sharedSql} as shared, ${keptSql} as kept
     from resource r join resource_version v on v.resource = r.code and v.version = r.version where r.code = $1`,
    [code],
  )
  if (!row) throw notFound('resource', code)
  const { title, agency, supplyMode, schema } = row
  const ids = suppliedItems(schema, row.storedClosed)
  const items = (schema.items as CatalogItem[]).filter(({ id }) => ids.includes(id))
  const closed = whyClosed(row)
  return { code, title, agency, supplyMode, schema, items, keys: keyItems({ items }), ...(closed && { closed }) }
}

function whyClosed({ entered, shared, kept }: Row): LocalizedText | undefined {
  if (!entered) return { zh: '其提供方式为前置交换', en: 'a front-end machine supplies it' }
  if (!shared) return { zh: '资源已停止共享', en: 'it is not shared now' }
  return kept ? undefined : { zh: '其数据不存储在中心', en: 'the hub does not store it' }
}

/** Throws QZ-FORM-CLOSED. */
export function requireOpen({ code, closed }: EnteredResource): void {
  if (closed) throw new QianzhiError('QZ-FORM-CLOSED', { resource: code, reason: closed })
}

/** By which of the two ways people bring the rows: never both. */
export type EntryMode = 'form' | 'excel'

const otherWays: Record<EntryMode, LocalizedText> = {
  form: { zh: '其提供方式为 EXCEL 导入', en: 'its rows come by Excel' },
  excel: { zh: '其提供方式为在线表单录入', en: 'its rows are entered by form' },
}

export function modeFault({ supplyMode }: Pick<EnteredResource, 'supplyMode'>, mode: EntryMode): LocalizedText | undefined {
  return supplyMode === mode ? undefined : otherWays[mode]
}

/** Throws QZ-FORM-CLOSED. */
export function requireMode(resource: Pick<EnteredResource, 'code' | 'supplyMode'>, mode: EntryMode): void {
  const reason = modeFault(resource, mode)
  if (reason) throw new QianzhiError('QZ-FORM-CLOSED', { resource: resource.code, reason })
}

/** Where the stream stands. The resource's table was read after this: where it has moved on, so has the head. */
export interface StreamState {
  head: ChainPosition | null
  /** Highest epoch that was ever heard of. */
  known: number
  /** The head is the hub's own. */
  ours: boolean
  /** Somebody waits for a snapshot. */
  wanted: boolean
  /** The newest complete rows. */
  live: ResourceTable | undefined
  /** `goes-on`: the next batch goes behind `head`; `begins`: an epoch begins, with what `live` holds; `moves`: the table is behind the log. */
  next: 'goes-on' | 'begins' | 'moves'
}

export async function streamState(
  { store, log }: { store: Pick<Store, 'query' | 'pool'>; log: Pick<Log, 'state' | 'receipt'> },
  { code, schema }: EnteredResource,
): Promise<StreamState> {
  const { live } = await tablesOf(store.query, code)
  const notes = (await readStreams(store, [code])).get(code)
  const { head, complete, begun } = await log.state(code)
  const known = Math.max(head?.epoch ?? 0, notes?.knownEpoch ?? 0)
  const ours = head !== null && (await producerAt(log, code, head)) === hubProducer
  const state = { head, known, live, ours, wanted: notes?.wanted !== undefined }
  const current = samePosition(live?.place, head)
  const whole = begun === null || (complete !== null && comparePositions(complete.began, begun.began) === 0)
  if (!current) return { ...state, next: canBegin(live, complete, begun) ? 'begins' : 'moves' }
  const restored = known > (head?.epoch ?? 0) || isAfter(notes?.wanted?.after ?? { epoch: 0, seq: 0 }, head)
  const goesOn = ours && whole && !restored && live?.version === schema.version
  return { ...state, next: goesOn ? 'goes-on' : 'begins' }
}

/** Behind the table lies nothing but a snapshot that was broken off, or there never was a complete one. */
function canBegin(live: ResourceTable | undefined, complete: { began: Position } | null, begun: { began: Position } | null): boolean {
  if (!live?.place) return complete === null
  return begun !== null && isAfter(begun.began, live.place) && !(complete && isAfter(complete.began, live.place))
}

/** Who made the batch at a place of a stream. */
export async function producerAt(log: Pick<Log, 'receipt'>, resource: string, at: ChainPosition): Promise<string | undefined> {
  const receipt = await log.receipt(resource, at)
  return receipt === undefined ? undefined : (readStatement(receipt) as StoredReceipt | undefined)?.producer
}
