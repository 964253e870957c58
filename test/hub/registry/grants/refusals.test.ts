/** What agents report of their own accord: rows that their tables refuse become corrections; held lines and new columns are told. */
import t from 'tap'
import type { AgentReport, Refusal } from '../../../../protocol/api.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { addGrant } from '../../../../hub/registry/grants/grants.ts'
import { attendToReports } from '../../../../hub/registry/grants/refusals.ts'
import { addRoute } from '../../../../hub/registry/grants/routes.ts'
import { openCity, type City } from '../../city.ts'
import { enrolled, villages } from '../../office.ts'

type Sink = Partial<AgentReport['sinks'][number]>
type Source = Partial<AgentReport['sources'][number]>

async function shared(test: Pick<typeof t, 'teardown'>) {
  const city = await openCity(test)
  const [provider, receiver] = [await enrolled(city, 'civil'), await enrolled(city, 'water')]
  await publishResource(city, 'admin', { schema: villages() })
  const grant = await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  const route = await addRoute(city, 'admin', grant.id, receiver.id)
  const say = async (agent: string, report: { sinks?: Sink[]; sources?: Source[] }) => {
    const whole = { version: '1', session: 's', clockOffset: 0, sources: [], sinks: [], ...report }
    await city.store.query('update agent set report = $2 where id = $1', [agent, JSON.stringify(whole)])
    await attendToReports(city)
  }
  const sink = (more: Sink): Sink => ({ route: route.id, resource: 'villages', ...more })
  return { city, provider, receiver, route: route.id, say, sink }
}

const refused: Refusal[] = [{ code: 'QZ-ROW-REFUSED', item: 'name', keys: 7, examples: [['441900003001'], ['441900003002']] }]

t.test('refused rows become one correction, which settles when nothing is refused any more', async (t) => {
  const { city, receiver, say, sink } = await shared(t)
  await say(receiver.id, { sinks: [sink({ refused })] })
  await say(receiver.id, { sinks: [sink({ refused: [{ ...refused[0]!, keys: 9000 }] })] })
  const { items } = (await city.as('civil', 'registrar').get('/corrections')).body
  t.equal(items.length, 1, 'once')
  t.match(items[0], { agency: 'water', provider: 'civil', resource: 'villages', items: ['name'], state: 'reported' })
  t.match(items[0].fault, { zh: /7 .*441900003001/, en: /7 .*441900003001/ })
  t.equal((await city.as('city', 'supervisor').get('/corrections')).body.items[0].fault, '', 'supervisors see no keys')
  const history = await city.store.query(`select actor from history where workflow = 'correction'`)
  t.same(history, [{ actor: `agent ${receiver.id}` }])
  const told = await city.store.query(`select agency, role from notice where kind = 'correction' order by role`)
  t.same(told, [
    { agency: null, role: 'office' },
    { agency: 'civil', role: 'registrar' },
  ])

  await city.as('city', 'office').post(`/corrections/${items[0].id}/pass`)
  await say(receiver.id, { sinks: [sink({})] })
  t.equal(await stateOf(city), 'passed', 'not looked at yet is not over')
  await say(receiver.id, { sinks: [sink({ refused: [] })] })
  t.equal(await stateOf(city), 'settled')
  t.match(await city.store.query(`select ended_at as ended from deadline where kind = 'correction'`), [{ ended: Date }])

  await say(receiver.id, { sinks: [sink({ refused })] })
  t.equal(await count(city), 1, 'the same again within a day is not reported')
  city.now = new Date(city.now.getTime() + 25 * 3_600_000)
  await say(receiver.id, { sinks: [sink({ refused })] })
  t.equal(await count(city), 2)
})

t.test('the correction tells the constraint that the rows broke', async (t) => {
  const { city, receiver, say, sink } = await shared(t)
  const reasons = ['new row for relation "villages" violates check constraint "named"', `Data too long for column 'name'`]
  await say(receiver.id, { sinks: [sink({ refused: [{ ...refused[0]!, reasons }] })] })
  const [correction] = (await city.as('civil', 'registrar').get('/corrections')).body.items
  t.match(correction, { items: ['name'], fault: { zh: /拒绝 7 行（new row .*"named"; Data too long/, en: /7 rows \(new row .*"named"; / } })
})

t.test('what the office has closed is not reported again while it lasts', async (t) => {
  const { city, receiver, say, sink } = await shared(t)
  await say(receiver.id, { sinks: [sink({ refused })] })
  const [row] = await city.store.query<{ id: string }>('select id from correction')
  await city.as('city', 'office').post(`/corrections/${row!.id}/dismiss`, { reason: '接收方自己的约束' })
  city.now = new Date(city.now.getTime() + 48 * 3_600_000)
  await say(receiver.id, { sinks: [sink({ refused })] })
  t.equal(await count(city), 1)
  await say(receiver.id, { sinks: [sink({ refused: [] })] })
  t.equal(await stateOf(city), 'dismissed', 'it stays what it was')
})

t.test('an agent reports of its own routes only, and of nothing but what its table refuses', async (t) => {
  const { city, provider, receiver, say, sink } = await shared(t)
  await say(provider.id, { sinks: [sink({ refused })] })
  await say(receiver.id, {
    sinks: [sink({ refused: [{ ...refused[0]!, code: 'QZ-ROW-VALUE' }] }), { ...sink({ refused }), route: 'none' }],
  })
  t.equal(await count(city), 0)
  const unknown = ['phone', 'street', 'x', 'y'].map((item) => ({ ...refused[0]!, item }))
  await say(receiver.id, { sinks: [sink({ refused: unknown })] })
  t.same(await city.store.query('select items from correction'), [{ items: [] }], 'items that it does not get are not named')
})

t.test('a held line is told once to those who must act, and once when it is over', async (t) => {
  const { city, provider, receiver, say, sink } = await shared(t)
  const fault = { code: 'QZ-SINK-TABLE', zh: '表已改', en: 'altered', since: city.now.toISOString() }
  for (let i = 0; i < 3; i++) await say(receiver.id, { sinks: [sink({ state: 'held', fault })] })
  t.match(await notices(city, 'line-held'), [{ agency: 'water', role: 'agency-it', zh: /表已改/ }])
  t.equal((await notices(city, 'line-held')).length, 1)

  await say(receiver.id, { sinks: [sink({})] })
  t.equal((await notices(city, 'line-over')).length, 0, 'it may come again at once')
  await say(receiver.id, { sinks: [sink({ fault })] })
  city.now = new Date(city.now.getTime() + 3_600_000)
  await say(receiver.id, { sinks: [sink({ fault })] })
  t.equal((await notices(city, 'line-held')).length, 1, 'a fault that comes and goes is told once')
  await say(receiver.id, { sinks: [sink({})] })
  city.now = new Date(city.now.getTime() + 180_000)
  await say(receiver.id, { sinks: [sink({})] })
  await say(receiver.id, { sinks: [sink({})] })
  t.match(await notices(city, 'line-over'), [{ agency: 'water', role: 'agency-it' }])
  t.equal((await notices(city, 'line-over')).length, 1)

  // What may pass by itself is told only when it has not.
  const away = { ...fault, code: 'QZ-DB-UNREACHABLE', since: city.now.toISOString() }
  await say(provider.id, { sources: [{ resource: 'villages', fault: away }] })
  t.equal((await notices(city, 'line-held')).length, 1)
  city.now = new Date(city.now.getTime() + 700_000)
  await say(provider.id, { sources: [{ resource: 'villages', fault: away }] })
  t.match((await notices(city, 'line-held'))[1], { agency: 'civil', role: 'agency-it', zh: /QZ-DB-UNREACHABLE/ })

  // What the provider must see to is told to it, without the words of another agency's machine.
  const broken = { ...fault, code: 'QZ-BATCH-BLOCK', zh: '本地细节' }
  await say(receiver.id, { sinks: [sink({ fault: broken })] })
  const [own, others] = (await notices(city, 'line-held')).slice(2)
  t.match(own, { agency: 'water', zh: /本地细节/ })
  t.match(others, { agency: 'civil', role: 'agency-it' })
  t.notMatch(others!.zh, /本地细节/)

  // A grant that arrives nowhere, with the lines that its agent gives.
  const missing = { ...fault, code: 'QZ-SINK-MISSING', zh: '请加入 sinks: [{ resource: villages }]' }
  await say(receiver.id, { sinks: [sink({ database: '', table: '', fault: missing })] })
  t.match((await notices(city, 'line-held')).at(-1), { agency: 'water', role: 'agency-it', zh: /sinks: \[\{ resource: villages \}\]/ })
})

t.test('a line that another fault holds, or whose route has ended, has not recovered', async (t) => {
  const { city, receiver, say, sink } = await shared(t)
  const fault = { code: 'QZ-SINK-TABLE', zh: '表已改', en: 'altered', since: city.now.toISOString() }
  const over = async (after: { sinks: Sink[] }) => {
    await say(receiver.id, { sinks: [sink({ state: 'held', fault })] })
    for (let i = 0; i < 2; i++) {
      await say(receiver.id, after)
      city.now = new Date(city.now.getTime() + 180_000)
    }
    return (await notices(city, 'line-over')).length
  }
  t.equal(await over({ sinks: [sink({ state: 'held', fault: { ...fault, code: 'QZ-ROUTE-ENDED' } })] }), 0)
  t.equal(await over({ sinks: [] }), 0, 'its sink was made by itself')
  t.equal(await over({ sinks: [sink({})] }), 1)
})

t.test('columns that a source table gains are told; those that were left out from the beginning are not', async (t) => {
  const { city, provider, say } = await shared(t)
  await say(provider.id, { sources: [{ resource: 'villages', unregistered: ['note'] }] })
  await say(provider.id, { sources: [{ resource: 'villages' }] })
  await say(provider.id, { sources: [{ resource: 'villages', unregistered: ['note'] }] })
  t.same(await notices(city, 'columns-added'), [])
  for (let i = 0; i < 2; i++) await say(provider.id, { sources: [{ resource: 'villages', unregistered: ['note', 'email'] }] })
  const told = await notices(city, 'columns-added')
  t.same(
    told.map(({ agency, role }) => [agency, role]),
    [
      ['civil', 'registrar'],
      ['civil', 'agency-it'],
    ],
  )
  t.match(told[0]!.zh, / email，/)
})

function notices({ store }: City, kind: string) {
  return store.query<{ agency: string | null; role: string; zh: string }>(
    'select agency, role, zh from notice where kind = $1 order by id',
    [kind],
  )
}

async function stateOf({ store }: City): Promise<string> {
  return (await store.query<{ state: string }>('select state from correction'))[0]!.state
}

async function count({ store }: City): Promise<number> {
  return (await store.query<{ n: number }>('select count(*)::int as n from correction'))[0]!.n
}
