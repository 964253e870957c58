/** What the store says of webhooks that have something to send, and which process sends it. */
import { flowsSql } from '../../records/supply.ts'
import type { Query } from '../../store/store.ts'
import type { GrantMasks } from '../../records/masks.ts'

/** A webhook whose turn it is, and the right by which is sent. */
export interface Turn {
  id: string
  grant: string
  resource: string
  agency: string
  items: string[]
  masks: GrantMasks
  quota: string | null
  url: string
  place: string | null
  whole: boolean
  shape: string | null
  number: number
  portion: Portion | null
  attempts: number
  looked: string
}

/** Sent again as it is until it is taken: the same number stands for the same changes. */
export interface Portion {
  next: string
  changes: number
  whole: boolean
}

/** What may change the items and masks that a grant shows. */
const lookedSql = `md5(jsonb_build_array(to_jsonb(g.items), g.masks, r.version, r.catalog_version, t.version, to_jsonb(t.items))::text)`

/** By parameter $1, the time. */
const fromSql = `webhook h join api_client c on c.id = h.client join access_grant g on g.id = c.access_grant
    join resource r on r.code = g.resource join resource_table t on t.resource = r.code and t.state = 'live'
  where c.ended_at is null and h.state = 'active' and g.mode = 'api' and ${flowsSql} and (g.valid_to is null or g.valid_to > $1)`

const dueSql = `select h.client from ${fromSql} and h.next_at <= $1 and (h.leased_until is null or h.leased_until <= $1)
    and (h.portion_next is not null or h.place is null or not h.whole or h.place not like t.epoch || '.' || t.seq || '.%'
      or h.looked is distinct from ${lookedSql})
  order by h.next_at, h.client limit 1 for no key update of h skip locked`

export interface Lease {
  /** Names the process and its turn. */
  lease: string
  now: Date
  until: Date
}

/** Gives the turn of one webhook that has something to send, and that nobody sends for. @returns its id. */
export async function takeTurn(query: Query, { lease, now, until }: Lease): Promise<string | undefined> {
  const [taken] = await query<{ id: string }>(
    `update webhook set lease = $2, leased_until = $3 where client = (${dueSql}) returning client as id`,
    [now, lease, until],
  )
  return taken?.id
}

/** The webhook as it is now, where the turn is still ours and its grant lets data flow; the turn lasts until then. */
export async function keepTurn(query: Query, id: string, { lease, now, until }: Lease): Promise<Turn | undefined> {
  const [row] = await query<Omit<Turn, 'portion'> & { next: string | null; changes: number; over: boolean }>(
    `with kept as (update webhook set leased_until = $4 where client = $2 and lease = $3 and state = 'active' returning client)
     select h.client as id, g.id as grant, g.resource, g.agency, g.items, g.masks, g.api_quota as quota, h.url, h.place, h.whole, h.shape,
       h.number::int as number, h.portion_next as next, h.portion_changes as changes, h.portion_whole as over, h.attempts, ${lookedSql} as looked
     from ${fromSql} and h.client in (select client from kept)`,
    [now, id, lease, until],
  )
  if (!row) return undefined
  const { next, changes, over, ...turn } = row
  return { ...turn, portion: next === null ? null : { next, changes, whole: over } }
}

/** Another number for another portion, on disk before it is sent. @returns the number, or undefined where the turn is lost. */
export async function beginPortion(
  query: Query,
  id: string,
  { lease, place, shape, portion }: { lease: string; place: string | null; shape: string; portion: Portion },
): Promise<number | undefined> {
  const [row] = await query<{ number: number }>(
    `update webhook set number = number + 1, place = $3, shape = $4, portion_next = $5, portion_changes = $6, portion_whole = $7, attempts = 0,
       whole = whole and $3::text is not null
     where client = $1 and lease = $2 and state = 'active' returning number::int as number`,
    [id, lease, place, shape, portion.next, portion.changes, portion.whole],
  )
  return row?.number
}

/** The receiver has it, or there was nothing to tell. @returns whether the turn was still ours. */
export async function moveOn(query: Query, id: string, lease: string, { next, whole }: Portion, delivered?: Date): Promise<boolean> {
  const moved = await query(
    `update webhook set place = $3, whole = $4, portion_next = null, portion_changes = null, portion_whole = null, attempts = 0, fault = null,
       failed_since = null, delivered_at = coalesce($5, delivered_at)
     where client = $1 and lease = $2 and state = 'active' returning 1`,
    [id, lease, next, whole, delivered ?? null],
  )
  return moved.length > 0
}

/** The turn is over. `looked`: nothing is left of what was looked at. */
export async function endTurn(
  query: Query,
  id: string,
  lease: string,
  { looked, again }: { looked?: string; again?: Date },
): Promise<void> {
  await query(
    `update webhook set lease = null, leased_until = null, looked = coalesce($3, looked), next_at = coalesce($4, next_at)
     where client = $1 and lease = $2`,
    [id, lease, looked ?? null, again ?? null],
  )
}

/** It was not taken; `held` where it is not tried again. @returns whether the turn was still ours. */
export async function noteFailure(
  query: Query,
  id: string,
  { lease, now, again, fault, held }: { lease: string; now: Date; again: Date; fault: string; held: boolean },
): Promise<boolean> {
  const noted = await query(
    `update webhook set attempts = attempts + 1, next_at = $4, fault = $5, failed_since = coalesce(failed_since, $3), lease = null,
       leased_until = null, state = case when $6 then 'held' else state end
     where client = $1 and lease = $2 and state = 'active' returning 1`,
    [id, lease, now, again, fault, held],
  )
  return noted.length > 0
}
