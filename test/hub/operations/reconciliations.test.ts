/** Who sees what of a reconciliation: both sides and the office its keys, who only watches its states and counts, nobody else anything. */
import t from 'tap'
import { openCity } from '../city.ts'
import { makeObject, openObjects } from '../objects.ts'

t.test('keys are for the two agencies and the office', async (t) => {
  const city = await openCity(t)
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  const id = await makeObject(objects, 'reconciliation')
  await city.store.query(
    `insert into reconciliation_key (reconciliation, key, difference, state) values ($1, '["秘密主键"]', 'changed', 'remaining')`,
    [id],
  )
  const path = `/reconciliations/${id}`
  for (const [agency, role] of [
    ['civil', 'agency-it'],
    ['civil', 'registrar'],
    ['water', 'user'],
    ['city', 'office'],
  ] as const) {
    const { status, body } = await city.as(agency, role).get(path)
    t.match(
      { status, body },
      { status: 200, body: { id, state: 'failed', keys: [{ key: ['秘密主键'], state: 'remaining' }] } },
      `${agency} ${role}`,
    )
  }
  const supervisor = city.as('city', 'supervisor')
  for (const url of [path, '/reconciliations', '/notices']) t.notMatch((await supervisor.get(url)).text, /秘密/, url)
  t.match((await supervisor.get('/reconciliations')).body.items, [{ id, state: 'failed' }])
  t.match(await supervisor.post(`/routes/x/reconcile`, {}), { status: 403 })
  t.match(await city.as('health', 'user').get(path), { status: 403 })
  t.same((await city.as('health', 'user').get('/reconciliations')).body.items, [])
  const [{ route }] = (await city.as('water', 'user').get('/reconciliations')).body.items
  t.match(
    await city.as('water', 'user').post(`/routes/${route}/reconcile`, {}),
    { status: 403, body: { code: 'QZ-ROUTE-ENDED' } },
    'nothing was delivered yet',
  )
})
