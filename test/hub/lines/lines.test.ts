/** Lines, flows and figures against plain SQL, over generated states, for every role. */
import t from 'tap'
import { addGrant } from '../../../hub/registry/grants/grants.ts'
import { addRoute } from '../../../hub/registry/grants/routes.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { takeReceipt } from '../../../hub/exchange/receipts.ts'
import { roleNames, type Role } from '../../../hub/records/roles.ts'
import { Random, seedOfThisRun } from '../../faults/random.ts'
import { agencyRoles, openCity, type Caller, type City } from '../city.ts'
import { enrolled, villages } from '../office.ts'

const agencies = ['civil', 'water', 'health'] as const
const fault = { code: 'QZ-DB-UNREACHABLE', zh: '数据库无法使用', en: 'the database cannot be used', since: '2026-11-21T07:00:00Z' }

/** Two resources of each agency, granted to both others where chance says so; agents that tell what chance says. */
async function generate(city: City, random: Random): Promise<void> {
  const agents = new Map<string, string>()
  for (const agency of agencies) agents.set(agency, (await enrolled(city, agency)).id)
  for (const agency of agencies) {
    for (const number of [1, 2]) {
      const resource = `${agency}-${number}`
      await publishResource(city, 'admin', { schema: villages((draft) => Object.assign(draft, { resource, agency, title: resource })) })
      for (const receiver of agencies.filter((one) => one !== agency && random.chance(0.8))) {
        const grant = await addGrant(city, 'admin', { resource, agency: receiver, items: ['name'] })
        await addRoute(city, 'admin', grant.id, agents.get(receiver)!)
      }
    }
  }
  await change(city, random)
}

async function change(city: City, random: Random): Promise<void> {
  const { query } = city.store
  const ago = (seconds: number) => new Date(city.now.getTime() - seconds * 1000)
  const some = <T>(...from: T[]) => random.pick(from)
  const resources = await query<{ code: string; agency: string }>('select code, agency from resource order by code')
  const routes = await query<{ id: string; agent: string }>('select id, agent from route order by id')
  const line = () => ({
    database: 'main', position: null, rows: 0, state: some('flowing', 'flowing', 'flowing', 'flowing', 'flowing', 'flowing', 'loading', 'paused'), quarantine: some(0, 0, 0, 0, 3),
    ...(random.chance(0.15) && { fault }),
  }) // prettier-ignore
  const source = () => ({
    ...line(), waiting: some(0, 7), ...(random.chance(0.1) && { snapshot: { rows: 1, total: 2, waits: 'window' } }),
    ...(random.chance(0.1) && { files: { waiting: 0, taken: 0, refused: 1, settled: [{ id: '1', file: 'secret.csv', time: '2026-11-21T07:00:00Z', code: 'QZ-ROW-VALUE' }] } }),
  }) // prettier-ignore
  for (const { id, agency } of await query<{ id: string; agency: string }>('select id, agency from agent order by id')) {
    const report = {
      version: '1', session: 's', clockOffset: 0,
      sources: resources.filter((one) => one.agency === agency && random.chance(0.9)).map(({ code: resource }) => ({ resource, ...source() })),
      sinks: routes.filter(({ agent }) => agent === id && random.chance(0.9)).map(({ id: route }) => ({
        route, resource: 'x', table: 'x', ...line(), ...(random.chance(0.8) && { reached: ago(random.between(0, 4999)).toISOString() }),
        refused: [{ code: 'X', keys: 1, examples: [['planted-key']] }],
      })),
    } // prettier-ignore
    await query(`update agent set report = $2, last_seen = $3, state = $4 where id = $1`, [
      id, random.chance(0.95) ? JSON.stringify(report) : null, some(ago(5), ago(30), ago(64), ago(60), ago(66)), random.chance(0.95) ? 'active' : 'revoked',
    ]) // prettier-ignore
  }
  for (const { code } of resources) {
    await query('delete from stream where resource = $1', [code])
    await query('delete from log_stream where resource = $1', [code])
    if (random.chance(0.9)) await query(`insert into stream (resource, producer, last_push, snapshot_wanted) values ($1, 'x', $2, $3)`, [code, ago(random.between(0, 499)), random.chance(0.1)]) // prettier-ignore
    if (random.chance(0.9)) await query(`insert into log_stream (resource, epoch, seq, hash, receipt, total) values ($1, 10, $2, 'h', 'r', 1)`, [code, 1 + random.between(0, 2)]) // prettier-ignore
    await query(`update resource set state = $2 where code = $1`, [
      code,
      some('active', 'active', 'active', 'active', 'active', 'suspended'),
    ])
  }
  for (const { id } of routes) {
    await query(
      `update route set epoch = 10, seq = $2, hash = 'h', receipt = 'x', quarantine = $3, moved_at = $4, written = $5, deleted = $6 where id = $1`,
      [id, random.between(0, 3), some(0, 0, 0, 0, 2), some(ago(5), ago(100), ago(8 * 86400)), 100 + random.between(0, 49), random.between(0, 49)],
    ) // prettier-ignore
    await query(`update access_grant set state = $2, valid_to = $3 where id = (select access_grant from route where id = $1)`, [
      id, some('active', 'active', 'active', 'active', 'suspended', 'held', 'revoked'), some(null, null, ago(-500), ago(10)),
    ]) // prettier-ignore
    await query('delete from reconciliation where route = $1', [id])
    for (let runs = random.between(0, 2); runs > 0; runs--)
      await query(`insert into reconciliation (route, state, requested_by, requested_at, not_before, deadline, ended_at, repair) values ($1, $2, 'hub', $3, $3, $3, $3, false)`, [id, some('equal', 'different'), ago(9)]) // prettier-ignore
    await query('delete from delivery_day where route = $1', [id])
    await query('delete from delivery_bookmark where route = $1', [id])
    await query(`insert into delivery_day (route, day, written, deleted) values ($1, '2026-11-22', $2, 1), ($1, '2026-11-21', 1000, 7)`, [id, random.between(0, 29)]) // prettier-ignore
    if (random.chance(0.7)) await query(`insert into delivery_bookmark (route, epoch, seq, written, deleted) values ($1, 10, 1, $2, 0)`, [id, random.between(0, 99)]) // prettier-ignore
  }
}

/** How each route stands, in the words of SQL. */
const oracleSql = `
  select t.id as route, r.agency as provider, g.agency as receiver, r.code as resource,
    coalesce((select written + deleted from delivery_day where route = t.id and day = '2026-11-22'), 0)
      + case when t.moved_at >= '2026-11-22 00:00+08' then t.written + t.deleted - coalesce((select written + deleted from delivery_bookmark where route = t.id), 0) else 0 end as today,
    case
      when g.state in ('suspended', 'held') or g.valid_to <= $1 or r.state = 'suspended' then 'stopped'
      when ra.state = 'revoked' or pa.id is null or pa.last_seen < $1::timestamptz - interval '65 s' then 'held'
      when src ->> 'state' = 'paused' then 'paused'
      when src -> 'fault' is not null then 'held'
      when src is null then 'unknown'
      when ra.last_seen < $1::timestamptz - interval '65 s' then 'held'
      when snk ->> 'state' = 'paused' then 'paused'
      when snk -> 'fault' is not null then 'held'
      when snk is null then 'unknown'
      when l.seq > t.seq and t.moved_at < $1::timestamptz - interval '7 days' then 'held'
      when src -> 'snapshot' is not null or s.snapshot_wanted or l.seq is null then 'loading'
      when src -> 'files' is not null or (src ->> 'quarantine')::int > 0 or (snk ->> 'quarantine')::int > 0 or t.quarantine > 0 then 'partial'
      when (select state from reconciliation where route = t.id order by id desc limit 1) = 'different' then 'partial'
      else 'flowing' end as state
  from route t join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource join agent ra on ra.id = t.agent
    left join agent pa on pa.agency = r.agency and pa.state = 'active'
    left join stream s on s.resource = r.code left join log_stream l on l.resource = r.code
    left join lateral (select e as src from jsonb_array_elements(pa.report -> 'sources') e where e ->> 'resource' = r.code) a on true
    left join lateral (select e as snk from jsonb_array_elements(ra.report -> 'sinks') e where e ->> 'route' = t.id) b on true
  where g.state <> 'revoked'`

interface Known {
  route: string
  resource: string
  provider: string
  receiver: string
  state: string
  today: string
}

const seesAll: readonly Role[] = ['office', 'supervisor']

/** All pages of a list. */
async function all(who: Caller, path: string): Promise<{ items: any[]; total: number }> {
  const items: any[] = []
  for (let after = ''; ;) {
    const { status, body } = await who.get(`${path}${path.includes('?') ? '&' : '?'}limit=7${after}`)
    if (status !== 200) throw new Error(`${path}: ${status}`)
    items.push(...body.items)
    if (body.next === null) return { items, total: body.total.count }
    after = `&after=${encodeURIComponent(body.next)}`
  }
}

const inOrder = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const ranks = ['held', 'unknown', 'partial', 'paused', 'stopped', 'loading', 'flowing']

t.test('lines and flows: what SQL says, within each role’s reach', async (t) => {
  const city = await openCity(t)
  city.now = new Date('2026-11-22T04:00:30Z')
  const random = new Random(seedOfThisRun())
  t.comment(`QIANZHI_SEED=${random.seed}`)
  await generate(city, random)
  let compared = 0
  const differences: string[] = []
  for (let round = 0; round < 24; round++) {
    if (round > 0) await change(city, random)
    const known = await city.store.query<Known>(oracleSql, [city.now])
    const reported = await city.store.query<{ resource: string; agency: string }>(
      `select code as resource, agency from resource r where exists (select from stream where resource = r.code) or exists (
         select from agent a where a.state = 'active' and a.report -> 'sources' @> jsonb_build_array(jsonb_build_object('resource', r.code)))`,
    )
    // Every role in each fourth round, each time of another agency; the office always.
    const agency = agencies[(round / 4) % 3] ?? 'civil'
    for (const role of round % 4 === 0 ? roleNames : (['office'] as const)) {
      const who = agencyRoles.includes(role) ? city.as(agency, role) : city.as('city', role)
      const mine = agencyRoles.includes(role)
      if (!mine && !seesAll.includes(role)) {
        for (const path of ['/lines', '/flows', '/statistics/supply'])
          if ((await who.get(path)).status !== 403) differences.push(`${role} ${path}`)
        continue
      }
      const within = known.filter(({ provider, receiver }) => !mine || provider === agency || receiver === agency)
      const sources = reported.filter((one) => !mine || one.agency === agency)
      const { items, total } = await all(who, '/lines')
      const said = items.map(({ id, state, today }) => (id.startsWith('route') ? `${id} ${state} ${today}` : id)).toSorted(inOrder)
      const should = [...within.map(({ route, state, today }) => `route ${route} ${state} ${today}`), ...sources.map(({ resource }) => `source ${resource}`)].toSorted(inOrder) // prettier-ignore
      if (said.join('\n') !== should.join('\n') || total !== should.length) differences.push(`${role}: ${said.filter((one) => !should.includes(one)).join()} / ${should.filter((one) => !said.includes(one)).join()}`) // prettier-ignore
      const order = items.map(({ state }) => ranks.indexOf(state))
      if (order.some((rank, at) => at > 0 && rank < order[at - 1]!)) differences.push(`${role}: not the worst first`)
      const { body } = await who.get('/flows')
      const pairs = new Map<string, Known[]>()
      for (const one of within) pairs.set(`${one.provider} ${one.receiver}`, [...(pairs.get(`${one.provider} ${one.receiver}`) ?? []), one])
      const edges = [...pairs].map(([pair, of]) => {
        const worst = ranks[Math.min(...of.map(({ state }) => ranks.indexOf(state)))]
        return `${pair} ${of.length} ${worst} ${of.filter(({ state }) => state === 'held').length} ${of.reduce((sum, { today }) => sum + Number(today), 0)}`
      }) // prettier-ignore
      const shown = body.edges.map(
        (edge: any) => `${edge.provider} ${edge.receiver} ${edge.routes} ${edge.state} ${edge.held} ${edge.today}`,
      )
      if (shown.toSorted(inOrder).join('\n') !== edges.toSorted(inOrder).join('\n'))
        differences.push(`${role} flows: ${shown.join()} / ${edges.join()}`)
      const [state, text] = [random.pick(ranks), random.pick(['1', 'civil', '水务', 'HEALTH-2'])]
      const filtered = await all(who, `/lines?state=${state}`)
      if (filtered.items.length !== items.filter((one) => one.state === state).length) differences.push(`${role} state=${state}`)
      const names: Record<string, string> = { civil: '民政局', water: '水务局', health: '卫健局' }
      const found = items.filter((one) => [one.resource, one.title, one.provider, names[one.provider], one.receiver, names[one.receiver] ?? ''].join(' ').toLowerCase().includes(text.toLowerCase())) // prettier-ignore
      if ((await all(who, `/lines?text=${encodeURIComponent(text)}`)).items.length !== found.length)
        differences.push(`${role} text=${text}`)
      compared += items.length
    }
    // What the grant's page explains is the same.
    const office = city.as('city', 'office')
    const lines = (await all(office, '/lines')).items
    for (const line of lines.filter(({ kind }) => kind === 'route')) {
      const [route] = (await office.get(`/grants/${line.grant}/explain`)).body.items.filter((one: any) => one.route === line.route)
      if (route.condition !== line.state || route.turn.zh !== line.turn.zh || route.asOf !== line.asOf) differences.push(`${line.id}: explained otherwise`)
    } // prettier-ignore
  }
  t.same(differences, [], `${compared} lines`)
})

t.test('an agent with its report: without keys of rows, for its own IT, office and supervisors', async (t) => {
  const city = await openCity(t)
  const random = new Random(seedOfThisRun())
  t.comment(`QIANZHI_SEED=${random.seed}`)
  await generate(city, random)
  const [agent] = await city.store.query<{ id: string; sinks: number }>(
    `update agent set state = 'active', report = coalesce(report, '{"version": "1", "session": "s", "clockOffset": -7, "sources": [], "sinks": []}')
     where agency = 'water' returning id, jsonb_array_length(report -> 'sinks') as sinks`,
  )
  for (const [who, status] of [
    [city.as('water', 'agency-it'), 200],
    [city.as('city', 'office'), 200],
    [city.as('city', 'supervisor'), 200],
    [city.as('water', 'user'), 403],
    [city.as('civil', 'agency-it'), 403],
    [city.as('city', 'system-admin'), 403],
  ] as const) {
    const answer = await who.get(`/agents/${agent!.id}`)
    t.equal(answer.status, status, who.principal.name)
    if (status !== 200) continue
    t.match(answer.body, { id: agent!.id, agency: 'water', report: { version: '1', sinks: { length: agent!.sinks } } })
    t.notMatch(answer.text, /planted-key/)
  }
  t.equal((await city.as('city', 'office').get('/agents/nobody')).status, 404)
})

t.test('rows of the last minute slide with the time', async (t) => {
  const city = await openCity(t)
  const { id: agent } = await enrolled(city, 'water')
  await publishResource(city, 'admin', { schema: villages() })
  const grant = await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  const { id: route } = await addRoute(city, 'admin', grant.id, agent)
  let seq = 0
  const receipt = (written: number, deleted: number) => {
    seq++
    const statement = { route, epoch: 1, seq, hash: 'h', written, deleted, quarantine: 0, batches: 1, time: '' }
    return takeReceipt(city.store, agent, statement as never, `jws ${seq}`, undefined, city.now)
  }
  const minute = async () => (await city.as('city', 'office').get('/flows')).body.edges[0].minute as number
  const at = (time: string) => void (city.now = new Date(`2026-11-22T${time}Z`))
  at('04:00:10')
  t.equal(await minute(), 0)
  await receipt(40, 20)
  t.equal(await minute(), 60)
  at('04:00:50')
  await receipt(30, 30)
  t.equal(await minute(), 120)
  at('04:01:15')
  t.equal(await minute(), 90, 'three quarters of the minute before')
  await receipt(10, 0)
  t.equal(await minute(), 100)
  at('04:01:45')
  t.equal(await minute(), 40)
  at('04:02:30')
  t.equal(await minute(), 5)
  at('04:03:00')
  t.equal(await minute(), 0)
})

t.test('figures are those on record', async (t) => {
  const city = await openCity(t)
  city.now = new Date('2026-11-22T04:00:30Z')
  const random = new Random(seedOfThisRun())
  t.comment(`QIANZHI_SEED=${random.seed}`)
  await generate(city, random)
  const { query } = city.store
  await query('delete from delivery_day')
  await query(`insert into supply_day (resource, day, batches, changed_rows, same_rows, snapshot_rows)
    select r.code, d::date, 1 + random() * 9, random() * 99, random() * 9, random() * 50
    from resource r, generate_series('2026-10-01'::date, '2026-11-22', interval '1 day') d where random() < .5`)
  await query(`insert into delivery_day select t.id, d::date, random() * 99, random() * 9
    from route t, generate_series('2026-10-01'::date, '2026-11-22', interval '1 day') d where random() < .5`)
  await query(`insert into duty_mark (resource, period, mark, agency, ends, at) select r.code, d::date, (array['warned', 'updated', 'overdue', 'explained'])[1 + floor(random() * 4)::int],
    r.agency, d::date, now() from resource r, generate_series('2026-10-01'::date, '2026-11-22', interval '1 day') d where random() < .3`)
  const applied = await query<{ id: string }>(`insert into application (resource, agency, mode, purpose, basis, items, state, created_at)
    select r.code, a.code, 'query', 'x', 'x', '{name}', 'draft', now() from resource r, agency a where a.code <> 'city' returning id`)
  for (const { id } of applied)
    await query(`insert into history (workflow, object, event, from_state, to_state, actor, actor_name, at) select 'application', $1, e, 'a', 'b', 'x', 'x', '2026-11-21 15:00+00'::timestamptz + random() * interval '4 hours'
      from unnest($2::text[]) e`, [id, ['submit', random.pick(['approve', 'reject', 'withdraw'])]]) // prettier-ignore
  const one = async (sql: string, agency: string | null) => (await query<{ sums: number[] }>(sql, [agency]))[0]!.sums.map(Number)
  const sums = (items: Record<string, unknown>[], names: string[]) =>
    names.map((name) => items.reduce((sum, line) => sum + Number(line[name]), 0))
  const between = `between '2026-11-01' and '2026-11-21'`
  const oracle = {
    supply: [`select array[coalesce(sum(batches), 0), coalesce(sum(changed_rows), 0), coalesce(sum(same_rows), 0), coalesce(sum(snapshot_rows), 0)] as sums
      from supply_day where day ${between} and ($1::text is null or resource in (select code from resource where agency = $1))`, ['batches', 'changed', 'same', 'loaded']],
    delivery: [`select array[coalesce(sum(written), 0), coalesce(sum(deleted), 0)] as sums
      from delivery_day where day ${between}
      and ($1::text is null or route in (select t.id from route t, access_grant g where g.id = t.access_grant and g.agency = $1))`, ['written', 'deleted']],
    duties: [`select array[sum((mark = 'updated')::int), sum((mark = 'overdue')::int), sum((mark = 'explained')::int)] as sums
      from (select distinct on (resource, period) * from duty_mark where mark <> 'warned' order by resource, period,
        array_position('{updated,explained,overdue}', mark)) m where ends ${between} and ($1::text is null or agency = $1)`,
      ['updated', 'overdue', 'explained']],
    // The 21st ends at 16:00 UTC.
    applications: [`select array[sum((event = 'submit')::int), sum((event = 'approve')::int), sum((event = 'reject')::int), sum((event = 'withdraw')::int)] as sums
      from history
      where workflow = 'application' and at < '2026-11-21 16:00Z' and ($1::text is null or object in (select id::text from application where agency = $1))`,
      ['submitted', 'approved', 'rejected', 'withdrawn']],
  } as const // prettier-ignore
  for (const [what, [sql, names]] of Object.entries(oracle)) {
    for (const [who, agency] of [
      [city.as('city', 'office'), null],
      [city.as('city', 'supervisor'), null],
      [city.as('civil', 'registrar'), 'civil'],
      [city.as('water', 'reviewer'), 'water'],
    ] as const) {
      const expected = await one(sql, agency)
      for (const by of ['day', 'agency']) {
        const { items } = (await who.get(`/statistics/${what}?by=${by}&from=2026-11-01&to=2026-11-21`)).body
        t.same(sums(items, [...names]), expected, `${what} by ${by}, ${who.principal.name}`)
        if (agency !== null && by === 'agency') t.ok(items.every((line: { agency: string }) => line.agency === agency))
      }
    }
    const [civil] = (await city.as('city', 'office').get(`/statistics/${what}?by=agency&from=2026-11-01&to=2026-11-21&agency=civil`)).body
      .items
    t.same(
      sums([civil ?? {}], [...names]).map((n) => n || 0),
      await one(sql, 'civil'),
      `${what} of civil`,
    )
  }
  t.equal((await city.as('city', 'office').get('/statistics/supply?from=2026-02-30')).status, 400)
})
