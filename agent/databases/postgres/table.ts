/** What PostgreSQL's catalog says of one table: its columns down to their base types, its unique keys, and the tables below it. */
import { createHash } from 'node:crypto'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { quoteName, quoteTable } from './sql.ts'
import type { SinkTable, SourceTable } from '../../database.ts'
import type { Connection } from './connection.ts'

export interface TableColumn {
  name: string
  number: number
  /** As declared, for people. */
  type: string
  /** `pg_type.typname` below all domains: `int8`, `bpchar` … */
  base: string
  /** Type modifier at the base, −1 for none. */
  modifier: number
  /** The base type as a cast, without modifier. */
  cast: string
  isEnum: boolean
  notNull: boolean
  generated: boolean
  /** GENERATED ALWAYS AS IDENTITY: values are taken only where the statement overrides it. */
  identity: boolean
  /** Its collation takes different texts for one. */
  loose: boolean
  /** Gets a value when none is given. */
  defaulted: boolean
}

export interface Table {
  oid: string
  /** Quoted, with its schema. */
  name: string
  schema: string
  kind: string
  persistence: string
  rowSecurity: boolean
  columns: ReadonlyMap<string, TableColumn>
  /** Columns of each unique index without condition, the primary key first. */
  keys: readonly (readonly string[])[]
  /** For each of them and each of its columns the collation in which the index compares, quoted, where that is not the column's own. */
  collations: readonly (readonly (string | null)[])[]
  /** Those of them by which rows can be written: not such as a deferrable constraint checks late. */
  arbiters: readonly (readonly string[])[]
}

const columnsQuery = `
  with recursive below(number, oid, modifier, not_null) as (
    select attnum, atttypid, atttypmod, attnotnull from pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped
    union all
    select below.number, t.typbasetype, t.typtypmod, below.not_null or t.typnotnull
    from below join pg_type t on t.oid = below.oid where t.typtype = 'd'
  )
  select a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), t.typname, below.modifier, format_type(t.oid, -1), t.typtype = 'e',
    below.not_null, a.attgenerated <> '',
    a.atthasdef or a.attidentity <> '', a.attidentity = 'a', coalesce(not c.collisdeterministic, false)
  from below
  join pg_type t on t.oid = below.oid and t.typtype <> 'd'
  join pg_attribute a on a.attrelid = $1 and a.attnum = below.number
  left join pg_collation c on c.oid = a.attcollation
  order by a.attnum`

const keysQuery = `
  select i.indimmediate, array_to_json(array(
    select a.attname from unnest(i.indkey::int2[]) with ordinality as k(number, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number where k.place <= i.indnkeyatts order by k.place))::text,
    array_to_json(array(
    select case when k.coll <> a.attcollation and k.coll <> 0 then
        (select quote_ident(n.nspname) || '.' || quote_ident(c.collname) from pg_collation c join pg_namespace n on n.oid = c.collnamespace where c.oid = k.coll)
      end
    from unnest(i.indkey::int2[], i.indcollation::oid[]) with ordinality as k(number, coll, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number where k.place <= i.indnkeyatts order by k.place))::text
  from pg_index i where i.indrelid = $1 and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
  order by i.indisprimary desc, i.indexrelid`

/** The same of a result's columns: type and modifier of each. */
const typesQuery = `
  with recursive below(place, declared, oid, modifier) as (
    select c.place, format_type(c.oid, c.modifier), c.oid, c.modifier
    from unnest($1::oid[], $2::int[]) with ordinality as c(oid, modifier, place)
    union all
    select below.place, below.declared, t.typbasetype, t.typtypmod from below join pg_type t on t.oid = below.oid where t.typtype = 'd'
  )
  select below.declared, t.typname, below.modifier, format_type(t.oid, -1), t.typtype = 'e'
  from below join pg_type t on t.oid = below.oid and t.typtype <> 'd' order by below.place`

/** undefined where the table does not exist. */
export async function findTable(connection: Connection, table: string): Promise<Table | undefined> {
  const [found] = await connection.prepared(
    `select c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, row_security_active(c.oid)
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass($1)`,
    [quoteTable(table)],
  )
  if (!found) return undefined
  const [oid, schema, name, kind, persistence, rowSecurity] = found as string[]
  const columns = await connection.prepared(columnsQuery, [oid])
  const keys = await connection.prepared(keysQuery, [oid])
  return {
    oid: oid!,
    name: `${quoteName(schema!)}.${quoteName(name!)}`,
    schema: schema!,
    kind: kind!,
    persistence: persistence!,
    rowSecurity: rowSecurity === 't',
    columns: new Map(columns.map((row) => [row[0]!, columnOf(row as string[])])),
    keys: keysOf(keys),
    arbiters: keysOf(keys.filter(([immediate]) => immediate === 't')),
    collations: keys.map((row) => JSON.parse(row[2]!) as (string | null)[]),
  }
}

function keysOf(rows: readonly (string | null)[][]): string[][] {
  return rows.map((row) => JSON.parse(row[1]!) as string[])
}

function columnOf([
  name,
  number,
  type,
  base,
  modifier,
  cast,
  isEnum,
  notNull,
  generated,
  defaulted,
  identity,
  loose,
]: string[]): TableColumn {
  return {
    name: name!,
    number: Number(number),
    type: type!,
    base: base!,
    modifier: Number(modifier),
    cast: cast!,
    isEnum: isEnum === 't',
    notNull: notNull === 't',
    generated: generated === 't',
    defaulted: defaulted === 't',
    identity: identity === 't',
    loose: loose === 't',
  }
}

/** A route's shadow, in our own schema. */
export function shadowTable(route: string): string {
  return `qianzhi.shadow_${createHash('sha256').update(route).digest('hex').slice(0, 16)}`
}

export function refuse(sink: SinkTable, reason: string | LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SINK-TABLE', { table: sink.table, reason }, { cause })
}

/** Throws QZ-SOURCE-TABLE where it does not exist. */
export async function sourceTable(connection: Connection, table: string): Promise<Table> {
  const found = await findTable(connection, table)
  if (!found) throw new QianzhiError('QZ-SOURCE-TABLE', { table, reason: { zh: '不存在', en: 'it does not exist' } })
  return found
}

/** What a source reads from: its table, or its SELECT as if it were a view. Throws QZ-SOURCE-TABLE. */
export async function sourceRelation(connection: Connection, source: SourceTable): Promise<Table> {
  if (source.query === undefined) return sourceTable(connection, source.table)
  const columns = await connection.columns(`select * from (${source.query}\n) r limit 0`)
  const types = await connection.query(typesQuery, [columns.map(({ type }) => type), columns.map(({ modifier }) => modifier)])
  return {
    oid: '0',
    name: `(${source.query}\n)`,
    schema: '',
    kind: 'v',
    persistence: 'p',
    rowSecurity: false,
    columns: new Map(
      columns.map(({ name }, i) => [name, columnOf([name, String(i + 1), ...(types[i] as string[]), 'f', 'f', 'f', 'f', 'f'])]),
    ),
    keys: [],
    collations: [],
    arbiters: [],
  }
}

export interface Member {
  oid: string
  name: string
  /** A subscription writes into it: its rows fire row triggers only. */
  subscribed: boolean
}

/** The table with everything that holds rows for it: partitions and inheriting tables of every depth. A statement may name any of them. */
export async function tableMembers(connection: Connection, oid: string): Promise<Member[]> {
  const rows = await connection.query(
    `with recursive tree(oid) as (
       select $1::oid union select i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid
     )
     select c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), exists (select from pg_subscription_rel s where s.srrelid = c.oid)
     from tree join pg_class c on c.oid = tree.oid join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') order by c.oid = $1 desc, c.oid`,
    [oid],
  )
  return rows.map(([oid, name, subscribed]) => ({ oid: oid!, name: name!, subscribed: subscribed === 't' }))
}
