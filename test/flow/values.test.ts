/** Every portable type with its extremes goes through the whole line in all four directions between PostgreSQL and MariaDB. */
import t, { type Test } from 'tap'
import type { Item } from '../../protocol/schema.ts'
import { longer } from '../support/longer.ts'
import { openClient, type Client } from '../support/client.ts'
import { Exchange, type ResourceFile } from '../support/exchange.ts'
import { findMariadb } from '../support/mariadb.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'

const item = (id: string, rest: Omit<Item, 'id' | 'name' | 'label' | 'openness'>): Item => ({
  id,
  name: id,
  label: id,
  openness: 'internal',
  ...rest,
})

const resource: ResourceFile = {
  resource: 'every-type',
  title: '全部类型',
  agency: 'provider',
  table: 'every_type',
  items: [
    item('k', { type: 'text', length: 40, key: true }),
    item('t', { type: 'text', length: 200 }),
    item('body', { type: 'text' }),
    item('i', { type: 'integer' }),
    item('d', { type: 'decimal', precision: 38, scale: 0 }),
    item('fine', { type: 'decimal', precision: 38, scale: 30 }),
    item('b', { type: 'boolean' }),
    item('day', { type: 'date' }),
    item('ts', { type: 'timestamp' }),
    item('tz', { type: 'timestamptz' }),
    item('clock', { type: 'time' }),
    item('bin', { type: 'binary' }),
    item('j', { type: 'json' }),
  ],
}

/** Portable values per item, extremes first; row n takes each item's n-th value (null where there are fewer). */
const values: Record<string, string[]> = {
  k: ['x', 'X', 'x ', ' x', '键', '𠮷野家', 'é', 'e\u0301', 'tab\there', 'quote\'"\\'],
  t: ['', ' ', 'trailing ', '𠮷😀', 'line\nbreak\r\n', "'; drop table x; --", '\\N', '\t', 'NULL', 'é'.repeat(200)],
  body: ['', '长文本'.repeat(20_000), '\u0001', '\\', '\\.', '{"a":1}', '\u00a0', '\ufeff'],
  i: ['9223372036854775807', '-9223372036854775808', '0', '-1', '9007199254740993'],
  d: ['99999999999999999999999999999999999999', '-99999999999999999999999999999999999999', '0', '1'],
  fine: ['12345678.123456789012345678901234567891', '-0.000000000000000000000000000001', '0.000000000000000000000000000000'],
  b: ['true', 'false'],
  day: ['0001-01-01', '9999-12-31', '2024-02-29', '1582-10-10'],
  ts: ['0001-01-01T00:00:00.000001', '9999-12-31T23:59:59.999999', '2026-11-22T08:30:00.123456', '1969-12-31T23:59:59.500000'],
  tz: ['2026-11-22T00:30:00.123456', '1970-01-01T00:00:01.000000', '2038-01-19T03:14:06.999999'],
  clock: ['00:00:00.000000', '23:59:59.999999', '08:30:00.000001'],
  bin: ['', '00', '00ff10', 'deadbeef'.repeat(1000)],
  j: ['{}', '[]', '"text"', '{"名":"值","n":12345678901234567890.5,"deep":[[[null]]]}', 'null'],
}
const rowCount = values['k']!.length

/** What an application writes: literals that the engine itself understands. */
const literals: Record<string, (type: string, value: string) => string> = {
  postgres: (type, value) =>
    type === 'binary' ? `decode('${value}', 'hex')` : type === 'timestamptz' ? `timestamptz '${value}Z'` : `E'${escape(value)}'`,
  mysql: (type, value) =>
    type === 'binary' ? `x'${value}'` : type === 'boolean' ? value : `'${escape(value).replace(/^(\d{4}-\d\d-\d\d)T/, '$1 ')}'`,
}

function escape(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")
}

/** What an application reads: each type in one text, by the engine's own functions. */
const readings: Record<string, Record<string, (column: string) => string>> = {
  postgres: {
    boolean: (c) => `case when ${c} then 'true' else case when not ${c} then 'false' end end`,
    date: (c) => `to_char(${c}, 'YYYY-MM-DD')`,
    timestamp: (c) => `to_char(${c}, 'YYYY-MM-DD"T"HH24:MI:SS.US')`,
    timestamptz: (c) => `to_char(${c} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')`,
    time: (c) => `to_char(date '2000-01-01' + ${c}, 'HH24:MI:SS.US')`,
    binary: (c) => `encode(${c}, 'hex')`,
  },
  mysql: {
    boolean: (c) => `case ${c} when 1 then 'true' when 0 then 'false' end`,
    date: (c) => `date_format(${c}, '%Y-%m-%d')`,
    timestamp: (c) => `date_format(${c}, '%Y-%m-%dT%H:%i:%s.%f')`,
    timestamptz: (c) => `date_format(${c}, '%Y-%m-%dT%H:%i:%s.%f')`,
    time: (c) => `time_format(${c}, '%H:%i:%s.%f')`,
    binary: (c) => `lower(hex(${c}))`,
  },
}

function engineOf(url: string): 'postgres' | 'mysql' {
  return url.startsWith('postgres') ? 'postgres' : 'mysql'
}

async function writeRows(client: Client, engine: 'postgres' | 'mysql'): Promise<void> {
  if (engine === 'mysql') await client.query(`set time_zone = '+00:00'`)
  for (let n = 0; n < rowCount; n++) {
    const row = resource.items.map(({ id, type }) => (values[id]![n] === undefined ? 'null' : literals[engine]!(type, values[id]![n]!)))
    await client.query(`insert into every_type values (${row.join(', ')})`)
  }
}

async function readRows(client: Client, engine: 'postgres' | 'mysql', table: string): Promise<Map<string, (string | null)[]>> {
  const columns = resource.items.map(({ name, type }) => readings[engine]![type]?.(name) ?? name)
  const rows = await client.query(`select ${columns.join(', ')} from ${table}`)
  return new Map(rows.map((row) => [row[0]!, row]))
}

const mariadb = await findMariadb()
const skip = mariadb ? false : 'no MariaDB is reachable (QIANZHI_TEST_MARIADB_URL)'
const postgres = await findPostgres()
t.teardown(() => postgres.stop())

async function roundTrip(t: Test, sourceUrl: string, targetUrl: string): Promise<void> {
  const [from, to] = [engineOf(sourceUrl), engineOf(targetUrl)]
  const [source, target] = [await openClient(sourceUrl), await openClient(targetUrl)]
  const exchange = await Exchange.start()
  t.teardown(async () => {
    await exchange.stop()
    await Promise.all([source.end(), target.end()])
  })
  const watched = [{ resource: 'every-type', database: 'front', table: 'every_type' }]
  const provider = await exchange.enrol('provider', { agency: 'provider', databases: { front: { url: sourceUrl } }, sources: watched })
  await exchange.publish(resource)
  await provider.command('setup', '--create-table')
  const sinks = [{ resource: 'every-type', database: 'front', table: 'delivered_types' }]
  const receiver = await exchange.enrol('receiver', { agency: 'receiver', databases: { front: { url: targetUrl } }, sinks })
  await exchange.grant(
    'every-type',
    receiver,
    resource.items.map(({ id }) => id),
  )
  provider.program.start()
  receiver.program.start()
  if (from === 'mysql') await source.query(`set sql_mode = ''`).catch(() => undefined)
  await writeRows(source, from)
  const delivered = await until('all rows arrive', async () => {
    const rows = await readRows(target, to, 'delivered_types')
    return rows.size === rowCount && rows
  })
  for (let n = 0; n < rowCount; n++) {
    const row = delivered.get(values['k']![n]!)
    if (!row) {
      t.fail(`the row with key ${JSON.stringify(values['k']![n])} is there`)
      continue
    }
    for (const [i, { id }] of resource.items.entries()) {
      t.ok(row[i] === (values[id]![n] ?? null), `${id} of row ${n}: ${JSON.stringify(row[i])?.slice(0, 60)}`)
    }
  }
  // A reconciliation finds no difference in any type either; the command fails where it does.
  const { stdout } = await provider.command('reconcile', 'every-type', '--no-repair', '--json')
  t.match(JSON.parse(stdout), [{ state: 'equal', statement: { source: { rows: rowCount }, target: { rows: rowCount }, settled: 0 } }])
}

t.test('PostgreSQL to PostgreSQL', { skip: longer }, async (t) =>
  roundTrip(t, await postgres.createDatabase('a'), await postgres.createDatabase('b')),
)
t.test('PostgreSQL to MariaDB', { skip }, async (t) => roundTrip(t, await postgres.createDatabase('c'), await mariadb!.createDatabase()))
t.test('MariaDB to PostgreSQL', { skip }, async (t) => roundTrip(t, await mariadb!.createDatabase(), await postgres.createDatabase('d')))
t.test('MariaDB to MariaDB', { skip: skip || longer }, async (t) =>
  roundTrip(t, await mariadb!.createDatabase(), await mariadb!.createDatabase()),
)
