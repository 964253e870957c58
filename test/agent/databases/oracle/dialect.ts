/** Oracle for the conformance suite: a fresh schema for each test, and the suite's SQL in Oracle's words. */
import { randomBytes } from 'node:crypto'
import oracledb, { type Connection } from 'oracledb'
import { addressOf } from '../../../../agent/databases/oracle/url.ts'
import { openOracle } from '../../../../agent/databases/oracle/engine.ts'
import { quoteName, quoteText } from '../../../../agent/databases/oracle/sql.ts'
import type { ValueType } from '../../../../protocol/value.ts'
import type { Dialect, Session, TestDatabase } from '../conformance/suite.ts'

/** Text and quoted parts of a statement: only the former may be rewritten. */
function outside(sql: string, rewrite: (plain: string) => string): string {
  return sql.replace(/'(?:[^']|'')*'|"[^"]*"|[^'"]+/g, (part) => (/^['"]/.test(part) ? part : rewrite(part)))
}

const rewritings: [RegExp, string][] = [
  [/\bboolean\b/g, 'number(1)'],
  [/\btrue\b/g, '1'],
  [/\bfalse\b/g, '0'],
  [/\bnot qz_deleted\b/g, 'qz_deleted = 0'],
  [/\bwhere qz_deleted\b(?! =)/g, 'where qz_deleted = 1'],
  [/\badd column\b/g, 'add'],
  [/\bchar_length\(/g, 'length('],
  [/^(drop table \w+)$/g, '$1 purge'],
]

/** A word that is reserved here, as a column. */
const reserved: [RegExp, string] = [/\bnumber\b(?!\()/g, '"NUMBER"']

/** Rows of one statement: a longer union takes long to be parsed. */
const rowsAtOnce = 500

/** The suite's SQL as statements that Oracle understands. Before 23 it knows neither VALUES of several rows nor booleans. */
export function inOracle(sql: string): string[] {
  if (/^create trigger/i.test(sql)) return [sql]
  const words = sql.startsWith('select') ? [...rewritings, reserved] : rewritings
  const plain = outside(sql.trim(), (part) => words.reduce((text, [from, to]) => text.replace(from, to), part))
  const insert = /^(insert into \S+(?: \([^)]*\))?) values\s*\(/.exec(plain)
  const quoted = /^(insert into "[^"]+"(?: \([^)]*\))?) values\s*\(/.exec(plain)
  const head = (quoted ?? insert)?.[1]
  if (head === undefined) return [plain]
  const rows = valueLists(plain.slice(plain.indexOf('(', head.length)))
  if (rows.length === 1) return [plain]
  const statements: string[] = []
  for (let at = 0; at < rows.length; at += rowsAtOnce) {
    const part = rows.slice(at, at + rowsAtOnce).map((row) => `select ${row} from dual`)
    statements.push(`${head} ${part.join(' union all ')}`)
  }
  return statements
}

/** `(a, 'b)'), (c)` to its lists without their parentheses. */
function valueLists(text: string): string[] {
  const lists: string[] = []
  let depth = 0
  let start = 0
  for (const { 0: token, index } of text.matchAll(/'(?:[^']|'')*'|[()]/g)) {
    if (token === '(' && depth++ === 0) start = index + 1
    if (token === ')' && --depth === 0) lists.push(text.slice(start, index))
  }
  return lists
}

const settings = [
  `alter session set nls_length_semantics = char nls_date_format = 'YYYY-MM-DD' nls_numeric_characters = '.,'`,
  `alter session set nls_timestamp_format = 'YYYY-MM-DD HH24:MI:SS.FF' time_zone = '+00:00'`,
]

/** A number with the digits of its column, as other engines give it. */
function fetchType({ dbType, scale }: oracledb.Metadata<unknown>) {
  if (dbType === oracledb.DB_TYPE_CLOB) return { type: oracledb.DB_TYPE_VARCHAR }
  if (dbType !== oracledb.DB_TYPE_NUMBER) return undefined
  const digits = (value: unknown) => {
    if (typeof value !== 'string' || !scale || scale < 0) return value
    const [whole, fraction = ''] = value.split('.')
    return `${whole}.${fraction.padEnd(scale, '0')}`
  }
  return { type: oracledb.DB_TYPE_VARCHAR, converter: digits }
}

async function open(url: string): Promise<Connection> {
  const { user, password, descriptor, client } = addressOf('test', url)
  if (client !== undefined) oracledb.initOracleClient({ libDir: client })
  const connection = await oracledb.getConnection({ user, password, connectString: descriptor })
  for (const setting of settings) await connection.execute(setting)
  return connection
}

export async function connectSession(url: string): Promise<Session> {
  const connection = await open(url)
  let inTransaction = false
  const query = async (sql: string): Promise<(string | null)[][]> => {
    if (sql === 'begin' || sql === 'commit' || sql === 'rollback') {
      inTransaction = sql === 'begin'
      if (sql === 'commit') await connection.commit()
      if (sql === 'rollback') await connection.rollback()
      return []
    }
    let rows: (string | null)[][] = []
    for (const statement of inOracle(sql)) {
      const options = { outFormat: oracledb.OUT_FORMAT_ARRAY, autoCommit: !inTransaction, fetchTypeHandler: fetchType, maxRows: 0 }
      const result = await connection.execute<(string | number | null)[]>(statement, [], options)
      rows = (result.rows ?? []).map((row) => row.map((value) => (value === null ? null : String(value))))
    }
    return rows
  }
  return { query, close: () => connection.close() }
}

const rights = 'create session, create table, create view, create trigger, create sequence, create procedure'

/** A user of its own for each test, made and dropped by the privileged account of the URL. */
export class OracleServer {
  readonly #url: string
  readonly #admin: Connection

  private constructor(url: string, admin: Connection) {
    this.#url = url
    this.#admin = admin
  }

  static async connect(url: string): Promise<OracleServer> {
    return new OracleServer(url, await open(url))
  }

  async freshDatabase(): Promise<TestDatabase> {
    const user = `QIANZHI_TEST_${randomBytes(5).toString('hex').toUpperCase()}`
    const tablespace = `select property_value from database_properties where property_name = 'DEFAULT_PERMANENT_TABLESPACE'`
    const found = await this.#admin.execute<string[]>(tablespace, [], { outFormat: oracledb.OUT_FORMAT_ARRAY })
    await this.#admin.execute(`create user ${user} identified by "Qz_${user}" quota unlimited on ${quoteName(found.rows![0]![0]!)}`)
    await this.#admin.execute(`grant ${rights} to ${user}`)
    const url = new URL(this.#url)
    url.username = user
    url.password = `Qz_${user}`
    let session: Promise<Session> | undefined
    const own = () => (session ??= connectSession(url.href))
    return {
      url: url.href,
      query: async (sql) => (await own()).query(sql),
      close: async () => (await session)?.close(),
      connect: () => connectSession(url.href),
      drop: async () => {
        await (await session?.catch(() => undefined))?.close().catch(() => {})
        await this.endSessions(user, '0')
        await this.#dropUser(user)
      },
    }
  }

  /** The server needs a moment until a session that was ended is gone. */
  async #dropUser(user: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#admin.execute(`drop user ${user} cascade`)
        return
      } catch (error) {
        if ((error as { errorNum?: number }).errorNum !== 1940 || attempt === 50) throw error
        await this.endSessions(user, '0')
      }
    }
  }

  async endSessions(user: string, except: string): Promise<void> {
    const sessions = await this.#admin.execute<number[]>(
      `select sid, serial# from v$session where username = :1 and sid <> to_number(:2) and status <> 'KILLED'`,
      [user, except],
      { outFormat: oracledb.OUT_FORMAT_ARRAY },
    )
    for (const [sid, serial] of sessions.rows ?? []) {
      await this.#admin.execute(`alter system kill session '${sid},${serial}' immediate`).catch(() => {})
    }
  }

  async close(): Promise<void> {
    await this.#admin.close()
  }
}

/** A text literal holds 4,000 bytes. */
const literalCharacters = 1000

export function oracleLiteral(type: ValueType, value: string): string {
  switch (type) {
    case 'integer':
    case 'decimal':
      return value
    case 'boolean':
      return value === 'true' ? '1' : '0'
    case 'date':
      return `date '${value}'`
    case 'timestamp':
      return `timestamp '${value.replace('T', ' ')}'`
    case 'timestamptz':
      return `timestamp '${value.replace('T', ' ').replace('Z', '')} +00:00'`
    case 'time':
      return `to_dsinterval('0 ${value}')`
    case 'binary':
      return value === '' ? 'empty_blob()' : `to_blob(hextoraw('${Buffer.from(value, 'base64').toString('hex')}'))`
    default:
      return textLiteral(value)
  }
}

function textLiteral(value: string): string {
  const characters = Array.from(value)
  if (characters.length <= literalCharacters) return quoteText(value)
  const parts: string[] = []
  for (let at = 0; at < characters.length; at += literalCharacters) {
    parts.push(`to_clob(${quoteText(characters.slice(at, at + literalCharacters).join(''))})`)
  }
  return parts.join(' || ')
}

export function oracle(server: Pick<OracleServer, 'endSessions'>): Dialect {
  return {
    name: 'Oracle',
    open: openOracle,
    quote: quoteName,
    literal: oracleLiteral,
    seesTruncate: false,
    unreadable: { prepare: [], value: 'cast(amount * (amount / amount) as number(12,2))' },
    caseInsensitive: { type: 'varchar2(20)', prepare: [] },
    comparesCase: true,
    emptyIsNull: true,
    oddTable: '许可 证`',
    lossy: [
      { column: 'binary_double', type: 'decimal', precision: 20, scale: 5 },
      { column: 'binary_float', type: 'text' },
      { column: 'number(12,4)', type: 'decimal', precision: 12, scale: 2 },
      { column: 'number(12,1)', type: 'integer' },
      { column: 'number(2)', type: 'boolean' },
      { column: 'timestamp(9)', type: 'timestamp' },
      { column: 'timestamp(6) with time zone', type: 'timestamp' },
      { column: 'timestamp(6)', type: 'timestamptz' },
      { column: 'interval year to month', type: 'text' },
      { column: 'long', type: 'text' },
      { column: 'bfile', type: 'binary' },
      { column: 'rowid', type: 'text' },
      { column: 'blob', type: 'text' },
      { column: 'varchar2(20)', type: 'date' },
    ],
    async dropTriggers(session, table) {
      const names = await session.query(`select trigger_name from user_triggers where table_name = ${quoteText(table.toUpperCase())}`)
      for (const [name] of names) await session.query(`drop trigger ${quoteName(name!)}`)
    },
    async disableTriggers(session, table) {
      await session.query(`alter table ${table} disable all triggers`)
    },
    dropKey: (table) => `alter table ${table} drop primary key`,
    async endOthers(session) {
      const [row] = await session.query(`select user, sys_context('userenv', 'sid') from dual`)
      await server.endSessions(row![0]!, row![1]!)
    },
    refusingTrigger: (table) => [
      `create trigger refuse before insert or update on ${table} for each row
begin if :new.name = 'refused' then raise_application_error(-20001, 'refused here'); end if; end;`,
    ],
    keyColumns: [
      { column: 'varchar2(20 char)', item: { type: 'text', length: 20 }, values: ['东莞', '莞城', 'ascii', '无'] },
      { column: 'nvarchar2(20)', item: { type: 'text', length: 20 }, values: ['东莞', '莞城', 'ascii', '无'] },
      { column: 'char(9 char)', item: { type: 'text', length: 20 }, values: ['东莞', 'x', '无'] },
      { column: 'number(19)', item: { type: 'integer' }, values: ['-7', '0', '12', '13'] },
      { column: 'number(12,2)', item: { type: 'decimal', precision: 12, scale: 2 }, values: ['-1.50', '2.00', '3.00'] },
      { column: 'date', item: { type: 'date' }, values: ['2026-11-22', '1999-01-01', '2026-11-23'] },
      {
        column: 'timestamp(6)',
        item: { type: 'timestamp' },
        values: ['2026-11-22T08:30:00.123456', '2026-11-22T08:30:00', '2026-11-22T08:30:01'],
      },
    ],
    keepingTrigger: (table, ids) => [
      `create trigger keep before delete on ${table} for each row
begin if :old.id in (${ids}) then raise_application_error(-20001, 'kept here'); end if; end;`,
    ],
    async referTo(session, table, id) {
      await session.query(`create table ${table} (parent varchar2(20 char) references delivered (id))`)
      await session.query(`insert into ${table} values ('${id}')`)
    },
    extremes: [
      { type: 'date', value: '0001-01-01' },
      { type: 'timestamp', value: '0001-01-01T00:00:00.000001' },
      { type: 'time', value: '23:59:59.9' },
    ],
  }
}
