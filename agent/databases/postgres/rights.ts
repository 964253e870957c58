/** What the running account needs of a PostgreSQL database; told without needing any of it. */
import { addedColumns, quoteName, quoteText, splitTable } from './sql.ts'
import { onlyReads, type SinkTable } from '../../database.ts'
import type { Right, SuppliedTable } from '../bookkeeping/rights.ts'
import { dialect } from './books.ts'
import type { Connection } from './connection.ts'
import { sourceNames } from './setup.ts'

/** For `user`, or for the account that asks. */
export async function rightsOf(
  connection: Connection,
  sources: readonly SuppliedTable[],
  sinks: readonly SinkTable[],
  user?: string,
): Promise<Right[]> {
  const [row] = await connection.query('select current_user, quote_ident(current_database())')
  const needs = new Needs(connection, user ?? row![0]!, row![1]!)
  for (const source of sources) if (source.query === undefined) await needs.source(source)
  if (sinks.length > 0) await needs.books()
  for (const sink of sinks) await needs.sink(sink)
  return needs.rights
}

/** As the catalog tells it to accounts without any right on it. */
interface Place {
  schema: string
  name: string
  /** Quoted. */
  full: string
  columns: ReadonlySet<string>
}

class Needs {
  readonly rights: Right[] = []
  readonly #connection: Connection
  readonly #user: string
  readonly #grantee: string
  readonly #database: string

  constructor(connection: Connection, user: string, database: string) {
    this.#connection = connection
    this.#user = quoteText(user)
    this.#grantee = quoteName(user)
    this.#database = database
  }

  async source(source: SuppliedTable): Promise<void> {
    const place = await this.#place(source.table)
    if (!place) return
    this.#schema(place.schema, 'usage')
    if (source.columns.length === 0) await this.#table(`${place.schema}.${place.name}`, 'select')
    else this.#columns(place, [...new Set(source.columns.map(({ column }) => column))])
    if (onlyReads(source)) return
    this.#schema('qianzhi', 'usage')
    await this.#table('qianzhi.stream', 'select, update')
    await this.#table('qianzhi.sleeper', 'select, update')
    await this.#table('qianzhi.source_quarantine', 'select, insert, update, delete')
    await this.#table(sourceNames(source.resource).queue, 'select, insert, delete, truncate')
    if (source.capture !== 'log') return
    await this.#table('qianzhi.log', 'select, update')
    this.rights.push({
      statement: `alter role ${this.#grantee} replication`,
      held: () =>
        this.#holds(
          `coalesce((select rolreplication or rolsuper or exists (select from pg_roles g where g.rolname = 'rds_replication' and pg_has_role(r.oid, g.oid, 'usage'))
            from pg_roles r where rolname = ${this.#user}), false)`,
        ),
    })
  }

  /** Shadows are made there too. */
  async books(): Promise<void> {
    const { rights } = this
    rights.push({
      statement: `grant temporary on database ${this.#database} to ${this.#grantee}`,
      held: () => this.#holds(`has_database_privilege(${this.#user}, current_database(), 'temporary')`),
    })
    await this.#ownSchema('qianzhi')
    for (const table of [dialect.positions, dialect.quarantine]) await this.#table(table, 'select, insert, update, delete')
  }

  async sink(sink: SinkTable): Promise<void> {
    const place = await this.#place(sink.table)
    if (!place) return this.#ownSchema(await this.#schemaOf(sink.table))
    this.#schema(place.schema, 'usage')
    const missing = addedColumns(sink.deletes).filter(({ column }) => !place.columns.has(column))
    if (missing.length > 0)
      this.rights.push({
        statement: `alter table ${place.full} ${missing.map(({ column, type }) => `add column if not exists ${quoteName(column)} ${type}`).join(', ')}`,
        held: () =>
          this.#holds(
            `(select pg_has_role(${this.#user}, relowner, 'usage') from pg_class where oid = (${oidOf(place.schema, place.name)}))`,
          ),
      })
    await this.#table(`${place.schema}.${place.name}`, 'select, insert, update, delete')
  }

  /** One in which the account makes tables; it makes the schema where it may. It never owns one that it has not made: others' objects may lie there. */
  async #ownSchema(schema: string): Promise<void> {
    const there = await this.#holds(`exists (select from pg_namespace where nspname = ${quoteText(schema)})`)
    if (there) return this.#schema(schema, 'usage, create')
    this.rights.push({
      statement: `create schema if not exists ${quoteName(schema)}; grant usage, create on schema ${quoteName(schema)} to ${this.#grantee}`,
      held: () => this.#holds(`has_database_privilege(${this.#user}, current_database(), 'create')`),
    })
  }

  #schema(schema: string, rights: string): void {
    const held = rights.split(', ').map((right) => `has_schema_privilege(${this.#user}, oid, '${right}')`)
    this.rights.push({
      statement: `grant ${rights} on schema ${quoteName(schema)} to ${this.#grantee}`,
      held: () => this.#holds(`coalesce((select ${held.join(' and ')} from pg_namespace where nspname = ${quoteText(schema)}), true)`),
    })
  }

  /** Of a table that is there. */
  async #table(table: string, rights: string): Promise<void> {
    const [schema, name] = splitTable(table) as [string, string]
    const oid = oidOf(schema, name)
    if (!(await this.#holds(`(${oid}) is not null`))) return
    const held = rights.split(', ').map((right) => `has_table_privilege(${this.#user}, (${oid}), '${right}')`)
    this.rights.push({
      statement: `grant ${rights} on ${quoteName(schema)}.${quoteName(name)} to ${this.#grantee}`,
      held: () => this.#holds(held.join(' and ')),
    })
  }

  #columns({ schema, name, full, columns }: Place, wanted: readonly string[]): void {
    const there = wanted.filter((column) => columns.has(column))
    if (there.length === 0) return
    const held = there.map((column) => `has_column_privilege(${this.#user}, (${oidOf(schema, name)}), ${quoteText(column)}, 'select')`)
    this.rights.push({
      statement: `grant select (${there.map(quoteName).join(', ')}) on ${full} to ${this.#grantee}`,
      held: () => this.#holds(held.join(' and ')),
    })
  }

  async #schemaOf(table: string): Promise<string> {
    const parts = splitTable(table)
    if (parts.length > 1) return parts[0]!
    const [row] = await this.#connection.query(`select coalesce(current_schema(), 'public')`)
    return row![0]!
  }

  /** A bare name is looked for along the search path, also in schemas that the account may not use. */
  async #place(table: string): Promise<Place | undefined> {
    const parts = splitTable(table)
    const path = `select trim(both ' "' from replace(one, '$user', current_user)), place from unnest(string_to_array(current_setting('search_path'), ',')) with ordinality as path(one, place)`
    const schemas = parts.length > 1 ? `select ${quoteText(parts[0]!)}, 1` : path
    const [found] = await this.#connection.query(
      `select n.nspname, c.relname, array_to_json(array(select attname from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped))::text
       from (${schemas}) as s(name, place) join pg_namespace n on n.nspname = s.name join pg_class c on c.relnamespace = n.oid
       where c.relname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'f') order by s.place limit 1`,
      [parts.at(-1)!],
    )
    if (!found) return undefined
    const [schema, name, columns] = found as [string, string, string]
    return { schema, name, full: `${quoteName(schema)}.${quoteName(name)}`, columns: new Set(JSON.parse(columns) as string[]) }
  }

  async #holds(condition: string): Promise<boolean> {
    const [row] = await this.#connection.query(`select ${condition}`)
    return row![0] === 't'
  }
}

function oidOf(schema: string, name: string): string {
  return `select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${quoteText(schema)} and c.relname = ${quoteText(name)}`
}
