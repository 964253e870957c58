import t from 'tap'
import { addGrant } from '../../../../hub/registry/grants/grants.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { addRoute } from '../../../../hub/registry/grants/routes.ts'
import { AgentViews, endedBecause } from '../../../../hub/exchange/agent-views.ts'
import { openCity } from '../../city.ts'
import { enrolled, villages, woken } from '../../office.ts'

t.test('a stop acts at once on supply and routes, with the reason; release brings them back (Art. 26)', async (t) => {
  const city = await openCity(t)
  await publishResource(city, 'admin', { schema: villages() })
  const provider = await enrolled(city, 'civil')
  const receiver = await enrolled(city, 'water')
  const grant = await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  await addRoute(city, 'admin', grant.id, receiver.id)
  const views = new AgentViews(city.store, city.wakeups)
  t.teardown(() => views.close())
  const state = async () => {
    const route = (await views.of(receiver.id)).routes.get(grant.id)!
    return [(await views.of(provider.id)).supplies.has('villages'), endedBecause(route, city.now)?.reason.en, route.stop?.because]
  }
  t.same(await state(), [true, undefined, undefined])

  const secrecy = city.as('city', 'secrecy')
  const agents = [provider.id, receiver.id]
  t.same(await woken(city, agents, () => secrecy.post('/resources/villages/stop', { reason: '疑似涉密' })), agents)
  t.same(await state(), [false, 'stopped for secrecy', '疑似涉密'])
  await publishResource(city, 'admin', { schema: villages((draft) => (draft.items[1]!.length = 200)) })
  t.same(await state(), [false, 'stopped for secrecy', '疑似涉密'], 'a new version does not end the stop')
  t.match(await city.store.query(`select agency, role from notice order by agency, role`), [
    { agency: 'civil', role: 'reviewer' },
    { agency: 'water', role: 'user' },
    { agency: null, role: 'office' },
  ])

  t.equal((await secrecy.post('/resources/villages/stop', { reason: '再停' })).status, 409)
  t.equal((await secrecy.post('/resources/villages/release', { reason: '经审查不涉密' })).body.state, 'active')
  t.same(await state(), [true, undefined, undefined])
  t.equal((await secrecy.post('/resources/none/stop', { reason: 'x' })).status, 404)
  t.equal((await city.as('city', 'office').post('/resources/villages/stop', { reason: 'x' })).status, 403)
})
