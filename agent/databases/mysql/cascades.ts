/** Foreign keys whose actions change rows of a table without firing its triggers (MySQL Reference Manual, "FOREIGN KEY Constraints"). */
import type { SourceTable } from '../../database.ts'
import { cascadePrefix, cascadeTriggerName } from './names.ts'
import type { Plan } from './plan.ts'
import { quoteText } from './sql.ts'
import type { CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'

interface TableName {
  database: string
  table: string
}

/** A foreign key of `table`. */
interface Link extends TableName {
  name: string
  columns: string[]
  parent: TableName
  referenced: string[]
  onUpdate: string
  onDelete: string
}

/** A change of a row of `from` that changes rows of the watched table through these foreign keys, the watched table's own first. */
export interface Cascade {
  from: TableName
  event: 'update' | 'delete'
  links: readonly Link[]
  /** A table of the chain refers to itself, or to one that refers to it. */
  circular: boolean
}

/** As many steps as the servers follow. */
const maxSteps = 15

export async function cascadesInto(session: Session, { database, table }: Pick<CatalogTable, 'database' | 'table'>): Promise<Cascade[]> {
  const found = new Map<string, Cascade>()
  await follow(session, { database, table }, [], ['update', 'delete'], found)
  return [...found.values()]
}

/** `events`: what must happen to rows of `child` for the watched table to change. */
async function follow(
  session: Session,
  child: TableName,
  links: readonly Link[],
  events: readonly Cascade['event'][],
  found: Map<string, Cascade>,
): Promise<void> {
  if (links.length >= maxSteps) return
  for (const link of await foreignKeys(session, child)) {
    const chain = [...links, link]
    const seen = [...links.map(({ database, table }) => ({ database, table })), child]
    const circular = seen.some((one) => sameTable(one, link.parent))
    const here = (['update', 'delete'] as const).filter((event) => events.includes(effect(link, event)!))
    for (const event of here) {
      const id = JSON.stringify([link.parent, event, chain.map(({ name }) => name), circular])
      found.set(id, { from: link.parent, event, links: chain, circular })
    }
    if (!circular && here.length > 0) await follow(session, link.parent, chain, here, found)
  }
}

/** What a change of the parent's row does to the child's. */
function effect({ onUpdate, onDelete }: Link, event: Cascade['event']): Cascade['event'] | undefined {
  const rule = event === 'update' ? onUpdate : onDelete
  if (rule === 'CASCADE') return event
  return rule === 'SET NULL' || rule === 'SET DEFAULT' ? 'update' : undefined
}

function sameTable(a: TableName, b: TableName): boolean {
  return a.database === b.database && a.table === b.table
}

async function foreignKeys(session: Session, { database, table }: TableName): Promise<Link[]> {
  const at = (schema: string) => `${schema} = ${quoteText(database)} and table_name = ${quoteText(table)}`
  const rules = await session.rows(
    `select constraint_name, update_rule, delete_rule from information_schema.referential_constraints where ${at('constraint_schema')}`,
  )
  const acting = rules.filter((rule) => /CASCADE|SET/.test(`${String(rule[1])}${String(rule[2])}`))
  if (acting.length === 0) return []
  const columns = await session.rows(
    `select constraint_name, column_name, referenced_table_schema, referenced_table_name, referenced_column_name
    from information_schema.key_column_usage where ${at('table_schema')} and referenced_table_name is not null order by constraint_name, ordinal_position`,
  )
  return acting.map(([name, onUpdate, onDelete]) => {
    const own = columns.filter((column) => column[0] === name).map((column) => column.map(String))
    return {
      name: String(name),
      database,
      table,
      columns: own.map((column) => column[1]!),
      parent: { database: own[0]![2]!, table: own[0]![3]! },
      referenced: own.map((column) => column[4]!),
      onUpdate: String(onUpdate),
      onDelete: String(onDelete),
    }
  })
}

/** Triggers of a resource's on the tables that others' rows cascade from, wherever those are. */
export async function cascadeTriggers(session: Session, { resource }: SourceTable): Promise<{ database: string; name: string }[]> {
  const found = await session.rows(
    `select trigger_schema, trigger_name from information_schema.triggers where trigger_name like ${quoteText(`${cascadePrefix(session.server.database, resource).replaceAll('_', '\\_')}%`)}`,
  )
  return found.map(([database, name]) => ({ database: String(database), name: String(name) }))
}

export interface CascadeCoverage {
  cascade: Cascade
  /** Names of the triggers that it wants, and those of them that are there, each with when it was made. */
  wanted: string[]
  there: string[]
}

/** How the rows are watched that others' changes reach. */
export async function cascadeCoverage(
  session: Session,
  { source: { resource }, catalog }: Pick<Plan, 'source' | 'catalog'>,
): Promise<CascadeCoverage[]> {
  const coverage: CascadeCoverage[] = []
  for (const cascade of await cascadesInto(session, catalog)) {
    const { database, table } = cascade.from
    const wanted = cascadeMoments(cascade).map((moment) => cascadeTriggerName(session.server.database, resource, cascade, moment))
    const found = await session.rows(
      `select trigger_name, cast(created as char) from information_schema.triggers
      where event_object_schema = ${quoteText(database)} and event_object_table = ${quoteText(table)} and trigger_name in (${wanted.map(quoteText).join(', ')})`,
    )
    coverage.push({ cascade, wanted, there: found.map(([name, made]) => `${String(name)} ${String(made)}`).toSorted() })
  }
  return coverage
}

/** Before the change rows are found under their old values; after it under the new ones, which may be part of their key. */
export function cascadeMoments({ event, circular }: Cascade): readonly ('before' | 'after')[] {
  return event === 'update' && !circular ? ['before', 'after'] : ['before']
}
