/** What the running account needs of a MySQL or MariaDB server; the catalogue shows an account only what it has a right on. */
import { onlyReads, type SinkTable } from '../../database.ts'
import type { Right, SuppliedTable } from '../bookkeeping/rights.ts'
import { place, readTable } from './catalog.ts'
import { cascadesInto } from './cascades.ts'
import type { Session } from './connection.ts'
import { accountOf } from './accounts.ts'
import { holds, readGrants, target, type Place } from './grants.ts'
import { heldLogPrivileges, loggedTable, logPrivileges, logTable } from './log/place.ts'
import { ceilingTable, procedureName, queueName, triggerName } from './names.ts'
import { sourceQuarantine, streamTable } from './setup.ts'
import { quoteText } from './sql.ts'

/** For `user`, or for the account that asks; `held` is of the latter alone. */
export async function rightsOf(
  session: Session,
  sources: readonly SuppliedTable[],
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
  const rights = found.map(([privileges, on, columns]) => right(privileges, on, columns))
  return sources.some(({ capture }) => capture === 'log') ? [...rights, logRight(session, account)] : rights
}

function logRight(session: Session, account: string): Right {
  const privileges = logPrivileges(session.server)
  return {
    statement: `grant ${privileges.join(', ').toLowerCase()} on *.* to ${account}`,
    held: async () => privileges.every(await heldLogPrivileges(session)),
  }
}

type Need = [privileges: readonly string[], on: Place, columns?: readonly string[]]

/** In a database in which tables are made, and followed as their resource changes. */
const made = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'ALTER', 'INDEX', 'DROP', 'CREATE TEMPORARY TABLES'] as const

/** Those on what set-up makes once that is there: the script of set-up gives them too. */
async function sourceRights(session: Session, source: SuppliedTable): Promise<Need[]> {
  const { database, name } = place(session, source.table)
  const columns = source.columns.map(({ column }) => column)
  if (onlyReads(source)) return [[['SELECT'], { database, name }, columns]]
  const { database: home } = session.server
  const { resource } = source
  const catalog = await readTable(session, source.table)
  const around = catalog ? (await cascadesInto(session, catalog)).flatMap(({ from, links }) => [from, ...links]) : []
  const log = source.capture === 'log'
  const triggers: Need[] = [
    [['TRIGGER'], { database, name }],
    ...around.map((one): Need => [['SELECT', 'TRIGGER'], { database: one.database, name: one.table }]),
  ]
  const needs: Need[] = [[['SELECT'], { database, name }, columns], ...(log ? [] : triggers)]
  if (!(await isSetUp(session, source))) return needs
  const own: Need[] = log
    ? [logTable, loggedTable].map((table): Need => [['SELECT', 'UPDATE'], { database: home, name: table }])
    : [[['EXECUTE'], { database: home, name: procedureName(resource), routine: true }]]
  return [
    ...needs,
    ...own,
    [['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'DROP'], { database: home, name: queueName(resource) }],
    [['SELECT', 'INSERT', 'UPDATE'], { database: home, name: streamTable }],
    [['SELECT', 'UPDATE'], { database: home, name: ceilingTable }],
    [['SELECT', 'INSERT', 'UPDATE', 'DELETE'], { database: home, name: sourceQuarantine }],
  ]
}

/** Seen by whatever of it the account may see; nothing of it is seen by an account without any right. */
async function isSetUp(session: Session, { resource }: SuppliedTable): Promise<boolean> {
  const names = [queueName(resource), streamTable, ceilingTable, sourceQuarantine].map(quoteText).join(', ')
  const [row] = await session.rows(
    `select (select count(*) from information_schema.tables where table_schema = database() and table_name in (${names}))
      + (select count(*) from information_schema.triggers where trigger_name = ${quoteText(triggerName(resource, 'insert'))})
      + (select count(*) from information_schema.routines where routine_schema = database() and routine_name = ${quoteText(procedureName(resource))})`,
  )
  return Number(row![0]) > 0
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
