/**
 * Lists: what is found, in which order, over pages of any size, and how many there are, against plain SQL over generated cases, for whoever may
 * ask. What somebody may not read is not counted either.
 */
import t from 'tap'
import type { Role } from '../../../hub/records/roles.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { operations } from '../../../hub/operations/index.ts'
import { Random, seedOfThisRun } from '../../faults/random.ts'
import { openCity, type Caller, type City } from '../city.ts'
import { villages } from '../office.ts'

const agencies = ['civil', 'water', 'health']

/** Cases of every agency about every other one's resource, many of them made in the same moment. */
async function fill(city: City): Promise<void> {
  for (const agency of agencies) {
    const schema = villages((draft) =>
      Object.assign(draft, { resource: `${agency}.r`, title: `${agency} 名录`, agency, table: `${agency}_r` }),
    )
    await publishResource(city, 'admin', { schema })
  }
  const { query } = city.store
  const pick = (salt: number) => `(array['civil','water','health'])[1 + (hashint4(n * 7 + ${salt}) % 3 + 3) % 3]`
  const one = (salt: number, ...all: string[]) =>
    `(array[${all.map((each) => `'${each}'`).join()}])[1 + (hashint4(n * 11 + ${salt}) % ${all.length} + ${all.length}) % ${all.length}]`
  const at = `timestamptz '2026-11-01T00:00+08' + (n / 3) * interval '1 hour'`
  const from = (many: number) => `from generate_series(1, ${many}) n`
  const drafts = one(1, 'draft', 'consulting', 'reviewing', 'approved', 'rejected', 'withdrawn')
  await query(`insert into application (agency, resource, mode, items, purpose, basis, state, created_at, submitted_at)
    select a, p || '.r', m, '{name}', case when n % 5 = 0 then '防汛 Plan' else '救助' end, '条例', s, at, case when s <> 'draft' then at + interval '1 day' end
    from (select n, ${pick(1)} as a, ${pick(2)} as p, ${one(3, 'query', 'api')} as m, ${drafts} as s, ${at} as at ${from(1300)}) x`)
  await query(`insert into correction (agency, resource, items, fault, state, created_at)
    select ${pick(3)}, ${pick(4)} || '.r', '{}', 'secret ' || n, ${one(5, 'reported', 'passed', 'closed')}, ${at} ${from(300)}`)
  await query(`insert into demand (agency, provider, title, what, why, basis, state, created_at)
    select ${pick(5)}, case when n % 4 > 0 then ${pick(6)} end, ${one(6, '社保 list', '车辆')}, 'what', 'why', 'b', ${one(7, 'submitted', 'agreed')}, ${at} ${from(200)}`)
  await query(`insert into rectification_order (agency, resource, cause, text, due, issuer, issued_by, state, created_at)
    select ${pick(7)}, null, ${one(8, 'duty', 'deadline')}, '限期改正', date '2026-12-01' + n % 9, 'office', 'person 1', ${one(9, 'issued', 'closed')}, ${at} ${from(200)}`)
  await query(`insert into declaration (agency, kind, resource, text, drafted_by, state, created_at)
    select a, 'no-change', a || '.r', '无变化', (select min(id) from person), ${one(10, 'drafted', 'signed')}, ${at} from (select n, ${pick(8)} as a ${from(200)}) x`)
  await query(`insert into access_grant (id, resource, agency, items, state, created_at, valid_to)
    select 'g' || n, ${pick(9)} || '.r', ${pick(10)}, '{name}', ${one(11, 'active', 'suspended', 'revoked')}, ${at}, case when n % 3 = 0 then ${at} + interval '90 days' end ${from(150)}`)
  await query(`insert into deadline (kind, object, agency, role, started_at, days, due, ended_at, outcome)
    select 'reply', 'application ' || n, ${pick(11)}, 'office', ${at}, 5, date '2026-11-20' + n % 20, case when n % 2 = 0 then ${at} + interval '2 days' end,
      case when n % 2 = 0 then 'met' end ${from(450)}`)
}

interface Oracle {
  /** Plain SQL: its columns are `id`, those of the filters, and those that it is ordered by. */
  rows: string
  /** Of whoever is not allowed to see all: the columns that hold one of their agencies. */
  parties: string[]
  all: Role[]
  some: Role[]
  /** Query of the API: SQL of the same. */
  filters: Record<string, [asked: string, condition: string][]>
  sorts: Record<string, string>
}

const watching: Role[] = ['office', 'supervisor']
const people: Role[] = ['registrar', 'reviewer', 'user']
const days: [string, string][] = [['2026-11-05', `>= '2026-11-04T16:00Z'`]]
const agency: [string, string][] = agencies.map((code) => [code, `agency = '${code}'`])
const provider: [string, string][] = agencies.map((code) => [code, `provider = '${code}'`])
const made: [string, string][] = days.map(([asked, condition]) => [asked, `created ${condition}`])

const oracles: Record<string, Oracle> = {
  '/applications': {
    rows: `select a.id::text, a.agency, r.agency as provider, a.state, a.created_at as created, a.submitted_at as submitted, a.purpose, r.title
      from application a join resource r on r.code = a.resource where a.submitted_at is not null or a.agency = $1`,
    parties: ['agency', 'provider'],
    all: watching,
    some: people,
    filters: {
      state: [
        ['reviewing', `state = 'reviewing'`],
        ['draft,approved', `state in ('draft', 'approved')`],
      ],
      agency,
      provider,
      text: [
        ['防汛 plan', `purpose like '防汛%'`],
        ['nothing%', 'false'],
      ],
      from: [['2026-11-05', `submitted >= '2026-11-04T16:00Z'`]],
      to: [['2026-11-05', `submitted < '2026-11-05T16:00Z'`]],
    },
    sorts: { id: 'id::bigint', submitted: 'submitted', created: 'created', title: 'title' },
  },
  '/corrections': {
    rows: `select c.id::text, c.agency, r.agency as provider, c.state, c.created_at as created, c.resource
      from correction c join resource r on r.code = c.resource`,
    parties: ['agency', 'provider'],
    all: watching,
    some: people,
    // What was said of rows is nobody's to search through.
    filters: { state: [['passed,closed', `state <> 'reported'`]], agency, provider, from: made, text: [['secret', 'false']] },
    sorts: { id: 'id::bigint', created: 'created', resource: 'resource' },
  },
  '/demands': {
    rows: `select id::text, agency, provider, state, title, created_at as created from demand`,
    parties: ['agency', 'provider'],
    all: watching,
    some: people,
    filters: { state: [['agreed', `state = 'agreed'`]], agency, provider, text: [['LIST', `title = '社保 list'`]], from: made },
    sorts: { id: 'id::bigint', title: 'title', provider: 'provider' },
  },
  '/orders': {
    rows: `select id::text, agency, state, cause, due, created_at as created from rectification_order`,
    parties: ['agency'],
    all: [...watching, 'secrecy'],
    some: ['registrar', 'reviewer'],
    filters: { state: [['issued', `state = 'issued'`]], agency, from: made, text: [['限期', 'true']] },
    sorts: { id: 'id::bigint', due: 'due', state: 'state' },
  },
  '/declarations': {
    rows: `select id::text, agency, state, created_at as created from declaration`,
    parties: ['agency'],
    all: [...watching, 'government'],
    some: ['registrar', 'reviewer'],
    filters: { state: [['drafted', `state = 'drafted'`]], agency, from: made },
    sorts: { id: 'id::bigint', created: 'created', agency: 'agency' },
  },
  '/grants': {
    rows: `select g.id, g.agency, r.agency as provider, g.state, g.created_at as created, g.valid_to as "validTo"
      from access_grant g join resource r on r.code = g.resource`,
    parties: ['agency', 'provider'],
    all: watching,
    some: [...people, 'agency-it'],
    filters: { state: [['active,revoked', `state <> 'suspended'`]], agency, provider, from: made },
    sorts: { id: 'id', validTo: '"validTo"', created: 'created' },
  },
  '/deadlines': {
    rows: `select id::text, agency, case when outcome is not null then outcome when due < '2026-11-22' then 'missed' else 'running' end as state, due,
      ended_at as "endedAt", started_at as created from deadline`,
    parties: ['agency'],
    all: [...watching, 'government'],
    some: [...people, 'agency-it'],
    filters: {
      state: [
        ['missed', `state = 'missed'`],
        ['met,running', `state <> 'missed'`],
      ],
      agency,
      from: [['2026-11-25', `due >= '2026-11-25'`]],
      to: [['2026-11-25', `due <= '2026-11-25'`]],
    },
    sorts: { id: 'id::bigint', due: 'due', endedAt: '"endedAt"' },
  },
}

const callers: [string, Role][] = [
  ['civil', 'registrar'],
  ['water', 'user'],
  ['health', 'reviewer'],
  ['civil', 'agency-it'],
  ...(['office', 'government', 'supervisor', 'secrecy', 'system-admin', 'security-admin', 'audit-admin'] as const).map(
    (role): [string, Role] => ['city', role],
  ),
]

/** All pages, one after the other. */
async function read(caller: Caller, path: string, query: Record<string, string>, limit: number) {
  const ids: string[] = []
  for (let after: string | null = ''; after !== null;) {
    const text = new URLSearchParams({ ...query, limit: String(limit), ...(after && { after }) }).toString()
    const { status, body } = await caller.get(`${path}?${text}`)
    if (status !== 200) throw new Error(`${path}?${text}: ${status} ${JSON.stringify(body)}`)
    ids.push(...body.items.map(({ id }: { id: string }) => id))
    if (body.items.length > limit) throw new Error(`${path}: ${body.items.length} lines`)
    after = body.next
    if (after === null) return { ids, total: body.total }
  }
  throw new Error('no end')
}

t.test('every list against plain SQL: filters, orders, pages, totals, for every role', async (t) => {
  const city = await openCity(t)
  await fill(city)
  const random = new Random(seedOfThisRun())
  let compared = 0
  let most = 0
  for (const [home, role] of callers) {
    const caller = city.as(home, role)
    for (const [path, { rows, parties, all, some, filters, sorts }] of Object.entries(oracles)) {
      if (![...all, ...some].includes(role)) {
        const refused = await caller.get(path)
        if (refused.status !== 403) t.fail(`${role} ${path}: ${refused.status}`)
        continue
      }
      const own = all.includes(role) ? 'true' : `(${parties.map((party) => `${party} = $1`).join(' or ')})`
      for (let n = 0; n < 4; n++) {
        const chosen = Object.entries(filters).filter(() => random.chance(n === 0 ? 0 : 0.35))
        const asked = chosen.map(([name, choices]) => [name, random.pick(choices)] as const)
        const [sort, by] = random.pick(Object.entries(sorts))
        const down = random.chance(0.5)
        const query = { ...Object.fromEntries(asked.map(([name, [value]]) => [name, value])), sort: `${down ? '-' : ''}${sort}` }
        const where = [own, ...asked.map(([, [, condition]]) => `(${condition})`)].join(' and ')
        const direction = down ? 'desc' : 'asc'
        const last = path === '/grants' ? 'id' : 'id::bigint'
        const expected = await city.store.query<{ id: string }>(
          `select id from (select x.* from (${rows}) x where $1::text is not null and ${where}) y order by ${by} ${direction} nulls last, ${last} ${direction}`,
          [home],
        )
        const found = await read(caller, path, query, random.between(20, 400))
        const ids = expected.map(({ id }) => id)
        const total = { count: Math.min(ids.length, 1000), more: ids.length > 1000 }
        if (JSON.stringify([found.ids, found.total]) !== JSON.stringify([ids, total])) {
          t.same([found.total, found.ids.slice(0, 20)], [total, ids.slice(0, 20)], `${role} ${path} ${JSON.stringify(query)}`)
        }
        compared++
        most = Math.max(most, ids.length)
      }
    }
  }
  t.ok(compared > 100 && most > 1000, `${compared} lists, up to ${most} lines`)
})

t.test('a place of another order, or none at all, is refused by name', async (t) => {
  const city = await openCity(t)
  await fill(city)
  const office = city.as('city', 'office')
  const { next } = (await office.get('/applications?limit=2')).body
  t.equal((await office.get(`/applications?limit=2&after=${next}`)).status, 200)
  const wrong = [
    `sort=title&after=${next}`,
    'after=x',
    `after=${Buffer.from('["-id","1; drop","2"]').toString('base64url')}`,
    `sort=-created&after=${Buffer.from('["-created","2026-11","2"]').toString('base64url')}`,
    'from=2026-02-30',
    'state=reviewing,none',
    'sort=purpose',
  ]
  for (const query of wrong) t.match(await office.get(`/applications?${query}`), { status: 400, body: { code: /^QZ-REQUEST/ } }, query)
})

t.test('nothing is cut without a sign: every operation that lists says how it goes on', async (t) => {
  const lists = operations.filter(({ name, answer }) => name.endsWith('.list') && answer)
  const has = ({ answer }: (typeof lists)[number], member: string) => member in (answer as { properties: object }).properties
  const paged = lists.filter((list) => has(list, 'next'))
  // Counting rows costs seconds.
  t.same(paged.filter((list) => !has(list, 'total')).map(({ name }) => name), ['row.list']) // prettier-ignore
  const whole = lists.filter((list) => !paged.includes(list)).map(({ name }) => name)
  // What one object has, or the city has few of, is told whole.
  t.same(whole.toSorted(), [
    'calendar.list',
    'classification.list',
    'credential.list',
    'flow.list',
    'query.list',
    'rights.list',
    'table.list',
    'webhook.list',
  ])
})
