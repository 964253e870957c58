/** What the running account needs of a SQL Server database, asked as that account; the catalogue shows it only what it has a right on. */
import { onlyReads, type SinkTable } from '../../database.ts'
import type { Right, SuppliedTable } from '../bookkeeping/rights.ts'
import { readTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { queueTable, schemaName, sourceQuarantine, streamTable } from './names.ts'
import { quoteName, quoteText, splitTable } from './sql.ts'

/** For `user`, or for the account that asks; `held` is of the latter alone. */
export async function rightsOf(
  session: Session,
  sources: readonly SuppliedTable[],
  sinks: readonly SinkTable[],
  user?: string,
): Promise<Right[]> {
  const [row] = await session.query(
    `select user_name(), convert(nvarchar(10), case when schema_id(N'${schemaName}') is null then 0 else 1 end)`,
  )
  const needs = new Needs(session, quoteName(user ?? String(row![0])), row![1] === '1')
  for (const source of sources) if (source.query === undefined) needs.source(source)
  if (sinks.length > 0) needs.books()
  for (const sink of sinks) await needs.sink(sink)
  return needs.rights
}

/** In a schema in which tables are made, and followed as their resource changes. */
const inSchema = ['alter', 'select', 'insert', 'update', 'delete', 'references']

class Needs {
  readonly rights: Right[] = []
  readonly #session: Session
  readonly #grantee: string
  /** The schema of what is ours is there. */
  readonly #made: boolean

  constructor(session: Session, grantee: string, made: boolean) {
    this.#session = session
    this.#grantee = grantee
    this.#made = made
  }

  source(source: SuppliedTable): void {
    const { schema, name } = splitTable(this.#session.qualify(source.table))
    const table = `${quoteName(schema!)}.${quoteName(name)}`
    const columns = source.columns.map(({ column }) => column)
    this.#add(
      `grant select on ${table}`,
      columns.length > 0 ? columns.map((column) => permission(table, 'select', column)) : [permission(table, 'select')],
    )
    if (onlyReads(source)) return
    if (source.capture === 'tracking') this.#add(`grant view change tracking on ${table}`, [permission(table, 'view change tracking')])
    if (!this.#made) return
    this.#table(streamTable, ['select', 'insert', 'update'])
    this.#table(sourceQuarantine, ['select', 'insert', 'update', 'delete'])
    this.#table(queueTable(source.resource), ['select', 'insert', 'delete'])
  }

  /** The schema is dbo's, as the application's tables are (setup.ts), whoever makes it. */
  books(): void {
    this.#add('grant create table', [`has_perms_by_name(db_name(), N'DATABASE', N'CREATE TABLE')`])
    if (this.#made) return this.#schema(schemaName)
    this.rights.push({
      statement: `exec(N'create schema ${schemaName} authorization dbo'); ${schemaGrant(schemaName)} to ${this.#grantee}`,
      held: () => this.#holds([`has_perms_by_name(db_name(), N'DATABASE', N'CREATE SCHEMA')`]),
    })
  }

  async sink(sink: SinkTable): Promise<void> {
    const found = await readTable(this.#session, sink.table)
    if (found) return this.#table(found.name, ['select', 'insert', 'update', 'delete'])
    this.#schema(splitTable(this.#session.qualify(sink.table)).schema!)
  }

  #schema(schema: string): void {
    this.#add(
      schemaGrant(schema),
      inSchema.map((right) => `has_perms_by_name(${quoteText(quoteName(schema))}, N'SCHEMA', N'${right.toUpperCase()}')`),
    )
  }

  #table(table: string, rights: readonly string[]): void {
    this.#add(
      `grant ${rights.join(', ')} on ${table}`,
      rights.map((right) => permission(table, right)),
    )
  }

  #add(grant: string, conditions: readonly string[]): void {
    this.rights.push({ statement: `${grant} to ${this.#grantee}`, held: () => this.#holds(conditions) })
  }

  /** What is not there, or not to be seen, is null. */
  async #holds(conditions: readonly string[]): Promise<boolean> {
    const [row = []] = await this.#session.query(
      `select ${conditions.map((one) => `convert(nvarchar(1), coalesce(${one}, 0))`).join(', ')}`,
    )
    return row.every((held) => held === '1')
  }
}

function schemaGrant(schema: string): string {
  return `grant ${inSchema.join(', ')} on schema::${quoteName(schema)}`
}

function permission(table: string, right: string, column?: string): string {
  const of = column === undefined ? '' : `, ${quoteText(column)}, N'COLUMN'`
  return `has_perms_by_name(${quoteText(table)}, N'OBJECT', N'${right.toUpperCase()}'${of})`
}
