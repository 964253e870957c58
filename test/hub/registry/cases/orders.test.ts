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
  t.match(await city.store.query(`select ended_at as ended from deadline where kind = 'rectification'`), [{ ended: Date }])
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
  t.equal((await issue({ due: '2026-02-30' })).status, 400)
  t.equal((await issue({ cause: 'laziness' })).status, 400)
  t.equal((await issue({ resource: 'villages' })).status, 200)
})
