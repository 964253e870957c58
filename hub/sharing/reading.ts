/** Reading a share: each time by what is granted at that moment, and again where the table was replaced meanwhile. */
import { Type, type Static } from 'typebox'
import { QianzhiError } from '../../protocol/errors.ts'
import { flowsSql } from '../records/supply.ts'
import { notFound } from '../records/refusals.ts'
import type { Query, Store } from '../store/store.ts'
import type { Reader } from '../tables/reader.ts'
import type { Cursors } from './cursors.ts'
import { commonMasks, type GrantMasks } from '../records/masks.ts'
import { ended, openShare, type Asked, type Share } from './share.ts'

/** What reading needs of the hub. */
export interface Sharing {
  store: Pick<Store, 'query' | 'transaction'>
  reader: Reader
  cursors: Cursors
  clock: () => Date
  limits: SharingLimits
  /** The secret of a grant's hashed values. */
  maskKey: (grant: string) => Buffer
}

/**
 * `sharing:` of hub.yaml: what one person may query in a day, the rows of one file, what the programs of one grant may ask by API, and requests
 * for open data of one address in a minute.
 */
export const SharingFile = Type.Object(
  {
    queriesPerDay: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    rowsPerDay: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 })),
    exportRows: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000_000 })),
    requestsPerSecond: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    requestsPerDay: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 })),
    openPerMinute: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  },
  { additionalProperties: false },
)
export type SharingLimits = Required<Static<typeof SharingFile>>

export function sharingLimits(file: Static<typeof SharingFile> = {}): SharingLimits {
  return {
    queriesPerDay: 2000,
    rowsPerDay: 2_000_000,
    exportRows: 1_000_000,
    requestsPerSecond: 50,
    requestsPerDay: 1_000_000,
    openPerMinute: 60,
    ...file,
  }
}

/**
 * What an agency may query of a resource: the items of all its grants in this mode that are in force. Throws QZ-NOT-FOUND where it never
 * had one (whether the resource exists is not told), QZ-DATA-ENDED where it has none any more.
 */
export async function askedBy(
  { store, clock, maskKey }: Pick<Sharing, 'store' | 'clock' | 'maskKey'>,
  agency: string | null,
  resource: string,
): Promise<Asked> {
  const grants = await store.query<{ id: string; items: string[]; masks: GrantMasks; flows: boolean }>(
    `select g.id, g.items, g.masks, ${flowsSql} and (g.valid_to is null or g.valid_to > $3) as flows
     from access_grant g join resource r on r.code = g.resource where g.agency = $1 and g.resource = $2 and g.mode = 'query' order by g.id`,
    [agency, resource, clock()],
  )
  if (grants.length === 0) throw notFound('resource', resource)
  const inForce = grants.filter(({ flows }) => flows)
  if (inForce.length === 0) throw ended(resource, { zh: '没有生效的查询授权', en: 'no grant to query it is in force' })
  const items = [...new Set(inForce.flatMap((grant) => grant.items))]
  return { id: inForce.map(({ id }) => id).join(' '), resource, items, masks: commonMasks(inForce), secret: maskKey(inForce[0]!.id) }
}

/** Opens a share and reads it; once more where its table was replaced in between. */
export function withShare<T>(query: Query, asked: () => Promise<Asked>, work: (share: Share) => Promise<T>): Promise<T> {
  return whereReplaced(async () => work(await openShare(query, await asked())))
}

/** SQLSTATE: the table does not exist (any more). */
export function isGone(error: unknown): boolean {
  return (error as { code?: unknown }).code === '42P01'
}

/** Opens and reads; once more where a table was replaced in between. `anew`: told before. */
export async function whereReplaced<T>(work: () => Promise<T>, anew: () => void = () => {}): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isGone(error)) throw error
    anew()
    return work()
  }
}

/** Counts what a person reads against the day's limits, before it is read. Throws QZ-DATA-LIMIT. */
export async function countReading({ store, limits }: Sharing, actor: string, day: string, rows: number): Promise<void> {
  const [used] = await store.query<{ queries: string; rows: string }>(
    `insert into query_usage as u (actor, day, queries, rows) values ($1, $2, 1, $3)
     on conflict (actor, day) do update set queries = u.queries + 1, rows = u.rows + $3
       where u.queries < $4 and u.rows + $3 <= $5 returning queries, rows`,
    [actor, day, rows, limits.queriesPerDay, limits.rowsPerDay],
  )
  if (used && Number(used.rows) <= limits.rowsPerDay) return
  throw new QianzhiError('QZ-DATA-LIMIT', { queries: limits.queriesPerDay, rows: limits.rowsPerDay })
}
