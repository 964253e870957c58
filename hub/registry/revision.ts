/**
 * What somebody saw of a case. A decision, or an edit, names the revision that was looked at (`If-Match`, RFC 9110, section 13.1.1) and is refused
 * where the case has another one by now: nobody decides on what they never saw. A revision is the newest line of the case's history, and what
 * else is decided on with it: the catalog entries that an application covers, the entry of a grant. What has no history of its own, such as an
 * agency, goes by its newest line in the audit.
 */
import { QianzhiError } from '../../protocol/errors.ts'
import { localTime } from '../../protocol/local-time.ts'
import type { ObjectKind } from '../access/relations.ts'
import { objectName } from '../records/refusals.ts'
import type { Page } from '../records/listing.ts'
import type { Registry } from '../records/registry.ts'
import type { Query } from '../store/store.ts'

const entries = (
  where: string,
) => `select left(md5(string_agg(c.code || ' ' || c.catalog_version || ' ' || c.state, ',' order by c.code)), 8)
  from resource c, ${where}`

/** SQL: what is decided on beside the case `o.id` itself. */
const besides: Partial<Record<ObjectKind, string>> = {
  application: entries('application a where a.id::text = o.id and (c.code = a.resource or c.standard = a.standard)'),
  opening: entries('opening p where p.id::text = o.id and c.code = p.resource'),
  grant: entries('access_grant g where g.id = o.id and c.code = g.resource'),
  resource: entries('unnest(array[o.id]) one where c.code = one'),
}

/** SQL: the newest line about the case `o.id` of kind $1. */
const newest = {
  history: 'select max(h.id) from history h where h.workflow = $1 and h.object = o.id',
  audit: `select max(e.id) from audit_entry e where e.object = $1 || ' ' || o.id and e.outcome = 'done'`,
} as const

function recordOf(kind: ObjectKind): keyof typeof newest {
  return kind === 'agency' || kind === 'evaluation' ? 'audit' : 'history'
}

async function revisionsOf(query: Query, kind: ObjectKind, ids: readonly string[]): Promise<Map<string, string>> {
  const found = await query<{ id: string; revision: string }>(
    `select o.id, concat_ws('.', coalesce((${newest[recordOf(kind)]}), 0),
       (${besides[kind] ?? 'select null'})) as revision from unnest($2::text[]) o(id)`,
    [kind, ids],
  )
  return new Map(found.map(({ id, revision }) => [id, revision]))
}

export async function revisionOf(query: Query, kind: ObjectKind, id: string): Promise<string> {
  return (await revisionsOf(query, kind, [id])).get(id)!
}

export type Revised<T> = T & { revision: string }

/** What is read after its revision is taken is that revision, or a newer one: never older. */
export async function revised<T extends object>(query: Query, kind: ObjectKind, id: string, read: () => Promise<T>): Promise<Revised<T>> {
  const revision = await revisionOf(query, kind, id)
  return { ...(await read()), revision }
}

/** A list's cases with their revisions, all of one moment. */
export function allRevised<T extends { id: string }>(
  { store }: Registry,
  kind: ObjectKind,
  read: (query: Query) => Promise<Page<T>>,
): Promise<Page<Revised<T>>> {
  return store.transaction(async (query) => {
    await query('set transaction isolation level repeatable read, read only')
    const { items, ...page } = await read(query)
    const ids = items.map(({ id }) => id)
    const revisions = await revisionsOf(query, kind, ids)
    return { ...page, items: items.map((item) => ({ ...item, revision: revisions.get(item.id)! })) }
  })
}

/** Throws QZ-REVISION where the case, which is locked, is not as it was seen; its text tells who did what since. */
export async function requireSeen(query: Query, kind: ObjectKind, id: string, seen: string): Promise<void> {
  const revision = await revisionOf(query, kind, id)
  if (revision === seen) return
  const what = objectName(kind, id)
  const own = revision.split('.')[0] !== seen.split('.')[0]
  const [since] = await query<{ by: string; event: string; at: Date }>(lastSql[own ? recordOf(kind) : 'entries'], [kind, id])
  const { by = '-', event = '-', at } = since ?? {}
  throw new QianzhiError('QZ-REVISION', { what, by, event, at: at ? localTime(at, 'Asia/Shanghai') : '-', revision })
}

/** SQL: who did what last with the case $2 of kind $1, or with what is decided on beside it. */
const lastSql = {
  history: `select actor_name as by, workflow || '.' || event as event, at from history
    where workflow = $1 and object = $2 order by id desc limit 1`,
  audit: `select coalesce(p.name, e.actor) as by, e.act as event, e.at from audit_entry e left join person p on e.actor = 'person ' || p.id
    where e.object = $1 || ' ' || $2 and e.outcome = 'done' order by e.id desc limit 1`,
  entries: `select coalesce(h.actor_name, v.published_by) as by, 'registration.publish' as event, v.published_at as at from catalog_version v
    left join history h on h.workflow = 'registration' and h.object = v.registration::text and h.event = 'publish'
    where v.resource in (
      select resource from access_grant where $1 = 'grant' and id = $2 union
      select resource from opening where $1 = 'opening' and id::text = $2 union select $2 where $1 = 'resource' union
      select coalesce(a.resource, r.code) from application a left join resource r on r.standard = a.standard where $1 = 'application' and a.id::text = $2)
    order by v.published_at desc limit 1`,
} as const
