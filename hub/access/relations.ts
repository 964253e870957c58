import type { Query } from '../store/store.ts'
import type { Relations } from './authorise.ts'
import { notFound } from '../records/refusals.ts'

/** Of each kind of object: the agencies and the person it belongs to, as arrays; no row where the object does not exist. */
const relationSql = {
  agency: `select array[code] as own from agency where code = $1`,
  person: `select array[agency] as own, array[id::text] as self from person where id::text = $1`,
  key: `select array[agency] as own from api_key where id::text = $1`,
  registration: `select array[agency] as own, array[agency] as provider from registration where id::text = $1`,
  resource: `select array[agency] as own, array[agency] as provider from resource where code = $1`,
  standard: `select array[]::text[] as own from standard where code = $1`,
  application: `select array[a.agency] as receiver, array(
      select agency from resource where code = a.resource
      union select r.agency from resource r where r.standard = a.standard
    ) as provider from application a where a.id::text = $1`,
  grant: `select array[g.agency] as receiver, array[r.agency] as provider
    from access_grant g join resource r on r.code = g.resource where g.id = $1`,
  route: `select array[g.agency] as receiver, array[r.agency] as provider
    from route t join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource where t.id = $1`,
  reconciliation: `select array[g.agency] as receiver, array[r.agency] as provider from reconciliation c join route t on t.id = c.route
    join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource where c.id::text = $1`,
  machine: `select array[agency] as own from machine_application where id::text = $1`,
  agent: `select array[agency] as own from agent where id = $1`,
  demand: `select array[agency] as receiver, array_remove(array[provider], null) as provider from demand where id::text = $1`,
  publication: `select array[p.agency] as receiver, array[r.agency] as provider
    from publication_request p join resource r on r.code = p.resource where p.id::text = $1`,
  opening: `select array[r.agency] as own, array[r.agency] as provider from opening o join resource r on r.code = o.resource where o.id::text = $1`,
  correction: `select array[c.agency] as receiver, array[r.agency] as provider
    from correction c join resource r on r.code = c.resource where c.id::text = $1`,
  declaration: `select array[agency] as own from declaration where id::text = $1`,
  order: `select array[agency] as own from rectification_order where id::text = $1`,
  session: `select array[p.agency] as own, array[p.id::text] as self from session s join person p on p.id = s.person where s.id::text = $1`,
  job: `select array[agency] as own, array_remove(array[person::text], null) as self from job where id::text = $1`,
  evaluation: `select case when state = 'published' then array(select code from agency) else '{}' end as own from evaluation where id::text = $1`,
} as const

export type ObjectKind = keyof typeof relationSql

export const objectKinds = Object.keys(relationSql) as ObjectKind[]

/** Throws QZ-NOT-FOUND. */
export async function relationsOf(query: Query, kind: ObjectKind, id: string): Promise<Relations> {
  const [relations] = await query<Relations>(relationSql[kind], [id])
  if (!relations) throw notFound(kind, id.slice(0, 100))
  return relations
}
