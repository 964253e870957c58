import type { Store } from '../../store/store.ts'
import { entryColumns, type ChainedEntry } from './entry.ts'

export interface AuditFilter {
  object?: string | undefined
  actor?: string | undefined
  act?: string | undefined
  /** Of the act, from (included) and to (not included). */
  from?: Date | undefined
  to?: Date | undefined
  /** `id` of the last one of the page before. */
  before?: string | undefined
  limit: number
}

export interface ListedEntry extends Omit<ChainedEntry, 'seq' | 'prev'> {
  id: string
  /** Place in the chain; null for the second or so until it is sealed. */
  seq: number | null
}

/** Acts about an object whose entries name it without its kind. */
const bareActs: Readonly<Record<string, string>> = {
  agency: `e.act like 'agency.%' or e.act = 'token.issue'`,
  agent: `e.act like 'agent.%'`,
  grant: `e.act like 'grant.%'`,
  resource: `e.act like 'resource.%' or e.act = 'supply'`,
  route: `e.act like 'route.%' or e.act = 'delivery'`,
}

/** SQL, after `e.object = …`: the same object by its bare name. What is sealed cannot be written anew. */
function bareObject(object: string, place: string): string {
  const kind = object.split(' ')[0]!
  return !Object.hasOwn(bareActs, kind) ? '' : ` or e.object = split_part(${place}, ' ', 2) and (${bareActs[kind]})`
}

/** Entries as a page shows them, newest first; no row values are in them. */
export async function listAudit(store: Pick<Store, 'query'>, filter: AuditFilter): Promise<ListedEntry[]> {
  const values: unknown[] = [filter.limit]
  const conditions = ['true']
  const where = (value: unknown, condition: (place: string) => string) => {
    if (value !== undefined) conditions.push(condition(`$${values.push(value)}`))
  }
  where(filter.object, (value) => `(e.object = ${value}${bareObject(filter.object!, value)})`)
  where(filter.actor, (value) => `e.actor = ${value}`)
  where(filter.act, (value) => `e.act = ${value}`)
  where(filter.from, (value) => `e.at >= ${value}`)
  where(filter.to, (value) => `e.at < ${value}`)
  where(filter.before, (value) => `(e.at, e.id) < (select at, id from audit_entry where id = ${value})`)
  const rows = await store.query<Omit<ListedEntry, 'seq'> & { seq: string | null }>(
    `select e.id, s.seq, ${entryColumns} from audit_entry e left join audit_seal s on s.entry = e.id
     where ${conditions.join(' and ')} order by e.at desc, e.id desc limit $1`,
    values,
  )
  return rows.map((row) => ({ ...row, seq: row.seq === null ? null : Number(row.seq) }))
}

/** Sealed entries after a place in the chain, oldest first: a reader that keeps the last seq misses none, whatever committed late. */
export async function listSealed(store: Pick<Store, 'query'>, after: number, limit: number): Promise<ListedEntry[]> {
  const rows = await store.query<Omit<ListedEntry, 'seq'> & { seq: string }>(
    `select e.id, s.seq, ${entryColumns} from audit_seal s join audit_entry e on e.id = s.entry where s.seq > $1 order by s.seq limit $2`,
    [after, limit],
  )
  return rows.map((row) => ({ ...row, seq: Number(row.seq) }))
}
