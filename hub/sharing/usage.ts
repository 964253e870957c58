/**
 * What programs read, on disk before it is answered: the requests of some milliseconds are counted by one transaction. The count of a grant
 * and day is one for all processes of the hub, so that a quota is exact.
 */
import { localDay } from '../../protocol/local-time.ts'
import type { Query, Store } from '../store/store.ts'
import { writeAudit } from '../records/audit.ts'

export interface Reading {
  grant: string
  client: string
  kind: 'rows' | 'row' | 'changes' | 'check' | 'proof' | 'description' | 'webhook'
  rows: number
}

interface Waiting extends Reading {
  /** Told the place of this request among the day's of its grant, from 1. */
  resolve: (place: number) => void
  reject: (error: unknown) => void
}

export class Usage {
  readonly #store: Pick<Store, 'transaction'>
  readonly #clock: () => Date
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined

  constructor(store: Pick<Store, 'transaction'>, clock: () => Date) {
    this.#store = store
    this.#clock = clock
  }

  /** @returns which request of its grant and day this is, from 1, once that is on disk. */
  count(reading: Reading): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...reading, resolve, reject })
      this.#writing ??= this.#writeAll().finally(() => (this.#writing = undefined))
    })
  }

  /** Rows of what was streamed, once that is over. */
  async addRows({ grant, client, kind, rows }: Reading): Promise<void> {
    const [now, day] = [this.#clock(), localDay(this.#clock())]
    await this.#store.transaction(async (query) => {
      await query('update api_usage_day set rows = rows + $3 where access_grant = $1 and day = $2', [grant, day, rows])
      await query(minuteSql, [[client], minuteOf(now), [kind], [0], [rows], [grant]])
    })
  }

  /** What was counted is on disk. */
  async close(): Promise<void> {
    while (this.#writing) await this.#writing
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const taken = this.#waiting
      this.#waiting = []
      try {
        const places = await this.#write(taken)
        for (const one of taken) {
          const place = places.get(one.grant)!
          places.set(one.grant, place + 1)
          one.resolve(place)
        }
      } catch (error) {
        for (const { reject } of taken) reject(error)
      }
    }
  }

  /** @returns for each grant the place of its first request of these. */
  async #write(taken: readonly Waiting[]): Promise<Map<string, number>> {
    const now = this.#clock()
    const grants = sums(taken, ({ grant }) => grant)
    const clients = sums(taken, ({ client, kind, grant }) => `${client}\n${kind}\n${grant}`)
    return this.#store.transaction(async (query) => {
      const names = [...grants.keys()].toSorted()
      const rows = await query<{ grant: string; requests: string }>(daySql, [
        names,
        localDay(now),
        names.map((name) => grants.get(name)!.requests),
        names.map((name) => grants.get(name)!.rows),
      ])
      const minutes = [...clients.keys()].toSorted()
      const parts = minutes.map((name) => name.split('\n'))
      await query(minuteSql, [
        parts.map(([client]) => client),
        minuteOf(now),
        parts.map(([, kind]) => kind),
        minutes.map((name) => clients.get(name)!.requests),
        minutes.map((name) => clients.get(name)!.rows),
        parts.map(([, , grant]) => grant),
      ])
      return new Map(rows.map(({ grant, requests }) => [grant, Number(requests) - grants.get(grant)!.requests + 1]))
    })
  }
}

function sums(taken: readonly Waiting[], by: (one: Waiting) => string): Map<string, { requests: number; rows: number }> {
  const found = new Map<string, { requests: number; rows: number }>()
  for (const one of taken) {
    const sum = found.get(by(one)) ?? { requests: 0, rows: 0 }
    found.set(by(one), { requests: sum.requests + 1, rows: sum.rows + one.rows })
  }
  return found
}

function minuteOf(now: Date): Date {
  return new Date(Math.floor(now.getTime() / 60_000) * 60_000)
}

/** Rows in one order, so that two processes do not wait for each other. */
const daySql = `
  insert into api_usage_day as u (access_grant, day, requests, rows)
  select name, $2, requests, rows from unnest($1::text[], $3::bigint[], $4::bigint[]) as a (name, requests, rows) order by name
  on conflict (access_grant, day) do update set requests = u.requests + excluded.requests, rows = u.rows + excluded.rows
  returning access_grant as grant, requests`

const minuteSql = `
  insert into api_usage_minute as u (client, access_grant, minute, kind, requests, rows)
  select client, g, $2, kind, requests, rows
  from unnest($1::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[]) as a (client, kind, requests, rows, g)
  order by client, g, kind
  on conflict (client, access_grant, minute, kind) do update set requests = u.requests + excluded.requests, rows = u.rows + excluded.rows, recorded = false`

/** Puts the API's use on record, minute by minute once each is over: who read how much of what by which grant. @returns how many entries. */
export async function recordUsage({ transaction }: Pick<Store, 'transaction'>, now: Date): Promise<number> {
  return transaction(async (query) => {
    const over = await query<UsedMinute>(
      `update api_usage_minute u set recorded = true from access_grant g
       where g.id = u.access_grant and (u.client, u.access_grant, u.minute, u.kind) in (select client, access_grant, minute, kind from api_usage_minute
         where not recorded and minute < $1 order by minute limit 1000 for no key update skip locked)
       returning u.client, u.minute, u.kind, u.requests, u.rows, g.id as grant, g.resource, g.agency`,
      [minuteOf(now)],
    )
    for (const used of over) await writeUse(query, used)
    return over.length
  })
}

interface UsedMinute {
  client: string
  minute: Date
  kind: string
  requests: string
  rows: string
  grant: string
  resource: string
  agency: string
}

async function writeUse(query: Query, { client, minute, kind, requests, rows, grant, resource, agency }: UsedMinute): Promise<void> {
  const details = { grant, kind, minute: minute.toISOString(), requests: Number(requests), rows: Number(rows) }
  await writeAudit(query, { actor: client, agency, via: 'client', act: 'api', object: resource, details })
}

/** Requests and rows of a grant, day by day, newest first. */
export function usageOf(query: Query, grant: string, days: number): Promise<{ day: string; requests: number; rows: number }[]> {
  return query(
    `select to_char(day, 'YYYY-MM-DD') as day, requests::float8 as requests, rows::float8 as rows from api_usage_day
     where access_grant = $1 order by day desc limit $2`,
    [grant, days],
  )
}
