/** What SHOW GRANTS says that an account may: the catalogue shows it only what it has a right on. */
import { QianzhiError } from '../../../protocol/errors.ts'
import type { SourceTable } from '../../database.ts'
import { accountOf } from './accounts.ts'
import { place } from './catalog.ts'
import type { Session } from './connection.ts'
import { quoteName } from './sql.ts'

/** A table or procedure; without a name all of a database. */
export interface Place {
  database: string
  name?: string
  routine?: boolean
}

/** Where a source lacks columns, or is not there, because the account may not read it: says so. */
export async function unreadable(session: Session, source: Pick<SourceTable, 'table' | 'columns'>): Promise<QianzhiError | undefined> {
  const on = place(session, source.table)
  const columns = source.columns.map(({ column }) => column)
  if (holds(await readGrants(session), 'SELECT', on, columns)) return undefined
  const [own] = await session.rows('select current_user()')
  const grant = `grant select on ${target(on)} to ${accountOf(String(own![0]))}`
  return new QianzhiError('QZ-DB-RIGHTS', {
    database: session.server.database,
    reason: {
      zh: `看不到表 ${source.table}：请 DBA 执行 ${grant}（或该表不存在）`,
      en: `table ${source.table} is not to be seen: have the DBA run ${grant} (or it does not exist)`,
    },
  })
}

/** MariaDB tells what the role gives by itself; MySQL tells it of those that are named. */
async function usingRoles(session: Session): Promise<string> {
  if (session.server.mariadb) return ''
  const [row] = await session.rows('select current_role()')
  const roles = String(row![0])
  return roles === 'NONE' ? '' : ` for current_user() using ${roles}`
}

export interface Grant {
  privileges: ReadonlyMap<string, readonly string[] | undefined>
  routine: boolean
  /** `*`, or a pattern with `%`, `_` and `\`. */
  database: string
  /** `*` for all. */
  name: string
}

/** What SHOW GRANTS says of the account and of the roles that it has on. */
export async function readGrants(session: Session): Promise<Grant[]> {
  const rows = await session.rows(`show grants${await usingRoles(session)}`)
  return rows.flatMap(([line]) => grantOf(String(line)) ?? [])
}

const name = String.raw`(?:\*|[\x60"](?:[^\x60"]|[\x60"]{2})+[\x60"])`
const form = new RegExp(`^GRANT (.+?) ON (TABLE |PROCEDURE |FUNCTION )?(${name})\\.(${name}) TO `, 'is')

function grantOf(line: string): Grant | undefined {
  const [, list, kind = '', database, table] = form.exec(line) ?? []
  if (list === undefined) return undefined
  const parts = list.match(/[A-Z][A-Z_ ]*(?:\([^)]*\))?/gi) ?? []
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

export function holds(grants: readonly Grant[], privilege: string, on: Place, columns: readonly string[]): boolean {
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
export function target({ database, name }: Place): string {
  return name === undefined ? `${quoteName(database.replaceAll(/[_%]/g, String.raw`\$&`))}.*` : `${quoteName(database)}.${quoteName(name)}`
}
