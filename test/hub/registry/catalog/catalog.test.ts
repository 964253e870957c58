import t from 'tap'
import { addAgency } from '../../../../hub/registry/agencies/agencies.ts'
import { addGrant, setGrantItems, setGrantState } from '../../../../hub/registry/grants/grants.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { addRoute, listRoutes } from '../../../../hub/registry/grants/routes.ts'
import { enrolled, openOffice, refusal, villages, woken } from '../../office.ts'

t.test('agencies: the same again is nothing, another name is refused, codes are ASCII', async (t) => {
  const office = await openOffice(t)
  t.same(await addAgency(office, 'admin', { code: 'civil', name: '民政局' }), { code: 'civil', name: '民政局' })
  t.equal(await refusal(addAgency(office, 'admin', { code: 'civil', name: '水务局' })), 'QZ-CONFLICT')
  t.equal(await refusal(addAgency(office, 'admin', { code: '民政', name: '民政局' })), 'QZ-REQUEST-INVALID')
  const acts = await office.store.query(`select object from audit_entry where act = 'agency.add'`)
  t.equal(acts.length, 2)
})

t.test('resources: versions grow only where what travels changes', async (t) => {
  const office = await openOffice(t)
  const publish = (change?: Parameters<typeof villages>[0], rest = {}) =>
    publishResource(office, 'admin', { schema: villages(change), ...rest })
  const first = await publish()
  t.equal(first.version, 1)
  t.same(await publish(), first, 'the same again')
  const count = async () => (await office.store.query(`select from audit_entry where act = 'resource.publish'`)).length
  t.equal(await count(), 1)
  t.equal((await publish((d) => (d.title = '村居'))).version, 1, 'a title changes in place')
  t.equal((await publish((d) => (d.items[1]!.openness = 'internal'))).version, 1, 'openness among open items changes in place')
  t.equal((await publish((d) => (d.items[1]!.length = 200))).version, 2, 'a longer text')
  const longer = (d: ReturnType<typeof villages>) => (d.items[1]!.length = 200)
  t.equal((await publish((d) => ((d.items[2]!.openness = 'closed'), longer(d)))).version, 3, 'an item that no longer travels')
  t.equal(
    (await publish((d) => ((d.items[2]!.openness = 'closed'), longer(d)), { storedClosed: ['phone'] })).version,
    4,
    'a closed item that is stored',
  )
  t.equal((await publish((d) => ((d.items[2]!.openness = 'closed'), longer(d)))).storedClosed.join(), 'phone', 'what is not given stays')
})

t.test('resources: what is not compatible is refused', async (t) => {
  const office = await openOffice(t)
  const publish = (change?: Parameters<typeof villages>[0], rest = {}) =>
    publishResource(office, 'admin', { schema: villages(change), ...rest })
  await publish()
  const item = { id: 'extra', name: 'extra', label: 'x', type: 'text', openness: 'public' } as const
  for (const [what, change] of Object.entries({
    'an item removed': (d) => void d.items.pop(),
    'a text shortened': (d) => void (d.items[1]!.length = 10),
    'another type': (d) => void (d.items[1] = { ...item, id: 'name', name: 'name', type: 'date' }),
    'a column renamed': (d) => void (d.items[1]!.name = 'title'),
    'another table': (d) => void (d.table = 'village'),
    'a required item added': (d) => void d.items.push({ ...item, required: true }),
    'an item that must be given': (d) => void (d.items[1]!.required = true),
    'no key': (d) => void (d.items[0]!.key = false),
    'an unknown property': (d) => void Object.assign(d.items[0]!, { colour: 'red' }),
  } satisfies Record<string, Parameters<typeof villages>[0]>)) {
    t.equal(await refusal(publish(change)), 'QZ-SCHEMA', what)
  }
  t.equal(await refusal(publish((d) => void (d.agency = 'water'))), 'QZ-CONFLICT')
  t.equal(await refusal(publish((d) => void (d.resource = 'twice'))), 'QZ-CONFLICT', 'a title that its agency has already')
  t.equal(await refusal(publish((d) => void (d.agency = 'nobody'))), 'QZ-NOT-FOUND')
  t.equal(await refusal(publish(undefined, { storedClosed: ['nothing'] })), 'QZ-SCHEMA')
  t.equal((await publish((d) => void d.items.push(item))).version, 2, 'an optional item may be added')
  const { id } = await enrolled(office, 'water')
  t.equal(await refusal(publish(undefined, { producer: id })), 'QZ-SCHEMA', 'the added item is missing again')
  t.equal(
    await refusal(publish((d) => void d.items.push(item), { producer: id })),
    'QZ-REQUEST-INVALID',
    'a producer is an agent of the agency',
  )
})

t.test('grants name open items; states go one way', async (t) => {
  const office = await openOffice(t)
  await publishResource(office, 'admin', { schema: villages() })
  const wanted = { resource: 'villages', agency: 'water', items: ['street', 'name'] }
  const grant = await addGrant(office, 'admin', wanted)
  t.match(grant, { id: 'villages.water', items: ['name', 'street'], state: 'active' })
  t.equal((await addGrant(office, 'admin', wanted)).id, grant.id, 'the same again')
  t.equal((await addGrant(office, 'admin', { ...wanted, items: ['name'] })).id, 'villages.water-2')
  t.equal(await refusal(addGrant(office, 'admin', { ...wanted, id: grant.id, items: ['name'] })), 'QZ-CONFLICT')
  for (const items of [[], ['phone'], ['nothing']])
    t.equal(await refusal(addGrant(office, 'admin', { ...wanted, items })), 'QZ-REQUEST-INVALID')
  t.equal(await refusal(addGrant(office, 'admin', { ...wanted, validTo: office.now })), 'QZ-REQUEST-INVALID')
  t.same((await setGrantItems(office, 'admin', grant.id, ['name'])).items, ['name'], 'other items from now on')
  t.equal(await refusal(setGrantItems(office, 'admin', grant.id, ['nothing'])), 'QZ-REQUEST-INVALID')
  t.equal((await setGrantState(office, 'admin', grant.id, 'suspended', 'audit')).reason, 'audit')
  t.equal((await setGrantState(office, 'admin', grant.id, 'active', '')).state, 'active')
  t.equal((await setGrantState(office, 'admin', grant.id, 'revoked', 'over')).state, 'revoked')
  t.equal((await setGrantState(office, 'admin', grant.id, 'revoked', 'again')).reason, 'over', 'the same again')
  t.equal(await refusal(setGrantState(office, 'admin', grant.id, 'active', '')), 'QZ-CONFLICT')
  t.equal(await refusal(setGrantItems(office, 'admin', grant.id, ['street'])), 'QZ-CONFLICT')
  const acts = await office.store.query<{ act: string }>(`select act from audit_entry where object = $1 order by id`, [grant.id])
  t.same(
    acts.map(({ act }) => act),
    ['grant.add', 'grant.items', 'grant.suspend', 'grant.resume', 'grant.revoke'],
  )
})

t.test('routes bind a grant in force to an agent of the receiving agency, and wake who is concerned', async (t) => {
  const office = await openOffice(t)
  const provider = await enrolled(office, 'civil')
  const receiver = await enrolled(office, 'water')
  const second = await enrolled(office, 'water')
  const all = [provider.id, receiver.id, second.id]
  await publishResource(office, 'admin', { schema: villages() })
  const { id } = await addGrant(office, 'admin', {
    resource: 'villages',
    agency: 'water',
    items: ['name'],
    validTo: new Date('2026-12-01'),
  })
  t.equal(await refusal(addRoute(office, 'admin', id, provider.id)), 'QZ-REQUEST-INVALID')
  t.same(await woken(office, all, () => addRoute(office, 'admin', id, receiver.id)), [receiver.id])
  t.same(await addRoute(office, 'admin', id, receiver.id), { id, grant: id, agent: receiver.id }, 'the same again')
  t.equal((await addRoute(office, 'admin', id, second.id)).id, `${id}.2`)
  t.same(await woken(office, all, () => setGrantState(office, 'admin', id, 'suspended', '')), [receiver.id, second.id])
  const third = await enrolled(office, 'water')
  t.equal(await refusal(addRoute(office, 'admin', id, third.id)), 'QZ-REQUEST-INVALID', 'not while it is suspended')
  t.same(
    (await listRoutes(office)).map(({ state }) => state),
    ['suspended', 'suspended'],
  )
  t.same(await woken(office, all, () => publishResource(office, 'admin', { schema: villages((d) => (d.title = 'x')) })), all)
})
