import t from 'tap'
import { addGrant } from '../../../../hub/registry/grants/grants.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { openCity, type City } from '../../city.ts'
import { villages } from '../../office.ts'

/** The civil agency's villages, which the water agency receives. */
async function shared(test: Pick<typeof t, 'teardown'>): Promise<City> {
  const city = await openCity(test)
  await publishResource(city, 'admin', { schema: villages() })
  await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  return city
}

const found = { resource: 'villages', key: { code: '441900003001' }, items: ['name'], fault: '名称有误：岗贝', wanted: '岗贝社区' }

t.test('an error is reported, passed on, answered, closed, and the reporter is told (Art. 18)', async (t) => {
  const city = await shared(t)
  const user = city.as('water', 'user')
  const reported = await user.post('/corrections', found)
  t.match(reported, { status: 200, body: { state: 'reported', provider: 'civil', key: { code: '441900003001' } } })
  const path = `/corrections/${reported.body.id}`

  const whose = async () =>
    (
      await city.store.query<{ agency: string; role: string; outcome: string | null }>(
        'select agency, role, outcome from deadline where kind = $1 and object = $2 order by id',
        ['correction', `correction ${reported.body.id}`],
      )
    ).map(({ agency, role, outcome }) => `${agency} ${role} ${outcome ?? 'runs'}`)
  t.same(await whose(), ['city office runs'], 'first the office must pass it on')
  t.equal((await city.as('city', 'office').post(`${path}/pass`)).body.state, 'passed')
  t.same(await whose(), ['city office met', 'civil reviewer runs'])

  const answer = { result: 'corrected', answer: '已改为岗贝社区', catalog: false }
  t.match((await city.as('civil', 'registrar').post(`${path}/answer`, answer)).body, { state: 'answered', result: 'corrected' })
  t.same(await whose(), ['city office met', 'civil reviewer met', 'city office runs'], 'then it must return the result')
  t.equal((await city.as('city', 'office').post(`${path}/close`)).body.state, 'closed')
  t.same((await whose()).at(-1), 'city office met')
  const told = await city.store.query(`select agency, role from notice where object = $1 and zh like '%已办结%'`, [
    `correction ${reported.body.id}`,
  ])
  t.same(told, [{ agency: 'water', role: 'user' }])

  t.equal((await user.post(`${path}/reopen`, { reason: '仍有误' })).body.state, 'passed')
  await city.as('civil', 'reviewer').post(`${path}/answer`, { result: 'no-error', answer: '与原件一致' })
  await city.as('city', 'office').post(`${path}/close`)
  t.match(await user.post(`${path}/reopen`, { reason: '还是有误' }), { status: 422, body: { code: 'QZ-RULE' } })
})

t.test('the catalog has to follow: its deadline begins', async (t) => {
  const city = await shared(t)
  const { id } = (await city.as('water', 'user').post('/corrections', { resource: 'villages', fault: '缺少字段说明' })).body
  await city.as('city', 'office').post(`/corrections/${id}/pass`)
  await city.as('civil', 'reviewer').post(`/corrections/${id}/answer`, { result: 'corrected', answer: '修订目录', catalog: true })
  t.match(await city.store.query(`select agency from deadline where kind = 'catalog-update' and object = 'resource villages'`), [
    { agency: 'civil' },
  ])
})

t.test('only receivers report, and a row is named by its whole key', async (t) => {
  const city = await shared(t)
  t.match(await city.as('health', 'user').post('/corrections', found), { status: 422, body: { code: 'QZ-RULE' } })
  for (const key of [{ name: 'x' }, {}, { code: '1', name: 'x' }]) {
    t.match(await city.as('water', 'user').post('/corrections', { ...found, key }), { status: 400, body: { code: 'QZ-REQUEST-INVALID' } })
  }
  t.equal((await city.as('water', 'user').post('/corrections', { ...found, items: ['none'] })).status, 400)
  t.equal((await city.as('water', 'user').post('/corrections', { ...found, fault: '  ' })).status, 400)
})

t.test('parties and the office see the values, supervisors the act, others nothing', async (t) => {
  const city = await shared(t)
  const { id } = (await city.as('water', 'user').post('/corrections', found)).body
  const read = async (agency: string, role: 'reviewer' | 'office' | 'supervisor') =>
    [await city.as(agency, role).get(`/corrections/${id}`), (await city.as(agency, role).get('/corrections')).body.items] as const
  t.match(await read('civil', 'reviewer'), [{ status: 200, body: { fault: found.fault } }, [{ key: found.key }]])
  t.match(await read('city', 'office'), [{ status: 200, body: { fault: found.fault } }, [{ key: found.key }]])
  const [one, list] = await read('city', 'supervisor')
  t.match(
    [one.body, ...list],
    [
      { state: 'reported', resource: 'villages', fault: '', key: null },
      { fault: '', key: null, wanted: null },
    ],
  )
  t.match(await read('health', 'reviewer'), [{ status: 403 }, []])
  const recorded = JSON.stringify(await city.store.query(`select details from audit_entry union all select details from history`))
  t.notMatch(recorded, /岗贝/, 'the audit and the history tell no values')
})
