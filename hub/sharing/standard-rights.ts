/** What may be read of all adopters of a data standard: by a program, and by an agency's people. */
import { flowsSql } from '../records/supply.ts'
import { masksInForce, type GrantMasks } from '../records/masks.ts'
import { askedBy, type Sharing } from './reading.ts'
import type { Asked } from './share.ts'
import { openUnion, type Union } from './unions.ts'

export interface ClientUnion {
  union: Union
  /** By resource: the grant by which it is read, and requests that it may be read with in a day. */
  grants: ReadonlyMap<string, { grant: string; quota: number }>
}

interface Row {
  id: string
  resource: string
  items: string[]
  masks: GrantMasks
  quota: string | null
}

/** Grants in force of the client's agency: the client's own, and those that came of the same approval by standard. */
const clientSql = `
  select g.id, g.resource, g.items, g.masks, g.api_quota as quota
  from api_client c join access_grant own on own.id = c.access_grant join access_grant g on g.agency = own.agency and g.mode = 'api'
      and (g.id = own.id or g.application = (select a.id from application a where a.id = own.application and a.standard = $2))
    join resource r on r.code = g.resource and r.standard = $2
  where c.id = $1 and c.ended_at is null and ${flowsSql} and (g.valid_to is null or g.valid_to > $3) order by g.resource, g.id`

/** Undefined where the client may read none, or there is no such standard. */
export async function unionOfClient(
  { store, clock, limits, maskKey }: Pick<Sharing, 'store' | 'clock' | 'limits' | 'maskKey'>,
  client: string,
  standard: string,
): Promise<ClientUnion | undefined> {
  const rows = await store.query<Row>(clientSql, [client, standard, clock()])
  const asked = rows.map(({ id, resource, items, masks }): Asked => ({
    id,
    resource,
    items,
    masks: masksInForce(masks),
    secret: maskKey(id),
  }))
  const union = await openUnion(store.query, `client ${client}`, standard, asked)
  if (!union) return undefined
  const grants = rows.map(
    ({ id, resource, quota }) => [resource, { grant: id, quota: quota === null ? limits.requestsPerDay : Number(quota) }] as const,
  )
  return { union, grants: new Map(grants) }
}

/** By all grants in mode query that an agency has of its adopters. Undefined where it has none in force. */
export async function unionOfAgency(sharing: Sharing, agency: string | null, standard: string): Promise<Union | undefined> {
  const { store, clock } = sharing
  const resources = await store.query<{ resource: string }>(
    `select distinct g.resource from access_grant g join resource r on r.code = g.resource
     where g.agency = $1 and r.standard = $2 and g.mode = 'query' and ${flowsSql} and (g.valid_to is null or g.valid_to > $3) order by g.resource`,
    [agency, standard, clock()],
  )
  const asked: Asked[] = []
  for (const { resource } of resources) asked.push(await askedBy(sharing, agency, resource))
  return openUnion(store.query, `agency ${agency}`, standard, asked)
}
