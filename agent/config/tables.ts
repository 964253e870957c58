import { QianzhiError } from '../../protocol/errors.ts'
import { derivedItem, knownMask, type Mask } from '../../protocol/masks.ts'
import type { Policy, Receive, Supply } from '../../protocol/policy.ts'
import type { Item, Schema } from '../../protocol/schema.ts'
import { engineOf, type Engine } from '../databases/index.ts'
import { cityZone } from '../../protocol/local-time.ts'
import type { AgentConfig, ColumnNames, SinkConfig, SourceConfig } from './config.ts'
import { sinkFiles, sourceFiles } from './folders.ts'
import { mappedColumn } from './mapping.ts'
import type { MappedColumn, SinkTable, SourceTable } from '../database.ts'

/** What the configuration and the policy together say of the tables: the policy gives the schema, the configuration the local names. */

export function sourceTable(config: SourceConfig, supply: Supply, engine: Engine, timezone = cityZone): SourceTable {
  const files = sourceFiles(config, timezone)
  if (config.capture === 'log' && !engine.logs)
    throw new QianzhiError('QZ-CONFIG', {
      key: `sources.${config.resource}.capture`,
      reason: {
        zh: 'log 仅用于 PostgreSQL、MySQL、MariaDB：其他数据库请删去此项，或设为 triggers',
        en: 'log is for PostgreSQL, MySQL and MariaDB: elsewhere leave it out, or set triggers',
      },
    })
  return {
    resource: config.resource,
    table: config.table,
    capture: files ? 'files' : (config.capture ?? engine.capture),
    ...(files && { files }),
    ...(config.query !== undefined && { query: config.query }),
    ...scanSettings(config, timezone),
    schema: supply.schema,
    columns: mapColumns(supply.schema, supply.items, config.columns),
    zeroDates: config.zeroDates ?? 'refuse',
    valueLimit: config.valueLimit ?? 768 * 1024,
    queueLimit: config.queueLimit ?? 1024 ** 3,
  }
}

/** Without a schedule: what grew, every minute; everything, every hour. */
function scanSettings({ capture, watermark, compare }: SourceConfig, timezone: string): Pick<SourceTable, 'scan'> {
  const pace = (watermark ?? compare)?.rowsPerSecond
  const common = { timezone, ...(pace !== undefined && { rowsPerSecond: pace }) }
  if (capture === 'compare') return { scan: { ...common, schedule: compare?.schedule ?? '0 * * * *' } }
  if (capture !== 'watermark' || !watermark) return {}
  const { column, overlap = 600, schedule = '* * * * *' } = watermark
  return { scan: { ...common, schedule, watermark: { column, overlap } } }
}

export function sinkTable(
  config: SinkConfig,
  receive: Receive,
  { databases, timezone }: Pick<AgentConfig, 'databases' | 'timezone'>,
): SinkTable {
  const engine = engineOf(config.database, databases[config.database]!.url)
  const files = sinkFiles(config, timezone)
  // Files are called by their resource, which is one of its kind in a folder.
  return {
    ...(files && { files }),
    route: receive.route,
    resource: receive.schema.resource,
    table: config.table ?? (files ? receive.schema.resource : deliveredName(engine, receive)),
    schema: receive.schema,
    columns: mapColumns(receive.schema, receive.items, config.columns).map((column) => derivedColumn(column, receive, config.columns)),
    source: receive.schema.agency,
    deletes: config.deletes ?? 'remove',
    shared: receive.shared ?? false,
    ...(config.takeOver && { takeOver: true }),
    ...(config.made && { ownTable: true }),
  }
}

/** Where the configuration names no table. */
export function deliveredName({ deliveredIn }: Engine, { schema }: Receive): string {
  return deliveredIn === '' ? schema.table : `${deliveredIn}.${schema.table}`
}

/**
 * The column of an item that is masked: what comes of its values, under the name that the configuration gives or its own; codes are those of
 * the values that do not come. Throws QZ-BATCH-DERIVED where this program does not know the mask.
 */
function derivedColumn(column: MappedColumn, { schema, masks = {} }: Receive, names: ColumnNames = {}): MappedColumn {
  const { id } = column.item
  if (!Object.hasOwn(masks, id)) return column
  const registered = column.mapping?.item ?? column.item
  const derived = requireMask(id, masks[id])
  const item = derivedItem(registered, derived, schema)
  const named = Object.entries(names).find(([name]) => isCalled(registered, name))?.[1]
  return { item, column: (typeof named === 'string' ? named : named?.column) ?? item.name, derived }
}

function requireMask(item: string, mask: unknown): Mask {
  const known = knownMask(mask)
  if (known) return known
  const reason = {
    zh: `本程序不认识信息项 ${item} 的脱敏方式，请升级`,
    en: `this program does not know how item ${item} is masked: bring it up to date`,
  }
  throw new QianzhiError('QZ-BATCH-DERIVED', { reason })
}

/** A name that the schema does not have (any more) maps nothing: see `unknownColumns`. */
function mapColumns(schema: Schema, items: readonly string[], names: ColumnNames = {}): MappedColumn[] {
  return schema.items
    .filter((item) => items.includes(item.id))
    .map((item) => mappedColumn(item, Object.entries(names).find(([name]) => isCalled(item, name))?.[1]))
}

/** Names in `columns:` that are no items: typing errors, or items that a later version has no more. */
export function unknownColumns(schema: Schema, names: ColumnNames = {}): string[] {
  return Object.keys(names).filter((name) => !schema.items.some((item) => isCalled(item, name)))
}

function isCalled(item: Item, name: string): boolean {
  return item.id === name || item.name === name
}

export function supplyFor(policy: Policy | undefined, resource: string): Supply {
  const supply = policy?.supply.find(({ schema }) => schema.resource === resource)
  if (supply) return supply
  const { reason, next } = policy?.withheld?.find((one) => one.resource === resource) ?? notPublished
  throw new QianzhiError('QZ-SUPPLY-NOT-ALLOWED', { resource, reason, next })
}

const notPublished = {
  reason: { zh: '本单位没有已发布的此资源', en: 'this agency has published none of this code' },
  next: {
    zh: '核对 sources 中的资源代码；尚未登记的，由本单位编目人员在控制台“目录登记”中登记、审核人员发布；之后自动继续',
    en: 'look at its code under sources; where it is not registered yet, the registrar of this agency registers it in the console (Registrations) and its reviewer publishes; then it goes on by itself',
  },
}

/**
 * The routes that a configured sink receives: the named one, the first one of its resource, or those of its standard, one of each
 * resource, which no other sink names.
 */
export function receivesFor(policy: Policy | undefined, sink: SinkConfig, all: readonly SinkConfig[]): Receive[] {
  const granted = policy?.receive ?? []
  if (sink.standard === undefined) {
    const found = granted.find(({ route, schema }) => (sink.route ? route === sink.route : schema.resource === sink.resource))
    return found ? [found] : []
  }
  const named = new Set(all.flatMap((other) => (other.standard === undefined ? receivesFor(policy, other, all) : [])))
  const first = new Map<string, Receive>()
  for (const receive of granted) {
    const { resource } = receive.schema
    if (receive.standard === sink.standard && !named.has(receive) && !first.has(resource)) first.set(resource, receive)
  }
  return [...first.values()]
}

/** Why two sinks cannot fill one table: rows are told apart by their source alone. Undefined where they can. */
export function tableConflict(sink: SinkTable, others: readonly SinkTable[]): QianzhiError | undefined {
  const other = others.find(({ table, source, shared }) => table === sink.table && !(shared && sink.shared && source !== sink.source))
  if (!other) return undefined
  const reason = {
    zh: `${other.resource}（${other.source}）已落地到此表`,
    en: `${other.resource} (${other.source}) is delivered into this table already`,
  }
  return new QianzhiError('QZ-SINK-TABLE', { table: sink.table, reason })
}
