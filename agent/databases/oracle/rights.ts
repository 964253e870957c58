/** What the running account needs of an Oracle database, asked as that account; the dictionary shows it only what it has a right on. */
import type { SinkTable } from '../../database.ts'
import type { Right, SuppliedTable } from '../bookkeeping/rights.ts'
import { place, readTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { madeName, quoteName } from './sql.ts'

/** For `user`, or for the account that asks; `held` is of the latter alone. All that is ours belongs to the running account. */
export async function rightsOf(
  session: Session,
  sources: readonly SuppliedTable[],
  sinks: readonly SinkTable[],
  user?: string,
): Promise<Right[]> {
  const account = user === undefined ? session.server.user : madeName(user)
  const grantee = quoteName(account)
  const rights: Right[] = []
  for (const source of sources) {
    if (source.query !== undefined) continue
    const { owner, name } = await found(session, source)
    if (owner === account) continue
    rights.push({
      statement: `grant select on ${quoteName(owner)}.${quoteName(name)} to ${grantee}`,
      held: () => reads(session, owner, name),
    })
  }
  if (sinks.length === 0) return rights
  const [space] = await session.rows('select default_tablespace from user_users')
  return [
    ...rights,
    {
      statement: `grant create table to ${grantee}`,
      held: () => some(session, `select count(*) from session_privs where privilege in ('CREATE TABLE', 'CREATE ANY TABLE')`),
    },
    {
      statement: `alter user ${grantee} quota unlimited on ${quoteName(String(space?.[0] ?? 'USERS'))}`,
      held: () =>
        some(
          session,
          `select (select count(*) from session_privs where privilege = 'UNLIMITED TABLESPACE') + (select count(*) from user_ts_quotas where max_bytes <> 0) from dual`,
        ),
    },
  ]
}

async function found(session: Session, { table }: Pick<SuppliedTable, 'table'>): Promise<{ owner: string; name: string }> {
  const there = await readTable(session, table)
  if (there) return { owner: there.owner, name: there.table }
  const { owner, name } = place(session, table)
  return { owner: madeName(owner), name: madeName(name) }
}

async function reads(session: Session, owner: string, name: string): Promise<boolean> {
  const binds = session.binds()
  const where = `table_schema = ${binds.typed(owner, false)} and table_name = ${binds.typed(name, false)}`
  return some(
    session,
    `select (select count(*) from all_tab_privs where ${where} and privilege in ('SELECT', 'READ'))
  + (select count(*) from session_privs where privilege in ('SELECT ANY TABLE', 'READ ANY TABLE')) from dual`,
    binds,
  )
}

async function some(session: Session, query: string, binds?: ReturnType<Session['binds']>): Promise<boolean> {
  const [row] = await session.rows(query, binds)
  return Number(row![0]) > 0
}
