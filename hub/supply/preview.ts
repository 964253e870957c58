/** Rows as they would be delivered, of what people enter: the hub answers as the provider's agent does of its table (SPEC section 5). */
import { answerLimits, fitting, type PreviewAnswer, type PreviewQuestion } from '../../protocol/asks.ts'
import { deliverableItems } from '../../protocol/schema.ts'
import { openShare } from '../sharing/share.ts'
import type { Query } from '../store/store.ts'
import type { Reader } from '../tables/reader.ts'
import { quoted } from '../tables/shape.ts'
import { enteredResource } from './entered-resource.ts'
import type { HubProducer } from './producer.ts'
import { checkRow } from './row-faults.ts'

export interface PreviewDeps {
  query: Query
  reader: Pick<Reader, 'rows'>
  producer: Pick<HubProducer, 'share'>
}

/** Closed items are not shown. Throws QZ-DATA-RELAYED, QZ-DATA-PREPARING. */
export async function previewOwn({ query, reader, producer }: PreviewDeps, question: PreviewQuestion): Promise<PreviewAnswer> {
  const { resource: code, schema, rows: most } = question
  const items = deliverableItems(schema, question.items)
  const ids = items.map(({ id }) => id)
  const nothing = { items: ids, rows: [], faults: [], warned: 0, omitted: 0 }
  if (!(await producer.share(code))) return nothing
  const share = await openShare(query, { id: 'own', resource: code, items: 'own' })
  const order = share.keys.map(({ id }) => quoted(id)).join(', ')
  const sql = `select ${share.items.map(({ id }) => quoted(id)).join(', ')} from ${share.table.name} order by ${order} limit ${most}`
  const read = await reader.rows(share.items, sql, [])
  const rows = read.map((row) => Object.fromEntries(share.items.map(({ id }, i) => [id, row[i]!])))
  const shown = fitting(
    rows.map((row) => ids.map((id) => row[id] ?? null)),
    answerLimits.plain / 2,
  )
  const resource = await enteredResource(query, code)
  const warned = rows.slice(0, shown.length).filter((row) => checkRow(resource, row).warnings.length > 0).length
  return { ...nothing, rows: shown, warned, omitted: rows.length - shown.length }
}
