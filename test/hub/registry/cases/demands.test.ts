import t from 'tap'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { openCity, type City } from '../../city.ts'
import { villages } from '../../office.ts'
import { licences, register } from '../catalog/fixture.ts'

const wanted = { title: '养老机构', what: '名称、地址', why: '转移安置', basis: '防汛条例', supposed: 'health' }

async function demanded(test: Pick<typeof t, 'teardown'>) {
  const city = await openCity(test)
  const { body } = await city.as('water', 'user').post('/demands', wanted)
  const [user, office, reviewer] = [city.as('water', 'user'), city.as('city', 'office'), city.as('civil', 'reviewer')]
  return { city, id: String(body.id), path: `/demands/${body.id}`, user, office, reviewer }
}

const told = async (city: City, id: string) =>
  (
    await city.store.query<{ agency: string; role: string }>('select agency, role from notice where object = $1 order by id', [
      `demand ${id}`,
    ])
  )
    .splice(-3)
    .map(({ agency, role }) => `${agency ?? ''} ${role}`)

const deadlines = (city: City) => city.store.query('select kind, agency, role, outcome from deadline')

t.test('a demand is assigned, negotiated, agreed on, put into the catalog, and the demander is told (Art. 16)', async (t) => {
  const { city, id, path, user, office, reviewer } = await demanded(t)
  t.same(await told(city, id), [' office'])
  t.equal((await city.as('health', 'reviewer').get(path)).status, 403, 'who is only supposed to have it is no party')
  t.equal((await reviewer.post(`${path}/agree`, { what: 'x', until: '2027-01-31' })).status, 403)
  t.match(await office.post(`${path}/assign`, { provider: 'water' }), { status: 422 })
  t.match(await office.post(`${path}/assign`, { provider: 'nobody' }), { status: 404 })
  t.match((await office.post(`${path}/assign`, { provider: 'civil' })).body, { state: 'negotiating', provider: 'civil' })
  t.same(await told(city, id), ['civil reviewer', 'civil registrar', 'water user'])

  await office.post(`${path}/note`, { text: '请双方商定' })
  await reviewer.post(`${path}/note`, { text: '床位数可按季更新' })
  const noted = await user.post(`${path}/note`, { text: '可以' })
  t.match(noted.body.notes, [{ agency: 'city', text: '请双方商定' }, { agency: 'civil' }, { agency: 'water', text: '可以' }])
  t.equal((await city.as('health', 'user').post(`${path}/note`, { text: 'x' })).status, 403)
  t.notMatch(JSON.stringify(await city.store.query('select details from history')), /床位数/)

  const agreement = { what: '名称、地址、床位数', until: '2027-01-31' }
  t.match(await reviewer.post(`${path}/agree`, { ...agreement, until: '2026-11-01' }), { status: 422 })
  t.equal((await city.as('civil', 'registrar').post(`${path}/agree`, agreement)).status, 403)
  t.match((await reviewer.post(`${path}/agree`, agreement)).body, { state: 'agreed', agreedWhat: '名称、地址、床位数' })
  t.match(await deadlines(city), [{ kind: 'catalog-update', agency: 'civil', role: 'registrar', outcome: null }])

  const registrar = city.as('civil', 'registrar')
  t.equal((await registrar.post(`${path}/fulfil`, { resource: 'villages' })).status, 404)
  await publishResource(city, 'admin', { schema: villages() })
  await publishResource(city, 'admin', { schema: villages((d) => Object.assign(d, { resource: 'homes', agency: 'health' })) })
  t.match(await registrar.post(`${path}/fulfil`, { resource: 'homes' }), { status: 422 }, "another agency's")
  t.match((await registrar.post(`${path}/fulfil`, { resource: 'villages' })).body, { state: 'fulfilled', resource: 'villages' })
  t.equal((await told(city, id)).at(-1), 'water user')
  t.match(await deadlines(city), [{ outcome: 'met' }])
  t.equal((await user.post(`${path}/withdraw`)).status, 409)
})

t.test('refused with a reason; the office may ask another agency', async (t) => {
  const { city, path, user, office, reviewer } = await demanded(t)
  await office.post(`${path}/assign`, { provider: 'civil' })
  t.equal((await reviewer.post(`${path}/refuse`, {})).status, 400)
  t.equal((await city.as('health', 'reviewer').post(`${path}/refuse`, { reason: 'x' })).status, 403)
  t.match((await reviewer.post(`${path}/refuse`, { reason: '不采集' })).body, { state: 'refused', reason: '不采集' })
  t.match((await office.post(`${path}/assign`, { provider: 'health' })).body, { state: 'negotiating', provider: 'health', reason: null })
  t.equal((await reviewer.get(path)).status, 403, 'the former one is no party any more')
  t.equal((await user.post(`${path}/withdraw`)).body.state, 'withdrawn')
  t.match(await city.store.query(`select agency from notice where zh like '%已撤回%' and agency is not null`), [
    { agency: 'health' },
    { agency: 'health' },
  ])
  const second = (await user.post('/demands', { ...wanted, supposed: undefined })).body
  t.equal((await office.post(`/demands/${second.id}/refuse`, { reason: '涉密' })).body.state, 'refused')
})

t.test('a published registration that names the demand fulfils it', async (t) => {
  const { city, id, path, office, reviewer } = await demanded(t)
  await office.post(`${path}/assign`, { provider: 'civil' })
  t.match(await register(city, 'civil', licences(), { resource: 'early', demand: id }), { status: 200 })
  t.equal((await office.get(path)).body.state, 'negotiating', 'not before it is agreed on')
  t.match(
    (await reviewer.post(`${path}/agree`, { what: 'x', until: '2027-01-31' })).body,
    { state: 'fulfilled', resource: 'early' },
    'and then at once',
  )
  t.match(await deadlines(city), [{ outcome: 'met' }])

  const { body: later } = await city.as('water', 'user').post('/demands', { ...wanted, title: '养老' })
  await office.post(`/demands/${later.id}/assign`, { provider: 'civil' })
  await reviewer.post(`/demands/${later.id}/agree`, { what: 'x', until: '2027-01-31' })
  const content = licences((c) => Object.assign(c, { title: '养老机构', table: 'homes', exceptions: [] }))
  t.match(await register(city, 'civil', content, { resource: 'homes', demand: later.id }), { status: 200 })
  t.match((await office.get(`/demands/${later.id}`)).body, { state: 'fulfilled', resource: 'homes' })
})

t.test('lists and refusals', async (t) => {
  const { city, id, user, office } = await demanded(t)
  const ids = async (who: ReturnType<City['as']>, query = '') =>
    (await who.get(`/demands${query}`)).body.items.map((one: { id: string }) => one.id)
  t.same([await ids(user), await ids(office), await ids(city.as('civil', 'reviewer'))], [[id], [id], []])
  t.same([await ids(user, '?state=agreed'), await ids(user, `?provider=nobody`), await ids(user, '?state=submitted')], [[], [], [id]])
  t.equal((await user.post('/demands', { ...wanted, title: ' ' })).status, 400)
  t.equal((await user.post('/demands', { ...wanted, supposed: 'nobody' })).status, 404)
  t.equal((await city.as('water', 'reviewer').post('/demands', wanted)).status, 403)
})
