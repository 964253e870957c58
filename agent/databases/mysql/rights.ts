/** What the running account needs of a MySQL or MariaDB server; the catalogue shows an account only what it has a right on. */
import { QianzhiError } from '../../../protocol/errors.ts'
import { onlyReads, type SinkTable, type SourceTable } from '../../database.ts'
import type { Right } from '../bookkeeping/rights.ts'
import { place, readTable } from './catalog.ts'
import { cascadesInto } from './cascades.ts'
import type { Session } from './connection.ts'
import { ceilingTable, procedureName, queueName, triggerName } from './names.ts'
import { sourceQuarantine, streamTable } from './setup.ts'
import { quoteName, quoteText } from './sql.ts'
import { accountOf } from './trigger.ts'

/** For `user`, or for the account that asks; `held` is of the latter alone. */
export async function rightsOf(
  session: Session,
  sources: readonly SourceTable[],
  sinks: readonly SinkTable[],
  user?: string,
): Promise<Right[]> {
  const grants = await readGrants(session)
  const [own] = await session.rows('select current_user()')
  const account = accountOf(user ?? String(own![0]))
  const { database } = session.server
  const right = (privileges: readonly string[], on: Place, columns: readonly string[] = []): Right => ({
    statement: `grant ${privileges.join(', ').toLowerCase()} on ${on.routine ? 'procedure ' : ''}${target(on)} to ${account}`,
    held: async () => privileges.every((privilege) => holds(grants, privilege, on, columns)),
  })
  const needs = sources.filter(({ query }) => query === undefined).map((source) => sourceRights(session, source))
  const found = (await Promise.all(needs)).flat()
  if (sinks.length > 0)
    for (const one of new Set([database, ...sinks.map((sink) => place(session, sink.table).database)]))
      found.push([made, { database: one }])
  return found.map(([privileges, on, columns]) => right(privileges, on, columns))
}

/** A table or procedure; without a name all of a database. */
interface Place {
  database: string
  name?: string
  routine?: boolean
}

type Need = [privileges: readonly string[], on: Place, columns?: readonly string[]]

/** In a database in which tables are made, and followed as their resource changes. */
const made = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'ALTER', 'INDEX', 'DROP', 'CREATE TEMPORARY TABLES'] as const

/** Those on what set-up makes once that is there: the script of set-up gives them too. */
async function sourceRights(session: Session, source: SourceTable): Promise<Need[]> {
  const { database, name } = place(session, source.table)
  const columns = source.columns.map(({ column }) => column)
  if (onlyReads(source)) return [[['SELECT'], { database, name }, columns]]
  const { database: home } = session.server
  const { resource } = source
  const catalog = await readTable(session, source.table)
  const around = catalog ? (await cascadesInto(session, catalog)).flatMap(({ from, links }) => [from, ...links]) : []
  const needs: Need[] = [
    [['SELECT'], { database, name }, columns],
    [['TRIGGER'], { database, name }],
    ...around.map((one): Need => [['SELECT', 'TRIGGER'], { database: one.database, name: one.table }]),
  ]
  if (!(await isSetUp(session, source))) return needs
  return [
    ...needs,
    [['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'DROP'], { database: home, name: queueName(resource) }],
    [['EXECUTE'], { database: home, name: procedureName(resource), routine: true }],
    [['SELECT', 'INSERT', 'UPDATE'], { database: home, name: streamTable }],
    [['SELECT', 'UPDATE'], { database: home, name: ceilingTable }],
    [['SELECT', 'INSERT', 'UPDATE', 'DELETE'], { database: home, name: sourceQuarantine }],
  ]
}

/** Seen by whatever of it the account may see; nothing of it is seen by an account without any right. */
async function isSetUp(session: Session, { resource }: SourceTable): Promise<boolean> {
  const names = [queueName(resource), streamTable, ceilingTable, sourceQuarantine].map(quoteText).join(', ')
  const [row] = await session.rows(
    `select (select count(*) from information_schema.tables where table_schema = database() and table_name in (${names}))
      + (select count(*) from information_schema.triggers where trigger_name = ${quoteText(triggerName(resource, 'insert'))})
      + (select count(*) from information_schema.routines where routine_schema = database() and routine_name = ${quoteText(procedureName(resource))})`,
  )
  return Number(row![0]) > 0
}

/** Where a source lacks columns, or is not there, because the account may not read it: says so. */
export async function unreadable(session: Session, source: SourceTable): Promise<QianzhiError | undefined> {
  const [[privileges, on, columns]] = (await sourceRights(session, { ...source, capture: 'compare' })) as [Need]
  const grants = await readGrants(session)
  if (privileges.every((privilege) => holds(grants, privilege, on, columns ?? []))) return undefined
  const [own] = await session.rows('select current_user()')
  const grant = `grant select on ${target(on)} to ${accountOf(String(own![0]))}`
  return new QianzhiError('QZ-DB-RIGHTS', {
    database: session.server.database,
    reason: {
      zh: `看不到表 ${source.table}:请 DBA 执行 ${grant}(或该表不存在)`,
      en: `table ${source.table} is not to be seen: have the DBA run ${grant} (or it does not exist)`,
    },
  })
}

interface Grant {
  privileges: ReadonlyMap<string, readonly string[] | undefined>
  routine: boolean
  /** `*`, or a pattern with `%`, `_` and `\`. */
  database: string
  /** `*` for all. */
  name: string
}

/** What SHOW GRANTS says of the account and of the roles that it has on. */
async function readGrants(session: Session): Promise<Grant[]> {
  const rows = await session.rows('show grants')
  return rows.flatMap(([line]) => grantOf(String(line)) ?? [])
}

const name = String.raw`(?:\*|[\x60"](?:[^\x60"]|[\x60"]{2})+[\x60"])`
const form = new RegExp(`^GRANT (.+?) ON (TABLE |PROCEDURE |FUNCTION )?(${name})\\.(${name}) TO `, 'is')

function grantOf(line: string): Grant | undefined {
  const [, list, kind = '', database, table] = form.exec(line) ?? []
  if (list === undefined) return undefined
  const parts = list.match(/[A-Z][A-Z ]*(?:\([^)]*\))?/gi) ?? []
  const privileges = parts.map((part): [string, string[] | undefined] => {
    const [privilege, columns] = part.split('(') as [string, string?]
    return [
      privilege.trim().toUpperCase(),
      columns
        ?.replace(')', '')
        .split(',')
        .map((column) => bare(column.trim()).toLowerCase()),
    ]
  })
  return { privileges: new Map(privileges), routine: /procedure/i.test(kind), database: bare(database!), name: bare(table!) }
}

function bare(quoted: string): string {
  return quoted.replace(/^[`"](.*)[`"]$/s, '$1').replaceAll('``', '`')
}

function holds(grants: readonly Grant[], privilege: string, on: Place, columns: readonly string[]): boolean {
  const fitting = grants.filter((grant) => covers(grant, on)).map(({ privileges }) => privileges)
  const whole = fitting.some((has) => has.has('ALL PRIVILEGES') || (has.has(privilege) && has.get(privilege) === undefined))
  const byColumn = new Set(fitting.flatMap((has) => has.get(privilege) ?? []))
  return whole || (columns.length > 0 && columns.every((column) => byColumn.has(column.toLowerCase())))
}

function covers({ database, name, routine }: Grant, on: Place): boolean {
  if (database !== '*' && !like(database, name === '*').test(on.database)) return false
  return name === '*' || (name === on.name && routine === (on.routine ?? false))
}

/** Of a grant on a whole database `%` and `_` are wild. */
function like(pattern: string, wild: boolean): RegExp {
  const parts = pattern.match(/\\?./gs) ?? []
  const words = parts.map((part) => {
    if (wild && part === '%') return '.*'
    if (wild && part === '_') return '.'
    const literal = wild ? part.replace(/^\\(?=.)/s, '') : part
    return literal.replaceAll(/[^\w]/g, String.raw`\$&`)
  })
  return new RegExp(`^${words.join('')}$`, 's')
}

/** In a grant on a whole database `_` would stand for any character. */
function target({ database, name }: Place): string {
  return name === undefined ? `${quoteName(database.replaceAll(/[_%]/g, String.raw`\$&`))}.*` : `${quoteName(database)}.${quoteName(name)}`
}

/** Accounts as the server knows them: a grant to one that is not there is refused. */
export async function knownAccounts(session: Session, user: string): Promise<string[]> {
  if (user.includes('@')) return [user]
  const [own] = await session.rows('select current_user()')
  if (String(own![0]).startsWith(`${user}@`)) return [String(own![0])]
  try {
    const rows = await session.rows(`select host from mysql.user where user = ${quoteText(user)} order by host`)
    return rows.length > 0 ? rows.map(([host]) => `${user}@${String(host)}`) : [`${user}@%`]
  } catch {
    return [`${user}@%`]
  }
}
