/** Head statements of the hub's own streams: what a provider's agent says with its polls (SPEC section 5), the hub says of what it produces. */
import type { ChainPosition } from '../../protocol/position.ts'
import { samePosition } from '../../protocol/position.ts'
import { headStatement } from '../../protocol/receipt.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { Log } from '../log.ts'
import { enteredSql, hubProducer, sharedSql } from '../records/supply.ts'
import type { Store } from '../store/store.ts'
import { keptSql } from '../tables/records.ts'
import { producerAt } from './entered-resource.ts'

export interface HeadDeps {
  store: Pick<Store, 'query'>
  log: Pick<Log, 'heads' | 'receipt'>
  hubKey: SigningKey
  clock: () => Date
}

/** Milliseconds for which a statement of the same place is said again: as often as an agent polls. */
const againMs = 20_000

/**
 * Says of each stream what its newest batch is, and how many rows its receivers have then. Where the resource's table is behind the log, the
 * word of before stays: rows and place belong together.
 */
export async function tellHeads({ store, log, hubKey, clock }: HeadDeps): Promise<void> {
  const rows = await store.query<{ resource: string; place: ChainPosition; rows: number; told: string | null }>(headsSql, [hubProducer])
  const heads = await log.heads(rows.map(({ resource }) => resource))
  const now = clock()
  for (const { resource, place, rows: count, told } of rows) {
    if (!samePosition(place, heads.get(resource))) continue
    const known = told === null ? undefined : headStatement.open(told, hubKey.publicKey)
    if (samePosition(known, place) && Math.abs(now.getTime() - Date.parse(known!.time)) < againMs) continue
    if ((await producerAt(log, resource, place)) !== hubProducer) continue
    const { epoch, seq, hash } = place
    const said = headStatement.sign({ resource, producer: hubProducer, epoch, seq, hash, time: now.toISOString(), rows: count }, hubKey)
    await store.query('update stream set head_statement = $2 where resource = $1 and head_statement is not distinct from $3', [
      resource,
      said,
      told,
    ])
  }
}

const headsSql = `
  select s.resource, s.head_statement as told, live.rows::float8 as rows,
    jsonb_build_object('epoch', live.epoch, 'seq', live.seq, 'hash', live.hash) as place
  from stream s join resource r on r.code = s.resource join resource_table live on live.resource = r.code and live.state = 'live'
  where ${enteredSql} and ${sharedSql} and ${keptSql} and s.producer = $1 and live.epoch is not null`
