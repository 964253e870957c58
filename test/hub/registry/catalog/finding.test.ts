/** The catalog as somebody chooses from it, search over everything, and an agency's own resources, against plain SQL over generated entries. */
import t from 'tap'
import { roleNames, type Role } from '../../../../hub/records/roles.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { Random, seedOfThisRun } from '../../../faults/random.ts'
import { agencyRoles, openCity, type City } from '../../city.ts'
import { villages } from '../../office.ts'
import { makeObject, openObjects } from '../../objects.ts'
import { objectKinds } from '../../../../hub/access/relations.ts'

const agencies = ['civil', 'water', 'health']

/** Entries of all agencies; what they are chosen by is drawn afterwards, as the office might have classified them. */
async function fill(city: City, random: Random, many: number): Promise<void> {
  for (let n = 0; n < many; n++) {
    const agency = random.pick(agencies)
    const schema = villages((draft) =>
      Object.assign(draft, {
        resource: `r${n}`,
        title: `${random.pick(['村居', '企业', '供水'])}名录 ${n}`,
        agency,
        table: `t${n}`,
        items: draft.items.filter(({ id }) => id !== 'phone' || random.chance(0.5)),
      }),
    )
    await publishResource(city, 'admin', { schema })
  }
  const { query } = city.store
  await query(`update resource set sharing = (array['unconditional','conditional','none'])[1 + substr(code, 2)::int % 3],
    cycle = (array['daily','monthly','quarterly','realtime'])[1 + substr(code, 2)::int % 4],
    share_modes = case when substr(code, 2)::int % 2 = 0 then '{query}' else '{query,api}' end::text[]`)
  await query(`update catalog_index set classification = (array['302001','302','307019','','307'])[1 + substr(resource, 2)::int % 5]`)
  await query(`insert into access_grant (id, resource, agency, items, state) select 'g' || code, code, 'water', '{name}',
    case when substr(code, 2)::int % 6 = 0 then 'revoked' else 'active' end from resource where substr(code, 2)::int % 3 = 0 and agency <> 'water'`)
  await query(`insert into application (agency, resource, mode, items, purpose, basis, state, created_at) select 'water', code, 'query', '{name}', 'p', 'b',
    case when substr(code, 2)::int % 8 = 1 then 'rejected' else 'reviewing' end, now() from resource where substr(code, 2)::int % 4 = 1`)
}

/** Plain SQL: every entry with what one chooses by, for an agency at $1. */
const rows = `select r.code, r.title, r.agency, r.sharing, r.cycle, r.share_modes, i.classification, i.openness,
    case when r.code in (select resource from access_grant where agency = $1 and state <> 'revoked') then 'grant'
      when r.code in (select resource from application where agency = $1 and state = 'reviewing') then 'application' else 'none' end as mine
  from resource r join catalog_index i on i.resource = r.code`

t.test('facets, filters and orders against plain SQL', async (t) => {
  const city = await openCity(t)
  const random = new Random(seedOfThisRun())
  await fill(city, random, 40)
  const filters: Record<string, [string, string][]> = {
    text: [['企业', `title like '企业%'`]],
    agency: agencies.map((code) => [code, `agency = '${code}'`]),
    sharing: [['conditional', `sharing = 'conditional'`]],
    cycle: [['monthly', `cycle = 'monthly'`]],
    mode: [['api', `'api' = any(share_modes)`]],
    classification: [
      ['302', `classification like '302%'`],
      ['307019', `classification = '307019'`],
    ],
    mine: ['grant', 'application', 'none'].map((mine) => [mine, `mine = '${mine}'`]),
  }
  const facets = ['agency', 'sharing', 'cycle', 'openness', 'mine', 'classification']
  for (let n = 0; n < 24; n++) {
    const [agency, role] = random.pick([['water', 'user'], ['civil', 'registrar'], ['city', 'supervisor']] as [string, Role][]) // prettier-ignore
    const asked = Object.entries(filters)
      .filter(() => random.chance(0.3))
      .map(([name, choices]) => [name, ...random.pick(choices)] as const)
    const sort = random.pick(['', 'title', '-title'])
    const search = new URLSearchParams({ ...Object.fromEntries(asked.map(([name, value]) => [name, value])), ...(sort && { sort }) })
    const query = search.toString()
    const found: string[] = []
    let total: unknown
    for (let after = ''; ;) {
      const { status, body } = await city.as(agency, role).get(`/catalog?${query}&limit=7${after}`)
      t.equal(status, 200)
      found.push(...body.items.map(({ resource }: { resource: string }) => resource))
      total ??= body.total
      if (body.next === null) break
      after = `&after=${body.next}`
    }
    const where = (without?: string) => ['true', ...asked.filter(([name]) => name !== without).map(([, , sql]) => sql)].join(' and ')
    const wanted = await city.store.query<{ code: string }>(
      `select code from (${rows}) x where ${where()} order by title collate "C" ${sort === '-title' ? 'desc' : ''}`,
      [agency],
    )
    const codes = wanted.map(({ code }) => code)
    const what = `${agency} ${query}`
    t.same(sort === '' && search.has('text') ? found.toSorted() : found, sort === '' && search.has('text') ? codes.toSorted() : codes, what)
    t.same(total, { count: codes.length, more: false }, what)
    const counted = (await city.as(agency, role).get(`/catalog?${query}&limit=1&facets=${facets.join()}`)).body.facets
    for (const facet of facets) {
      const digits = (search.get('classification')?.length ?? 0) >= 3 ? ((search.get('classification')?.length ?? 0) >= 6 ? 12 : 6) : 3
      const value = facet === 'classification' ? `left(classification, ${digits})` : facet
      const plain = await city.store.query(
        `select ${value} as value, count(*)::int as count from (${rows}) x where ${facet === 'classification' ? where() : where(facet)} and ${value} <> ''
         group by 1 order by 2 desc, 1`,
        [agency],
      )
      const told = counted[facet].map(({ value, count }: any) => ({ value, count }))
      const order = (lines: any[]) => lines.toSorted((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
      t.same(order(told), order(plain), `${what}: ${facet}`)
    }
  }
  // Each has one of three: with a grant and another application it is granted.
  for (const mine of ['grant', 'application', 'none']) {
    const [{ count }] = (await city.store.query<{ count: number }>(`select count(*)::int as count from (${rows}) x where mine = $2`, [
      'water',
      mine,
    ])) as [any]
    t.equal((await city.as('water', 'user').get(`/catalog?mine=${mine}`)).body.total.count, count, mine)
  }
  const lines = (await city.as('water', 'user').get('/catalog?limit=100')).body.items
  const wanted = await city.store.query<any>(rows, ['water'])
  for (const line of lines) {
    const { mine, agency, sharing, cycle } = wanted.find(({ code }) => code === line.resource)
    t.match(line, { mine: agency === 'water' ? 'own' : mine, sharing, cycle, state: 'active', updated: null }, line.resource)
  }
})

t.test('suggestions while typing', async (t) => {
  const city = await openCity(t)
  await publishResource(city, 'admin', { schema: villages() })
  const user = city.as('water', 'user')
  const texts = async (text: string) =>
    (await user.get(`/catalog/suggest?text=${encodeURIComponent(text)}`)).body.items.map((one: any) => `${one.kind} ${one.text}`)
  t.same(await texts('村'), ['resource 村居名录'])
  t.same(await texts('街'), ['resource 村居名录', 'item 街道'])
  t.same(await texts('民政'), ['agency 民政局', 'resource 村居名录'])
  t.same(await texts('没有'), [])
  t.equal((await user.get('/catalog/suggest?text=')).status, 400)
})

t.test('search over everything: of each kind what the same person may list, and nothing else', async (t) => {
  const city = await openCity(t)
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  for (const kind of objectKinds) await makeObject(objects, kind)
  let groups = 0
  for (const role of roleNames) {
    const caller = city.as(agencyRoles.includes(role) ? 'health' : 'city', role)
    const other = city.as(agencyRoles.includes(role) ? 'civil' : 'city', role)
    for (const who of [caller, other]) {
      const { status, body } = await who.get(`/search?text=1`)
      t.equal(status, 200)
      for (const { kind, total, found } of body.items) {
        groups++
        const path = kind === 'resource' ? '/catalog' : ({ agency: '/agencies', person: '/people' }[kind as string] ?? `/${kind}s`)
        const listed = await who.get(`${path}?text=1&limit=10`)
        t.equal(listed.status, 200, `${role} ${path}`)
        t.same([total, found.map(({ id }: any) => id)], [listed.body.total, listed.body.items.map((one: any) => one[kind === 'resource' ? 'resource' : ['agency', 'standard'].includes(kind) ? 'code' : 'id'])], `${role} ${kind}`) // prettier-ignore
      }
      const kinds = body.items.map(({ kind }: any) => kind)
      if (who.principal.agency === 'health') t.notOk(kinds.includes('grant') || kinds.includes('application'), `${role}: nothing of others`)
    }
  }
  t.ok(groups > 30, `${groups} groups`)
})

t.test('the resources of an agency, and how each stands, against plain SQL', async (t) => {
  const city = await openCity(t)
  await fill(city, new Random(seedOfThisRun()), 12)
  const agent = (
    await city.store.query<{ id: string }>(`insert into agent (id, agency, name, public_key) values ('a1', 'civil', 'a', 'k') returning id`)
  )[0]!.id
  await city.store.query(
    `insert into stream (resource, producer, last_push) select code, $1, timestamptz '2026-11-20T08:00Z' from resource where agency = 'civil'`,
    [agent],
  )
  await city.store.query(
    `insert into agent_fault (agent, line, code, since, gone_at) select $1, 'source ' || code, 'QZ-GUARD-DELETES', now(),
    case when substr(code, 2)::int % 2 = 0 then now() end from resource where agency = 'civil'`,
    [agent],
  )
  const expected = async (agency: string | null) =>
    city.store.query(
      `select r.code, (select count(*)::int from access_grant g where g.resource = r.code and g.state = 'active') as receivers,
         (select to_char(last_push at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') from stream where resource = r.code) as updated,
         (select max(code) from agent_fault f where f.line = 'source ' || r.code and gone_at is null) as held,
         (select count(*)::int from jsonb_path_query(v.schema, '$.items[*] ? (@.openness == "closed")')) as closed
       from resource r join resource_version v on v.resource = r.code where $1::text is null or r.agency = $1 order by r.title`,
      [agency],
    )
  for (const role of roleNames) {
    const home = agencyRoles.includes(role) ? 'civil' : 'city'
    const answer = await city.as(home, role).get('/resources?limit=100')
    const all = ['office', 'supervisor', 'secrecy'].includes(role)
    if (!all && home === 'city') {
      t.equal(answer.status, 403, role)
      continue
    }
    const wanted = await expected(all ? null : 'civil')
    const told = answer.body.items.map(({ code, receivers, updated, held, openness }: any) => ({
      code,
      receivers,
      updated,
      held,
      closed: openness.closed,
    }))
    t.same([answer.body.total.count, told], [wanted.length, wanted], role)
    const duties = (await city.as('city', 'supervisor').get('/duties?limit=1000')).body.items
    for (const { code, duty } of answer.body.items) {
      const states = duties.filter(({ resource }: any) => resource === code).map(({ state }: any) => state)
      t.equal(
        duty,
        ['overdue', 'running', 'explained', 'excused', 'updated'].find((state) => states.includes(state)) ?? null,
        `${role} ${code}`,
      )
    }
  }
})
