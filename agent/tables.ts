import { QianzhiError } from '../protocol/errors.ts'
import type { Policy, Receive, Supply } from '../protocol/policy.ts'
import type { Item, Schema } from '../protocol/schema.ts'
import { engineOf, type AgentConfig, type SinkConfig, type SourceConfig } from './config.ts'
import type { MappedColumn, SinkTable, SourceTable } from './database.ts'

/** What the configuration and the policy together say of the tables: the policy gives the schema, the configuration the local names. */

export function sourceTable(config: SourceConfig, supply: Supply): SourceTable {
  return {
    resource: config.resource,
    table: config.table,
    schema: supply.schema,
    columns: mapColumns(supply.schema, supply.items, config.columns, `sources.${config.resource}.columns`),
    zeroDates: config.zeroDates ?? 'refuse',
    valueLimit: config.valueLimit ?? 768 * 1024,
    queueLimit: config.queueLimit ?? 1024 ** 3,
  }
}

export function sinkTable(config: SinkConfig, receive: Receive, databases: AgentConfig['databases']): SinkTable {
  const engine = engineOf(config.database, databases[config.database]!.url)
  return {
    route: receive.route,
    resource: config.resource,
    table: config.table ?? (engine === 'postgres' ? `delivered.${receive.schema.table}` : receive.schema.table),
    schema: receive.schema,
    columns: mapColumns(receive.schema, receive.items, config.columns, `sinks.${config.resource}.columns`),
    source: receive.schema.agency,
    deletes: config.deletes ?? 'remove',
  }
}

function mapColumns(schema: Schema, items: readonly string[], names: Record<string, string> = {}, key: string): MappedColumn[] {
  for (const name of Object.keys(names)) {
    if (!schema.items.some((item) => isCalled(item, name)))
      throw new QianzhiError('QZ-CONFIG', { key, reason: `the resource has no item ${name}` })
  }
  return schema.items
    .filter((item) => items.includes(item.id))
    .map((item) => ({ item, column: Object.entries(names).find(([name]) => isCalled(item, name))?.[1] ?? item.name }))
}

function isCalled(item: Item, name: string): boolean {
  return item.id === name || item.name === name
}

export function supplyFor(policy: Policy | undefined, resource: string): Supply {
  const supply = policy?.supply.find(({ schema }) => schema.resource === resource)
  if (!supply) throw new QianzhiError('QZ-SUPPLY-NOT-ALLOWED', { resource })
  return supply
}

/** The route that a configured sink receives, if it is granted. */
export function receiveFor(policy: Policy | undefined, sink: SinkConfig): Receive | undefined {
  return policy?.receive.find(({ route, schema }) => (sink.route ? route === sink.route : schema.resource === sink.resource))
}
