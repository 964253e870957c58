/** SQLite for the conformance suite: each database a file, each session a connection of its own to it. */
import { openSqlite } from '../../../../agent/databases/sqlite/engine.ts'
import { quoteName, quoteText } from '../../../../agent/databases/sqlite/sql.ts'
import { FileSession, makeFile } from '../../../support/sqlite.ts'
import type { Dialect, TestDatabase } from '../conformance/suite.ts'

export async function freshDatabase(): Promise<TestDatabase> {
  const made = await makeFile()
  const session = new FileSession(made.url)
  return {
    url: made.url,
    query: (sql) => session.query(sql),
    close: () => session.close(),
    connect: async () => new FileSession(made.url),
    async drop() {
      await session.close()
      await made.drop()
    },
  }
}

export const sqlite: Dialect = {
  name: 'SQLite',
  open: openSqlite,
  quote: quoteName,
  literal(type, value) {
    if (type === 'binary') return `x'${Buffer.from(value, 'base64').toString('hex')}'`
    return type === 'integer' || type === 'boolean' ? value : quoteText(value)
  },
  seesTruncate: false,
  oneWriter: true,
  noComments: true,
  exactDigits: 15,
  nowhere: 'sqlite:///nowhere/front.db',
  unreadable: { prepare: [], value: 'case when amount = 0 then abs(-9223372036854775807 - 1) else amount end' },
  caseInsensitive: { type: 'varchar(20) collate nocase', prepare: [] },
  lossy: [
    { column: 'real', type: 'decimal', precision: 10, scale: 2 },
    { column: 'double', type: 'integer' },
    { column: 'decimal(20,2)', type: 'decimal', precision: 20, scale: 2 },
    { column: 'blob', type: 'text' },
    { column: 'text', type: 'integer' },
    { column: 'integer', type: 'text' },
    { column: 'varchar(20)', type: 'binary' },
  ],
  async dropTriggers(session, table) {
    for (const [name] of await session.query(`select name from sqlite_schema where type = 'trigger' and tbl_name = '${table}'`))
      await session.query(`drop trigger ${quoteName(name!)}`)
  },
  refusingTrigger: (table) => refusing(table, 'refuse', 'name', `<> 'refused'`),
  silentTriggers: (table) => [
    `create trigger silent before insert on ${table} when new.name = 'dropped' begin select raise(ignore); end`,
    `create trigger silent_after after insert on ${table} when new.name = 'altered' begin update ${table} set name = 'other' where id = new.id; end`,
    `create trigger silent_delete before delete on ${table} when old.id = 'kept' begin select raise(ignore); end`,
  ],
  otherSpelling: () => 'DELIVERED',
  keepingTrigger: (table, ids) => [
    `create trigger keep before delete on ${table} when old.id in (${ids}) begin select raise(abort, 'kept here'); end`,
  ],
  addCheck: refusing,
  dropCheck: (_, name) => ways.map((event) => `drop trigger ${name}_${event}`),
  addUnique: (table, columns, name) => `create unique index ${name} on ${table} (${columns})`,
  async referTo(session, table, id) {
    await session.query(`create table ${table} (parent varchar(20) references delivered (id))`)
    await session.query(`insert into ${table} values ('${id}')`)
  },
  localTypes: {
    altering: `
      integer; boolean; real; numeric; decimal(12,2); decimal(20,4); text; varchar(5); char(20); blob; json; uuid`
      .split(';')
      .map((type) => type.trim()),
    others: `
      int; bigint; double; clob; text collate nocase; text collate rtrim; date; datetime; timestamp; timestamptz; time`
      .split(';')
      .map((type) => type.trim()),
  },
  shown: (column, type) => (type === 'binary' ? `hex(${column})` : `cast(${column} as text)`),
  keyColumns: [
    { column: 'text', item: { type: 'text', length: 20 }, values: ['东莞', '莞城', 'ascii', '无'] },
    { column: 'varchar(20) collate nocase', item: { type: 'text', length: 20 }, values: ['东莞', 'a', 'b', '无'] },
    { column: 'varchar(20) collate rtrim', item: { type: 'text', length: 20 }, values: ['东莞', 'a', 'b', '无'] },
    { column: 'integer', item: { type: 'integer' }, values: ['-7', '0', '12', '13'] },
    { column: 'bigint', item: { type: 'integer' }, values: ['0', '9223372036854775807', '5'] },
    { column: 'decimal(12,2)', item: { type: 'decimal', precision: 12, scale: 2 }, values: ['-1.50', '2.00', '3.00'] },
    { column: 'date', item: { type: 'date' }, values: ['2026-11-22', '1999-01-01', '2026-02-31'] },
    {
      column: 'datetime',
      item: { type: 'timestamp' },
      values: ['2026-11-22T08:30:00.123456', '2026-11-22T08:30:00', '2026-11-22T08:30:01'],
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

const ways = ['insert', 'update']

/** A table cannot be given a CHECK later: a trigger for each way in stands for one. */
function refusing(table: string, name: string, column: string, condition: string): string[] {
  return ways.map(
    (event) =>
      `create trigger ${name}_${event} before ${event} on ${table} when not (new.${column} ${condition})
       begin select raise(abort, '${name}'); end`,
  )
}
