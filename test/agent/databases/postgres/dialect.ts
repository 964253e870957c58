/** PostgreSQL for the conformance suite. */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { openPostgres } from '../../../../agent/databases/postgres/engine.ts'
import { quoteName, quoteText } from '../../../../agent/databases/postgres/sql.ts'
import type { TestDatabaseServer } from '../../../support/postgres.ts'
import type { Dialect, Session, TestDatabase } from '../conformance/suite.ts'

const text = (value: string): string => value

export async function connectSession(url: string): Promise<Session> {
  const client = new pg.Client({ connectionString: url, types: { getTypeParser: () => text } as unknown as pg.CustomTypesConfig })
  client.on('error', () => {})
  await client.connect()
  return {
    query: async (sql) => (await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows,
    close: () => client.end(),
  }
}

export async function freshDatabase(server: Pick<TestDatabaseServer, 'createDatabase'>): Promise<TestDatabase> {
  const url = await server.createDatabase()
  const session = await connectSession(url)
  return { ...session, url, connect: () => connectSession(url), drop: () => session.close() }
}

export const postgres: Dialect = {
  name: 'PostgreSQL',
  open: openPostgres,
  quote: quoteName,
  literal(type, value) {
    if (type === 'binary') return `decode(${quoteText(value)}, 'base64')`
    return type === 'integer' || type === 'decimal' ? value : quoteText(value)
  },
  takesBlocks: true,
  readsBlocks: true,
  seesTruncate: true,
  dropKey: (table) => `alter table ${table} drop constraint ${table}_pkey`,
  unreadable: { prepare: [], value: 'cast(amount * (amount / amount) as numeric(12,2))' },
  caseInsensitive: { type: 'citext', prepare: ['create extension citext'] },
  lossy: [
    { column: 'double precision', type: 'decimal', precision: 20, scale: 5 },
    { column: 'numeric(12,2)', type: 'integer' },
    { column: 'interval', type: 'text' },
    { column: 'text[]', type: 'text' },
    { column: 'timetz', type: 'time' },
    { column: 'money', type: 'decimal', precision: 20, scale: 2 },
    { column: 'timestamptz', type: 'timestamp' },
    { column: 'varchar(10)', type: 'integer' },
  ],
  async dropTriggers(session, table) {
    const names = await session.query(`select tgname from pg_trigger where tgrelid = '${table}'::regclass and not tgisinternal`)
    for (const [name] of names) await session.query(`drop trigger ${name} on ${table}`)
  },
  async disableTriggers(session, table) {
    await session.query(`alter table ${table} disable trigger all`)
  },
  async endOthers(session) {
    await session.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )
  },
  refusingTrigger: (table) => [
    `create or replace function refuse() returns trigger language plpgsql as $$ begin
       if new.name = 'refused' then raise exception 'not wanted'; end if; return new; end $$`,
    `create trigger refuse before insert or update on ${table} for each row execute function refuse()`,
  ],
  oddTrigger: (table) => [
    `create function odd() returns trigger language plpgsql as $$ begin
       if new.name = 'odd' then raise exception 'odd' using errcode = 'QX001'; end if; return new; end $$`,
    `create trigger odd before insert or update on ${table} for each row execute function odd()`,
  ],
  silentTriggers: (table) => [
    `create or replace function silent() returns trigger language plpgsql as $$ begin
       if tg_op = 'DELETE' then if old.id = 'kept' then return null; end if; return old; end if;
       if new.name = 'dropped' then return null; end if;
       if new.name = 'altered' then new.name := 'other'; end if; return new; end $$`,
    `create trigger silent before insert or update or delete on ${table} for each row execute function silent()`,
  ],
  otherSpelling: () => 'public.delivered',
  keepingTrigger: (table, ids) => [
    `create or replace function keep() returns trigger language plpgsql as $$ begin
       if old.id in (${ids}) then raise exception 'kept here'; end if; return old; end $$`,
    `create trigger keep before delete on ${table} for each row execute function keep()`,
  ],
  dropKeepingTrigger: 'drop trigger keep on delivered',
  async referTo(session, table, id) {
    await session.query(`create table ${table} (parent varchar(20) collate "C" references delivered (id))`)
    await session.query(`insert into ${table} values ('${id}')`)
  },
  async readOnlyAccount(test, tables) {
    const name = `reader_${randomBytes(4).toString('hex')}`
    await test.query(`create role ${name} login password 'secret'`)
    for (const table of tables) await test.query(`grant select on ${table} to ${name}`)
    const url = new URL(test.url)
    url.username = name
    url.password = 'secret'
    return url.href
  },
  localTypes: {
    altering: `
      char(20); varchar(5); varchar(400); uuid; inet; bit(8); numeric(20,4); bigint; boolean; bytea; jsonb; json`
      .split(';')
      .map((type) => type.trim()),
    others: `
      smallint; int; numeric; numeric(12,2); numeric(4,1); real; double precision; money; text; varchar; "char"; name;
      varbit; cidr; macaddr; xml; date; timestamp; timestamp(3); timestamptz; timestamptz(0); time; timetz; interval;
      int4range; text[]`
      .split(';')
      .map((type) => type.trim()),
  },
  shown: (column, type) => {
    if (type === 'binary') return `encode(${column}, 'hex')`
    return type === 'timestamptz' ? `(${column} at time zone 'UTC')::text` : `${column}::text`
  },
  keyColumns: [
    { column: 'text', item: { type: 'text', length: 20 }, values: ['东莞', '莞城', 'ascii', '无'] },
    { column: 'varchar(20) collate "C"', item: { type: 'text', length: 20 }, values: ['东莞', 'A', 'a', '无'] },
    { column: 'char(9)', item: { type: 'text', length: 20 }, values: ['东莞', 'x', 'y'] },
    { column: 'uuid', item: { type: 'text', length: 36 }, values: [`${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}`, 'not-a-uuid'] },
    { column: 'inet', item: { type: 'text', length: 50 }, values: ['10.0.0.1/32', '10.0.0.0/8', '10.0.0.2/32'] },
    { column: 'integer', item: { type: 'integer' }, values: ['-7', '0', '12', '13'] },
    { column: 'bigint', item: { type: 'integer' }, values: ['0', '9223372036854775807', '5'] },
    { column: 'numeric(12,2)', item: { type: 'decimal', precision: 12, scale: 2 }, values: ['-1.50', '2.00', '3.00'] },
    { column: 'date', item: { type: 'date' }, values: ['2026-11-22', '1999-01-01', '2026-02-31'] },
    {
      column: 'timestamp',
      item: { type: 'timestamp' },
      values: ['2026-11-22T08:30:00.123456', '2026-11-22T08:30:00', '2026-11-22T08:30:01'],
    },
    {
      column: 'timestamptz',
      item: { type: 'timestamptz' },
      values: ['2026-11-22T08:30:00.123Z', '2026-11-22T08:30:00Z', '2026-11-22T08:30:01Z'],
    },
    { column: 'time', item: { type: 'time' }, values: ['08:30:00', '23:59:59.5', '08:30:01'] },
  ],
  extremes: [
    { type: 'date', value: '0001-01-01' },
    { type: 'timestamp', value: '0001-01-01T00:00:00.000001' },
    { type: 'timestamptz', value: '0001-01-01T00:00:00Z' },
    { type: 'timestamptz', value: '9999-12-31T23:59:59.999999Z' },
  ],
}
