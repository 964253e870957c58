/** A city of any size, put straight into a hub's store: for pictures of the console, and for measuring it. */
import { catalogResource, agencies as agencyNames } from '../bench/catalog-words.ts'
import { indexResource } from '../../hub/registry/catalog/search.ts'
import type { Store } from '../../hub/store/store.ts'
import { Random } from '../faults/random.ts'
import { sha256 } from '../../protocol/signature.ts'
import { fillCases } from './cases.ts'

export interface CitySize {
  agencies: number
  /** Of thirty items each. */
  resources: number
  /** Grants with a route each. */
  routes: number
  /** Open ones of each kind. */
  cases: number
  /** Entries of the audit. */
  audit: number
}

/** What a whole city may have. */
export const large: CitySize = { agencies: 500, resources: 20_000, routes: 3_000, cases: 200, audit: 1_000_000 }

export interface Filling extends CitySize {
  now: Date
  /** Agencies that are there already and get their share before the others. */
  own?: readonly string[]
  note?: (line: string) => void
}

/** Agencies each with an agent that reports, a published catalog, routes of which some are held or late, cases that wait, an audit. */
export async function fillCity(store: Store, filling: Filling): Promise<void> {
  const { note = () => undefined, own = [], agencies, now } = filling
  const { query } = store
  const said = async (what: string, work: () => Promise<unknown>) => {
    const began = performance.now()
    await work()
    note(`  ${what} in ${((performance.now() - began) / 1000).toFixed(1)} s`)
  }
  const parties = [...own, ...Array.from({ length: agencies }, (_, n) => `g${String(n).padStart(3, '0')}`)]
  await said(`${agencies} agencies`, () => fillAgencies(store, filling))
  await said(`${filling.resources} resources`, () => fillResources(store, parties, filling))
  await said(`${filling.routes} routes`, () => fillRoutes(store, parties, filling))
  await said(`${filling.cases} cases of each kind`, () => fillCases(store, parties, filling))
  await said(`${filling.audit} entries of the audit`, () => fillAudit(store, filling))
  await said('statistics', () => query('analyze'))
  note(`  as of ${now.toISOString()}`)
}

const kindsOfAgencies = ['municipal', 'town', 'stationed']

async function fillAgencies({ query }: Store, { agencies, now }: Filling): Promise<void> {
  // Those of the tests' own city are there already.
  const names = agencyNames.filter((name) => !['民政局', '水务局', '卫生健康局'].includes(name))
  const nameOf = (n: number) => `${names[n % names.length]!}${n < names.length ? '' : Math.floor(n / names.length)}`
  await query(
    `insert into agency (code, name, kind, created_at)
     select 'g' || lpad((n - 1)::text, 3, '0'), name, ($3::text[])[1 + (n % 3)], $2::timestamptz - interval '400 days'
     from unnest($1::text[]) with ordinality a(name, n)`,
    [Array.from({ length: agencies }, (_, n) => nameOf(n)), now, kindsOfAgencies],
  )
  await query(
    `insert into person (agency, login, name, phone, state, last_sign_in)
     select code, 'u' || code, '经办人' || right(code, 3), '0769-2200' || right(code, 3) , 'active', $1::timestamptz - interval '1 day'
     from agency where code like 'g___'`,
    [now],
  )
  await query(`update agency a set responsible = p.id from person p where p.agency = a.code and a.code like 'g___'`)
  await query(`insert into person_role (person, role, given_by) select id, 'reviewer', 'city' from person where login like 'ug___'`)
}

/** Of the thirty items: a key, ten for everybody, three for nobody, the others for agencies. */
function opennessOf(at: number): string {
  return at % 3 === 1 ? 'public' : at % 11 === 10 ? 'closed' : 'internal'
}

const cycles = ['daily', 'weekly', 'monthly', 'quarterly']

async function fillResources(store: Store, parties: readonly string[], { resources, now }: Filling): Promise<void> {
  const random = new Random(7)
  const names = new Map(
    (await store.query<{ code: string; name: string }>('select code, name from agency')).map(({ code, name }) => [code, name]),
  )
  const indexes = ['catalog_index_head', 'catalog_index_items', 'catalog_index_tokens']
  for (const index of indexes) await store.query(`alter index ${index} set (fastupdate = on)`)
  for (let first = 0; first < resources; first += 500) {
    const entries = Array.from({ length: Math.min(500, resources - first) }, (_, i) => entryOf(random, first + i, parties, names))
    await store.transaction(async (query) => {
      await query(
        `insert into resource (code, agency, version, title, classification, sequence, abstract, sharing, cycle, supply_mode, keywords, catalog_version, created_at, published_at)
         select code, agency, 1, title, '101', n, abstract, case when n % 4 = 0 then 'conditional' else 'unconditional' end, cycle,
           case when n % 9 = 0 then 'form' else 'front-end' end, keywords, 1, at, at
         from jsonb_to_recordset($1) as r(code text, agency text, title text, n int, abstract text, cycle text, keywords text[]),
           lateral (select $2::timestamptz - interval '200 days' as at) t`,
        [JSON.stringify(entries.map(({ content: _content, indexed: _indexed, ...entry }) => entry)), now],
      )
      await query(
        `insert into catalog_version (resource, number, version, content, published_by, published_at)
         select code, 1, 1, content, 'reviewer', $2::timestamptz - interval '200 days' from jsonb_to_recordset($1) as r(code text, content jsonb)`,
        [JSON.stringify(entries.map(({ code, content }) => ({ code, content }))), now],
      )
      for (const { indexed } of entries) await indexResource(query, indexed)
    })
  }
  for (const index of indexes) await store.query(`alter index ${index} set (fastupdate = off)`)
  await store.query('vacuum analyze catalog_index')
  await store.query(
    `insert into resource_version (resource, version, schema, published_at)
     select r.code, 1, jsonb_build_object('resource', r.code, 'version', 1, 'title', r.title, 'agency', r.agency, 'table', v.content ->> 'table', 'items', v.content -> 'items'), r.published_at
     from resource r join catalog_version v on v.resource = r.code where r.code like 'r_____'`,
  )
  await store.query(
    `insert into catalog_item (resource, item, label, agency, subject)
     select v.resource, i ->> 'id', i ->> 'label', r.agency, 'other' from catalog_version v join resource r on r.code = v.resource, jsonb_array_elements(v.content -> 'items') i
     where v.resource like 'r_____'`,
  )
  await store.query(
    `insert into resource_phase (resource, since, cycle, state, supply_mode, supplied)
     select code, published_at, cycle, state, supply_mode, true from resource where code like 'r_____'`,
  )
  await store.query(
    `insert into supply_day (resource, day, batches, changed_rows, snapshot_rows, last_change, same_rows)
     select code, ($1::timestamptz at time zone 'Asia/Shanghai')::date - d, 3, 40 + sequence % 60, 0, $1::timestamptz - d * interval '1 day', 5
     from resource, generate_series(0, 20, 2) d where code like 'r_____' and sequence % 5 <> 0`,
    [now],
  )
}

function entryOf(random: Random, n: number, parties: readonly string[], names: ReadonlyMap<string, string>) {
  const made = catalogResource(random, n)
  const code = `r${String(n).padStart(5, '0')}`
  const agency = parties[n % parties.length]!
  const title = `${made.title}${n < 200 ? '' : n}`
  const items = made.items.map((item, at) => ({
    ...item,
    name: `${item.name}_${at}`,
    type: at % 7 === 5 ? 'date' : 'text',
    ...(at % 7 !== 5 && { length: 100 }),
    ...(at === 0 && { key: true }),
    openness: opennessOf(at),
  }))
  const content = {
    title,
    classification: '101',
    abstract: made.abstract,
    format: 'database',
    sharing: n % 4 === 3 ? 'conditional' : 'unconditional',
    shareModes: ['query', 'api', 'exchange'],
    cycle: cycles[n % 4]!,
    supplyMode: 'front-end',
    subject: 'other',
    licence: false,
    secrecy: false,
    keywords: [...new Set(made.keywords)],
    related: [],
    keep: 'store',
    table: code,
    contact: { name: '数据管理科', phone: '0769-22830000' },
    items,
    storedClosed: [],
    exceptions: [],
  }
  const indexed = { ...made, resource: code, title, agency, agencyName: names.get(agency)!, openness: 'partial', items }
  return { code, agency, title, n: n + 1, abstract: made.abstract, cycle: content.cycle, keywords: content.keywords, content, indexed }
}

/** Of a hundred routes four are held, three late and one not reported; of a hundred agents one is silent. */
async function fillRoutes({ query }: Store, parties: readonly string[], { routes, resources, now }: Filling): Promise<void> {
  const random = new Random(11)
  const hash = sha256('batch')
  await query(
    `insert into agent (id, agency, name, public_key, enrolled_at, last_seen)
     select 'agent-' || code, code, '前置机' , 'key ' || code, $1::timestamptz - interval '300 days',
       $1::timestamptz - case when n % 100 = 17 then interval '2 hours' else interval '5 seconds' end
     from (select code, min(n) as n from unnest($2::text[]) with ordinality p(code, n) group by code) p where not exists (select from agent where agency = p.code)`,
    [now, parties],
  )
  await query('update agent set last_seen = $1 where last_seen is null and agency = any($2)', [new Date(now.getTime() - 5000), parties])
  const agentOf = new Map(
    (await query<{ agency: string; id: string }>(`select distinct on (agency) agency, id from agent order by agency, id`)).map(
      ({ agency, id }) => [agency, id],
    ),
  )
  const made = Array.from({ length: routes }, (_, n) => {
    const resource = n % resources
    const provider = resource % parties.length
    const step = 1 + ((Math.floor(n / parties.length) * 7 + (n % 5) * 3) % (parties.length - 1))
    return {
      n,
      resource: `r${String(resource).padStart(5, '0')}`,
      agency: parties[(provider + step) % parties.length]!,
      today: random.between(0, 50_000),
    }
  })
  const lines = made.map((one) => ({ ...one, id: `grant-${one.n}`, agent: agentOf.get(one.agency)! }))
  await query(
    `insert into access_grant (id, resource, agency, items, created_at, valid_to, mode)
     select id, resource, agency, array['i0', 'i1', 'i2', 'i3', 'i4'], $2::timestamptz - interval '90 days',
       case when n % 3 = 0 then $2::timestamptz + interval '200 days' end, 'exchange'
     from jsonb_to_recordset($1) as r(id text, resource text, agency text, n int)`,
    [JSON.stringify(lines), now],
  )
  await query(
    `insert into stream (resource, producer, epoch, seq, hash, last_push)
     select distinct on (r.resource) r.resource, a.id, 10, 5, $3, $2::timestamptz - interval '20 seconds' from jsonb_to_recordset($1) as r(resource text)
     join resource c on c.code = r.resource join agent a on a.agency = c.agency order by r.resource, a.id`,
    [JSON.stringify(lines), now, hash],
  )
  await query(
    `insert into log_stream (resource, epoch, seq, hash, receipt, total) select resource, 10, 5, $1, 'r', 1 from stream where resource like 'r_____'`,
    [hash],
  )
  await query(`insert into supply_bookmark (resource, epoch, seq) select resource, 10, 5 from stream where resource like 'r_____'`)
  await query(
    `insert into route (id, access_grant, agent, epoch, seq, hash, written, receipt, moved_at, created_at, first_receipt_at)
     select 'route-' || n, id, agent, 10, 5, $3, today * 9, 'receipt', $2::timestamptz - interval '30 seconds', $2::timestamptz - interval '89 days', $2::timestamptz - interval '89 days'
     from jsonb_to_recordset($1) as r(id text, agent text, n int, today bigint)`,
    [JSON.stringify(lines), now, hash],
  )
  await query(
    `insert into delivery_day (route, day, written)
     select 'route-' || n, ($2::timestamptz at time zone 'Asia/Shanghai')::date - d, today from jsonb_to_recordset($1) as r(n int, today bigint), generate_series(0, 29) d`,
    [JSON.stringify(lines), now],
  )
  await query(
    `insert into delivery_bookmark (route, epoch, seq, written, deleted) select 'route-' || n, 10, 5, today * 9, 0 from jsonb_to_recordset($1) as r(n int, today bigint)`,
    [JSON.stringify(lines)],
  )
  await report(query, { lines, now })
}

const unreachable = {
  code: 'QZ-DB-UNREACHABLE',
  zh: '数据库 main 无法使用: ECONNREFUSED',
  en: 'the database main cannot be used: ECONNREFUSED',
}

interface Reported {
  lines: readonly { n: number; resource: string; agent: string }[]
  now: Date
}

/** What each agent tells of its lines. */
async function report(query: Store['query'], { lines, now }: Reported): Promise<void> {
  const about = { version: '0.1.0', session: 'session', clockOffset: 12 }
  const position = { epoch: 10, seq: 5, hash: sha256('batch') }
  const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000).toISOString()
  const producers = await query<{ resource: string; producer: string }>('select resource, producer from stream')
  const line = { database: 'main', position, rows: 1000, quarantine: 0 }
  const sources = Map.groupBy(producers, ({ producer }) => producer)
  const sinks = Map.groupBy(lines, ({ agent }) => agent)
  for (const agent of new Set([...sources.keys(), ...sinks.keys()])) {
    const sourcesOf = (sources.get(agent) ?? []).map(({ resource }) => ({
      ...line,
      resource,
      state: 'flowing',
      waiting: 0,
      lastPush: ago(20),
    }))
    const sinksOf = (sinks.get(agent) ?? [])
      .filter(({ n }) => n % 100 !== 41)
      .map(({ n, resource }) => ({
        ...line,
        route: `route-${n}`,
        resource,
        table: `public.${resource}`,
        state: n % 25 === 3 ? 'held' : 'flowing',
        quarantine: n % 33 === 7 ? 12 : 0,
        reached: ago(n % 25 === 3 ? 20_000 : 40),
        lastApplied: ago(30),
        ...(n % 25 === 3 && { fault: { ...unreachable, since: ago(18_000) } }),
      }))
    await query('update agent set report = $2 where id = $1', [agent, JSON.stringify({ ...about, sources: sourcesOf, sinks: sinksOf })])
  }
}

async function fillAudit({ query }: Store, { audit, now }: Filling): Promise<void> {
  await query(
    `insert into audit_entry (at, actor, agency, via, ip, act, object, outcome, details)
     select $2::timestamptz - ($1::int - n) * interval '7 seconds', 'person ' || n % 500, 'g' || lpad((n % 20)::text, 3, '0'), 'session', '10.1.2.3',
       (array['application.submit', 'application.approve', 'registration.publish', 'query.run', 'session.open', 'grant.revoke'])[1 + n % 6],
       (array['application ', 'application ', 'resource r', 'resource r', 'person ', 'grant grant-'])[1 + n % 6] || n % 3000,
       case when n % 40 = 0 then 'QZ-FORBIDDEN' else 'done' end, jsonb_build_object('reason', '依据市政务信息资源共享管理办法', 'n', n)
     from generate_series(1, $1::int) n`,
    [audit, now],
  )
}
