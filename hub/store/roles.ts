import pg from 'pg'
import { QianzhiError } from '../../protocol/errors.ts'

/**
 * Who may do what in the store. The owner's role migrates; the role that the hub serves with reads and writes rows, but cannot change
 * or empty a table with the trigger `insert_only` (the audit), nor drop that trigger, nor touch the migrations. Given one role for both,
 * only the triggers stand in the way.
 */
type Runs = Pick<pg.Client, 'query'>

export async function roleOf(on: Runs): Promise<string> {
  const { rows } = await on.query<{ role: string }>('select current_user as role')
  return rows[0]!.role
}

/** Makes the role that may log in and nothing else, or gives it this password. */
export async function ensureServingRole(owner: Runs, role: string, password: string): Promise<void> {
  const { rowCount } = await owner.query('select from pg_roles where rolname = $1', [role])
  const rights = `login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password ${pg.escapeLiteral(password)}`
  await owner.query(`${rowCount ? 'alter' : 'create'} role ${pg.escapeIdentifier(role)} with ${rights}`)
}

/**
 * Gives the serving role its rights on everything that the owner has by now, and on nothing else that may live in the database; in one
 * transaction, as other hubs may be serving.
 */
export async function grantServing(owner: Runs, role: string): Promise<void> {
  const to = pg.escapeIdentifier(role)
  const { rows } = await owner.query<Owned>(ownedSql)
  const names = (which: (relation: Owned) => boolean) => rows.filter(which).map(({ name }) => name)
  const statements = [
    ...new Set(rows.map(({ schema }) => `grant usage on schema ${schema} to ${to}`)),
    ...names(({ kind }) => kind !== 'S').map((name) => `grant select, insert, update, delete on ${name} to ${to}`),
    ...names(({ kind }) => kind === 'S').map((name) => `grant usage, select, update on sequence ${name} to ${to}`),
    ...names(({ kept }) => kept).map((name) => `revoke update, delete, truncate on ${name} from ${to}, public`),
    `revoke insert, update, delete on migration from ${to}`,
    // It makes the resource tables, and owns them.
    `grant usage, create on schema data to ${to}`,
  ]
  await owner.query(['begin', ...statements, 'commit'].join(';'))
}

interface Owned {
  schema: string
  name: string
  /** `S` for a sequence. */
  kind: string
  /** It has the trigger that keeps it insert-only. */
  kept: boolean
}

const ownedSql = `
  select quote_ident(n.nspname) as schema, c.oid::regclass::text as name, c.relkind as kind,
    exists (select from pg_trigger where tgrelid = c.oid and tgname = 'insert_only') as kept
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relowner = current_user::regrole and c.relkind in ('r', 'p', 'v', 'm', 'S') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`

/** Throws QZ-CONFIG where the role could change the audit all the same: it owns it, belongs to who does, or is a superuser. */
export async function requireWeaker(serving: Runs): Promise<void> {
  const { rows } = await serving.query<{ role: string; strong: boolean }>(
    `select current_user as role, bool_or(has_table_privilege(tgrelid, 'update, delete, truncate, trigger')) as strong
     from pg_trigger where tgname = 'insert_only'`,
  )
  if (!rows[0]!.strong) return
  const { role } = rows[0]!
  const reason = {
    zh: `store 的账号 ${role} 仍能修改审计表：请换一个不是超级用户、不是表的所有者（或其成员）的账号`,
    en: `the role ${role} of store could still change the audit: name one that is no superuser, and neither owns the tables nor belongs to who does`,
  }
  throw new QianzhiError('QZ-CONFIG', { key: 'storeOwner', reason })
}
