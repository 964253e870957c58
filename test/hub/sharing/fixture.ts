/** A city with rows: the civil agency's villages, supplied by its agent, in their resource table. */
import { pino } from 'pino'
import type t from 'tap'
import { Exchange } from '../../../hub/exchange.ts'
import { openPostgresLog } from '../../../hub/logs/postgres.ts'
import type { Draft } from '../../../hub/registry/catalog/compatibility.ts'
import { requireResource } from '../../../hub/registry/catalog/resources.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { ResourceTables } from '../../../hub/tables/tables.ts'
import { openCity, type City } from '../city.ts'
import { Provider } from '../exchange/fixture.ts'
import { enrolled, villages } from '../office.ts'

export type Row = Record<string, string | null>

export interface DataCity {
  city: City
  provider: Provider
  tables: ResourceTables
  /** Supplies changed rows, and waits until the table has them. */
  send: (rows: Row[], how?: 'snapshot') => Promise<void>
  /** A grant of the water agency. @returns its id. */
  grant: (mode: 'query' | 'api', items: string[], more?: { until?: Date; agency?: string }) => Promise<string>
}

export const places: Row[] = [
  { code: '441900003001', name: '岗贝社区', street: '东城街道' },
  { code: '441900003002', name: '主山社区', street: '东城街道' },
  { code: '441900004001', name: '=1+1', street: '南城街道' },
  { code: '441900004002', name: null, street: '' },
]

/** `name` is searchable, `phone` closed. */
export async function openDataCity(test: Pick<typeof t, 'teardown'>, change: (draft: Draft) => void = () => {}): Promise<DataCity> {
  const city = await openCity(test)
  const agent = await enrolled(city, 'civil')
  const schema = villages((draft) => {
    for (const item of draft.items) if (item.id === 'name') Object.assign(item, { searchable: true })
    change(draft)
  })
  await publishResource(city, 'admin', { schema })
  const published = await requireResource(city.store.query, schema.resource)
  const log = openPostgresLog(city.store)
  const { hubKey } = city
  const parts = { store: city.store, log, hubKey, wakeups: city.wakeups, clock: city.clock, logger: pino({ level: 'silent' }) }
  const exchange = new Exchange({ ...parts, policyFor: async () => ({ serial: 1, jws: '' }) })
  test.teardown(() => exchange.close())
  const tables = new ResourceTables(parts)
  const open = { ...published.schema, items: published.schema.items.filter(({ openness }) => openness !== 'closed') }
  const provider = new Provider({ id: agent.id, agency: 'civil', publicKey: agent.key.publicKey, key: agent.key }, open)
  const send = async (rows: Row[], how?: 'snapshot') => {
    await provider.send(exchange, how ? provider.snapshot(rows) : provider.build(rows))
    await tables.catchUp()
  }
  await send(places, 'snapshot')
  let grants = 0
  const grant: DataCity['grant'] = async (mode, items, { until, agency = 'water' } = {}) => {
    const id = `g${++grants}`
    await city.store.query(
      `insert into access_grant (id, resource, agency, items, mode, valid_to, basis) values ($1, $2, $3, $4, $5, $6, nextval('decision'))`,
      [id, schema.resource, agency, items, mode, until ?? null],
    )
    return id
  }
  return { city, provider, tables, send, grant }
}
