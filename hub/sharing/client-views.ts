import type { BlockList } from 'node:net'
import { QianzhiError } from '../../protocol/errors.ts'
import { flowsSql } from '../records/supply.ts'
import type { Store } from '../store/store.ts'
import { Believed } from './believed.ts'
import { networksOf } from '../records/networks.ts'
import { masksInForce, type GrantMasks } from '../records/masks.ts'
import type { Sharing } from './reading.ts'
import { ended, openShare, type Share } from './share.ts'

/** What a client may read now. */
export interface ClientView {
  client: string
  grant: string
  resource: string
  networks: BlockList | null
  /** Requests a second, and a day. */
  rate: number
  quota: number
  /** Undefined, or why nothing may be read any more. */
  share: Share | QianzhiError
}

interface Row {
  grant: string
  resource: string
  addresses: string[] | null
  items: string[]
  masks: GrantMasks
  rate: number | null
  quota: string | null
  live: boolean
  flows: boolean
}

const clientSql = `
  select g.id as grant, g.resource, c.addresses, g.items, g.masks, g.api_rate as rate, g.api_quota as quota, c.ended_at is null as live,
    ${flowsSql} and g.mode = 'api' and (g.valid_to is null or g.valid_to > $2) as flows
  from api_client c join access_grant g on g.id = c.access_grant join resource r on r.code = g.resource where c.id = $1`

/** Rights of clients, looked up again when they are older than an instant. */
export class ClientViews {
  readonly #store: Pick<Store, 'query'>
  readonly #clock: () => Date
  readonly #maskKey: (grant: string) => Buffer
  readonly #defaults: { rate: number; quota: number }
  readonly #believed = new Believed<ClientView>()

  constructor({ store, clock, limits, maskKey }: Pick<Sharing, 'store' | 'clock' | 'limits' | 'maskKey'>) {
    this.#store = store
    this.#clock = clock
    this.#maskKey = maskKey
    this.#defaults = { rate: limits.requestsPerSecond, quota: limits.requestsPerDay }
  }

  /** Throws QZ-API-TOKEN where the client has ended. */
  of(client: string): Promise<ClientView> {
    return this.#believed.of(client, () => this.#load(client))
  }

  /** The next request looks again. */
  forget(client: string): void {
    this.#believed.forget(client)
  }

  async #load(client: string): Promise<ClientView> {
    const [row] = await this.#store.query<Row>(clientSql, [client, this.#clock()])
    if (!row?.live) throw new QianzhiError('QZ-API-TOKEN', { reason: { zh: '凭证已终止', en: 'the credential has ended' } })
    const { grant, resource, addresses, items, masks, rate, quota, flows } = row
    return {
      client,
      grant,
      resource,
      networks: addresses && networksOf(addresses),
      rate: rate ?? this.#defaults.rate,
      quota: quota === null ? this.#defaults.quota : Number(quota),
      share: flows
        ? await this.#share({ id: grant, resource, items, masks: masksInForce(masks), secret: this.#maskKey(grant) })
        : ended(resource, { zh: '授权未生效', en: 'it is not in force' }),
    }
  }

  async #share(asked: Parameters<typeof openShare>[1]): Promise<Share | QianzhiError> {
    try {
      return await openShare(this.#store.query, asked)
    } catch (error) {
      if (error instanceof QianzhiError) return error
      throw error
    }
  }
}
