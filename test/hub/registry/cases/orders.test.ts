import t from 'tap'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { openCity } from '../../city.ts'
import { villages } from '../../office.ts'

const order = { agency: 'civil', cause: 'update', text: '请更新村居名录', due: '2026-12-10' }

t.test('an order is answered, sent back, answered, closed (Art. 27)', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  const issued = await office.post('/orders', order)
  t.match(issued, { status: 200, body: { state: 'issued', issuer: 'office', due: '2026-12-10' } })
  const path = `/orders/${issued.body.id}`
  t.match(await city.store.query(`select due::text, agency, ended_at as ended from deadline where kind = 'rectification'`), [
    { due: '2026-12-10', agency: 'civil', ended: null },
  ])
  const reviewer = city.as('civil', 'reviewer')
  t.equal((await reviewer.post(`${path}/answer`, { answer: '已更新' })).body.state, 'answered')
  t.equal((await office.post(`${path}/reject-answer`, { reason: '缺两镇' })).body.state, 'issued')
  t.match((await reviewer.post(`${path}/answer`, { answer: '已补齐' })).body, { state: 'answered', answer: '已补齐' })
  t.equal((await office.post(`${path}/close`)).body.state, 'closed')
  t.match(await city.store.query(`select outcome from deadline where kind = 'rectification'`), [{ outcome: 'met' }, { outcome: 'met' }])
})

t.test('the answer meets the deadline, however long the issuer takes; sent back it has the days that were left', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  const reviewer = city.as('civil', 'reviewer')
  const at = (text: string) => new Date(`${text}+08:00`)
  const issue = async () => `/orders/${(await office.post('/orders', order)).body.id}`
  const [answered, sentBack, transferred] = [await issue(), await issue(), await issue()]
  city.now = at('2026-12-08T10:00')
  for (const path of [answered, sentBack]) await reviewer.post(`${path}/answer`, { answer: '已更新' })
  await office.post(`${transferred}/transfer`, { reason: '情节严重' })
  city.now = at('2026-12-21T10:00')
  await office.post(`${answered}/close`)
  await office.post(`${sentBack}/reject-answer`, { reason: '缺两镇' })
  await city.as('city', 'supervisor').post(`${transferred}/conclude`, { result: '给予处分' })
  const deadlines = await city.store.query(`select object, outcome, due::text, missed_at as missed from deadline order by id`)
  t.same(deadlines, [
    { object: 'order 1', outcome: 'met', due: '2026-12-10', missed: null },
    { object: 'order 2', outcome: 'met', due: '2026-12-10', missed: null },
    { object: 'order 3', outcome: 'dropped', due: '2026-12-10', missed: null },
    { object: 'order 2', outcome: null, due: '2026-12-23', missed: null },
  ])
})

t.test('an order is closed by who issued it, or by the supervisor; a serious one goes to the supervisor', async (t) => {
  const city = await openCity(t)
  const { id } = (await city.as('city', 'secrecy').post('/orders', { ...order, cause: 'secrecy' })).body
  await city.as('civil', 'reviewer').post(`/orders/${id}/answer`, { answer: '已删除' })
  t.match(await city.as('city', 'office').post(`/orders/${id}/close`), { status: 422, body: { code: 'QZ-RULE' } })
  t.equal((await city.as('city', 'secrecy').post(`/orders/${id}/transfer`, { reason: '情节严重' })).body.state, 'transferred')
  t.equal((await city.store.query(`select from notice where role = 'supervisor'`)).length, 1)
  t.match((await city.as('city', 'supervisor').post(`/orders/${id}/conclude`, { result: '给予处分' })).body, {
    state: 'concluded',
    result: '给予处分',
  })
  const another = (await city.as('city', 'office').post('/orders', order)).body.id
  await city.as('civil', 'reviewer').post(`/orders/${another}/answer`, { answer: '好' })
  t.equal((await city.as('city', 'supervisor').post(`/orders/${another}/close`)).body.state, 'closed')
})

t.test('an order names an agency that is there, a resource of it, a day to come', async (t) => {
  const city = await openCity(t)
  await publishResource(city, 'admin', { schema: villages() })
  const issue = (change: object) => city.as('city', 'office').post('/orders', { ...order, ...change })
  t.equal((await issue({ agency: 'none' })).status, 404)
  t.equal((await issue({ agency: 'water', resource: 'villages' })).status, 422)
  t.equal((await issue({ due: '2026-11-20' })).status, 422)
  t.equal((await issue({ period: '2026-W46' })).status, 422, 'of no resource')
  t.equal((await issue({ resource: 'villages', period: '2026-46' })).status, 400)
  t.match(await issue({ resource: 'villages', period: '2026-W46' }), { status: 200, body: { period: '2026-W46' } })
  t.equal((await issue({ due: '2026-02-30' })).status, 400)
  t.equal((await issue({ cause: 'laziness' })).status, 400)
  t.equal((await issue({ resource: 'villages' })).status, 200)
})
