/** A resource of one agency and the table that supplies it, for flows in which only the way counts. */
import { openClient, type Client } from './client.ts'
import { Exchange, type ResourceFile, type TestAgent } from './exchange.ts'
import { hubStore } from './hub-store.ts'
import { findPostgres } from './postgres.ts'

const openness = 'internal' as const
export const people: ResourceFile = {
  resource: 'people',
  title: '人口',
  agency: 'police',
  table: 'people',
  items: [
    { id: 'id', name: 'id', label: '编号', type: 'integer', key: true, openness },
    { id: 'name', name: 'name', label: '姓名', type: 'text', length: 4000, openness },
    { id: 'phone', name: 'phone', label: '电话', type: 'text', length: 50, openness },
    { id: 'born', name: 'born', label: '出生日期', type: 'date', openness },
  ],
}

export interface PeopleScene {
  exchange: Exchange
  /** The hub's. */
  store: Client
  source: Client
  sourceUrl: string
  target: Client
  targetUrl: string
  end(): Promise<void>
}

/** A hub, a database with so many people, and one for a receiver. `hub`: settings beside its store. */
export async function startPeople(rows: number, hub: object = {}): Promise<PeopleScene> {
  const postgres = await findPostgres()
  const [storeUrl, sourceUrl, targetUrl] = [await hubStore(postgres), await postgres.createDatabase(), await postgres.createDatabase()]
  const exchange = await Exchange.start({ hub: { store: storeUrl, ...hub } })
  const [store, source, target] = [await openClient(storeUrl), await openClient(sourceUrl), await openClient(targetUrl)]
  await source.query(
    `create table people (id bigint primary key, name varchar(4000), phone varchar(50) default '110', born date default '2000-01-01')`,
  )
  await source.query(`insert into people select n, '甲,' || n from generate_series(1, ${rows}) n`)
  const end = async () => {
    await exchange.stop()
    await Promise.all([store.end(), source.end(), target.end()])
    await postgres.stop()
  }
  return { exchange, store, source, sourceUrl, target, targetUrl, end }
}

/** An enrolled provider whose table is set up, and the resource published. `rules`: of the source. */
export async function supplyPeople({ exchange, sourceUrl }: PeopleScene, resource = people, rules: object = {}): Promise<TestAgent> {
  const provider = await exchange.enrol('provider', {
    agency: 'police',
    databases: { front: { url: sourceUrl } },
    sources: [{ resource: 'people', database: 'front', table: 'people', ...rules }],
  })
  await exchange.publish(resource)
  await provider.command('setup')
  return provider
}

/** What a table of people holds; nothing where there is none yet. */
export async function peopleIn(client: Client): Promise<string[]> {
  return (await client.query('select id, name from people order by id').catch(() => [])).map((row) => row.join())
}
