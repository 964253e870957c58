import { narrowing } from '../../protocol/collected-rows.ts'
import type { ReconcileQuestion } from '../../protocol/reconciliation.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import type { Policy } from '../../protocol/policy.ts'
import { deliverableItems, type Item } from '../../protocol/schema.ts'
import type { AgentConfig } from '../config/config.ts'
import { engineOf } from '../databases/index.ts'
import { deliveredRows, type Row, type SinkTable, type SourceTable } from '../database.ts'
import { sinksInForce } from '../config/granted.ts'
import { receivesFor, sinkTable, sourceTable, supplyFor } from '../config/tables.ts'

/** One side of a route as it is read for a reconciliation. */
export interface ReconciledTable {
  side: 'source' | 'target'
  database: string
  /** With the compared items alone. */
  table: SourceTable
  items: readonly Item[]
  /** The source's row as it would be sent: all supplied items, since a row that one of them keeps back does not travel at all. */
  whole: SourceTable
  /** The compared items' places in a row of `whole`. */
  places: readonly number[]
  /** A row of the compared items as the receiver's mapping leaves it; undefined where that alters nothing. */
  narrow?: (row: Row) => Row
}

type TableQuestion = Pick<ReconcileQuestion, 'side' | 'resource' | 'route' | 'schema' | 'items' | 'narrowed'>
type Tables = Pick<AgentConfig, 'auto' | 'databases' | 'hub' | 'sources' | 'sinks' | 'timezone'>

/**
 * The table that a question is about, if the policy lets this agent supply, or receive, exactly these items of it now. Throws
 * QZ-SUPPLY-NOT-ALLOWED, QZ-ROUTE-ENDED, QZ-NOT-FOUND where none is configured, QZ-RECONCILE-NOT-NOW where the hub and this agent do not
 * have the same policy yet.
 */
export function reconciledTable(config: Tables, policy: Policy | undefined, question: TableQuestion): ReconciledTable {
  const table = question.side === 'source' ? suppliedTable(config, policy, question) : deliveredTable(config, policy, question)
  const narrow = narrowing(table.items, question.narrowed ?? [])
  return narrow ? { ...table, narrow } : table
}

function suppliedTable(config: Tables, policy: Policy | undefined, question: TableQuestion): ReconciledTable {
  const supply = supplyFor(policy, question.resource)
  const source = config.sources.find(({ resource }) => resource === question.resource)
  if (!source)
    throw new QianzhiError('QZ-NOT-FOUND', { what: { zh: `sources 中的 ${question.resource}`, en: `sources: ${question.resource}` } })
  const items = deliverableItems(supply.schema, question.items)
  requireSame(question, supply.schema.version, items)
  const missing = items.find(({ id }) => !supply.items.includes(id))
  if (missing)
    throw new QianzhiError('QZ-SUPPLY-NOT-ALLOWED', {
      resource: `${question.resource}.${missing.id}`,
      reason: { zh: '该信息项不公开', en: 'the item is closed' },
    })
  const engine = engineOf(source.database, config.databases[source.database]!.url)
  const whole = sourceTable(source, supply, engine)
  const places = items.map((item) => whole.columns.findIndex((column) => column.item.id === item.id))
  const table = { ...whole, columns: places.map((place) => whole.columns[place]!) }
  return { side: 'source', database: source.database, table, items, whole, places }
}

function deliveredTable(config: Tables, policy: Policy | undefined, question: TableQuestion): ReconciledTable {
  const sinks = sinksInForce(config, policy)
  for (const sink of sinks) {
    const receive = receivesFor(policy, sink, sinks).find(({ route }) => route === question.route)
    if (!receive) continue
    // The rows are inside the gap, where nobody can ask.
    if (sink.contents === 'batches')
      throw new QianzhiError('QZ-GAP-ONE-WAY', { what: { zh: `对账 ${question.route}`, en: `reconcile ${question.route}` } })
    const all = sinkTable(sink, receive, config)
    // What is masked stands otherwise at the source.
    const delivered = { ...all, columns: all.columns.filter(({ derived }) => !derived) }
    const items = delivered.columns.map(({ item, mapping }) => mapping?.item ?? item)
    requireSame(question, receive.schema.version, items)
    const table = readBack(delivered)
    return { side: 'target', database: sink.database, table, items, whole: table, places: items.map((_, i) => i) }
  }
  throw new QianzhiError('QZ-ROUTE-ENDED', {
    route: question.route,
    reason: { zh: '不在策略中，或此处没有落地', en: 'it is not in the policy, or has no sink here' },
  })
}

function requireSame(question: TableQuestion, version: number, items: readonly Item[]): void {
  if (question.schema === version && question.items.join() === items.map(({ id }) => id).join()) return
  const reason = { zh: `策略正在更新（第 ${version} 版）`, en: `the policy is changing (version ${version})` }
  throw new QianzhiError('QZ-RECONCILE-NOT-NOW', { reason })
}

/**
 * A delivered table as a source: this route's rows alone, without those that are only marked as deleted. Rows without this agency in
 * `qz_source` are none of the route's, whoever wrote them.
 */
function readBack(sink: SinkTable): SourceTable {
  return {
    resource: sink.resource,
    table: sink.table,
    route: sink.route,
    capture: 'compare',
    rowFilter: deliveredRows(sink),
    schema: sink.schema,
    columns: sink.columns.map((column) => ({ ...column, item: widest(column.item) })),
    zeroDates: 'refuse',
    valueLimit: 256 << 20,
    queueLimit: 0,
  }
}

/** Delivered columns may be wider than their items; how a value is written there does not count. */
function widest(item: Item): Item {
  if (item.type === 'decimal') return { ...item, precision: 100, scale: 38 }
  if (item.type === 'json' || (item.type === 'text' && !item.key))
    return { id: item.id, name: item.name, label: item.label, type: 'text', openness: item.openness }
  return item
}

/** The compared items of a row of `whole`. */
export function comparedRow({ places, narrow }: ReconciledTable, row: Row): Row {
  const compared = places.map((place) => row[place]!)
  return narrow ? narrow(compared) : compared
}
