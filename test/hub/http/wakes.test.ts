/** Whatever changes what an agent may supply or receive wakes it, so that its next policy is not waited for. */
import t from 'tap'
import { generateSigningKey } from '../../../protocol/signature.ts'
import { openPolicy } from '../../../protocol/policy.ts'
import { enrol } from '../../../hub/registry/machines/enrolment.ts'
import { expireGrants } from '../../../hub/registry/grants/grant-queries.ts'
import { currentPolicy } from '../../../hub/registry/grants/policy.ts'
import { openCity, type City } from '../city.ts'
import { enrolled } from '../office.ts'
import { licences, register, secrecy, textItem } from '../registry/catalog/fixture.ts'

const hubKey = generateSigningKey()

/** What each agent's policy says; of a revoked one only that. */
async function policies(city: City): Promise<Map<string, string>> {
  const agents = await city.store.query<{ id: string; state: string }>('select id, state from agent order by id')
  const found = new Map<string, string>()
  for (const { id, state } of agents) {
    if (state === 'revoked') found.set(id, state)
    else {
      const { jws } = await currentPolicy(city.store, hubKey, id, 0, city.now, { days: 30 })
      const { supply, receive, ended = [] } = openPolicy(jws, hubKey.publicKey, id, 0)
      found.set(id, JSON.stringify({ supply, receive, ended }))
    }
  }
  return found
}

t.test('every act that changes a policy wakes its agent', async (t) => {
  const city = await openCity(t)
  const civil = await enrolled(city, 'civil')
  const water = await enrolled(city, 'water')
  const health = await enrolled(city, 'health')
  const [office, reviewer, user] = [city.as('city', 'office'), city.as('civil', 'reviewer'), city.as('water', 'user')]
  const it = city.as('water', 'agency-it')

  /** @returns the agents whose policies changed. */
  const act = async (what: string, work: () => Promise<unknown>): Promise<string[]> => {
    const before = await policies(city)
    const heard = [...before.keys()].map((agent) => ({ agent, listener: city.wakeups.listen([`agent:${agent}`]) }))
    const answer = (await work()) as { status?: number; text?: string } | undefined
    if (answer?.status !== undefined) t.equal(answer.status, 200, `${what}: ${answer.text?.slice(0, 200)}`)
    const woken: string[] = []
    for (const { agent, listener } of heard) {
      if (await listener.wait(0)) woken.push(agent)
      listener.close()
    }
    const after = await policies(city)
    const changed = [...before.keys()].filter((agent) => before.get(agent) !== after.get(agent))
    t.same(
      changed.filter((agent) => !woken.includes(agent)),
      [],
      `${what}: nobody sleeps over a change of the policy`,
    )
    return changed
  }
  const version = async (change: Parameters<typeof licences>[0]) => {
    const { body } = await city.as('civil', 'registrar').post('/registrations', { resource: 'ads', content: licences(change) })
    await city.as('civil', 'registrar').post(`/registrations/${body.id}/submit`, { secrecy })
    return () => reviewer.post(`/registrations/${body.id}/publish`)
  }
  const applied = async (agent: string, more: object = {}) => {
    const body = { resource: 'ads', mode: 'exchange', items: ['holder', 'place'], purpose: '核验', basis: '三定方案', agent, ...more }
    const { id } = (await user.post('/applications', body)).body
    await user.post(`/applications/${id}/submit`)
    return () => office.post(`/applications/${id}/approve`)
  }
  const both = [civil.id, water.id].toSorted()

  t.same(await act('publish', () => register(city, 'civil', licences(), { resource: 'ads' })), [civil.id])
  t.same(await act('approve', await applied(water.id, { atEnd: 'remove' })), [water.id])
  const [grant] = (await user.get('/grants')).body.items
  const on =
    (event: string, body: object = {}, who = office) =>
    () =>
      who.post(`/grants/${grant.id}/${event}`, body)
  t.same(await act('suspend', on('suspend', { reason: '核查' })), [water.id])
  t.same(await act('resume', on('resume')), [water.id])
  t.same(await act('approve other items', await applied(water.id, { items: ['holder'] })), [water.id])
  t.same(await act('approve them again', await applied(water.id)), [water.id])
  t.same(await act('a compatible version', await version((c) => c.items.push(textItem('note', '备注')))), both)
  t.same(
    await act('tightened openness', await version((c) => (c.items.push(textItem('note', '备注')), void (c.items[3]!.openness = 'closed')))),
    both,
  )
  t.same(await act('opened again', await version((c) => c.items.push(textItem('note', '备注')))), both)
  t.same(await act('an incompatible version', await version((c) => void (c.items[3]!.required = true))), both)
  t.same(await act('accept', on('accept', { items: ['holder', 'place'] }, user)), [water.id])
  t.same(await act('stop', () => city.as('city', 'secrecy').post('/resources/ads/stop', { reason: '疑似涉密' })), both)
  t.same(await act('release', () => city.as('city', 'secrecy').post('/resources/ads/release', { reason: '不涉密' })), both)
  t.same(await act('relay', () => reviewer.put('/resources/ads/keep', { keep: 'relay' })), [civil.id])

  const replace = async (dead: string, agency: string) => {
    const clerk = city.as(agency, 'agency-it')
    const { id } = (await clerk.post('/machines', { name: 'new', purpose: '更换', providedBy: 'agency', replaces: dead })).body
    await office.post(`/machines/${id}/approve`)
    const { token } = (await clerk.post(`/machines/${id}/token`)).body
    const { secret } = JSON.parse(Buffer.from(token.replace('qzt1.', ''), 'base64url').toString())
    return () => enrol(city, { secret, publicKey: generateSigningKey().publicKey, name: 'new' })
  }
  t.same(await act('the provider’s machine is replaced', await replace(civil.id, 'civil')), both)
  t.same(await act('the receiver’s machine is replaced', await replace(water.id, 'water')), [water.id])
  const next: string = (await it.get('/agents')).body.items.find(({ state }: any) => state === 'active').id
  const producer: string = (await city.as('civil', 'agency-it').get('/agents')).body.items.find(({ state }: any) => state === 'active').id
  // Of two nobody knows which one produces.
  const second = await enrolled(city, 'civil')
  t.same(
    await act('the provider’s further machine is revoked', () => office.post(`/agents/${second.id}/revoke`, { reason: '遗失' })),
    [next, producer, second.id].toSorted(),
  )
  t.same(await act('give up', on('give-up', { reason: '停办' }, user)), [next])
  t.same(await act('approve anew', await applied(next, { until: '2026-12-31' })), [next])
  city.now = new Date('2027-01-01T00:00:00Z')
  t.ok((await act('expire', () => expireGrants(city))).every((agent) => [next, producer].includes(agent)))
  t.same(await act('approve a last time', await applied(next)), [next])
  t.same(await act('revoke the producer', () => office.post(`/agents/${producer}/revoke`, { reason: '遗失' })), [next, producer].toSorted())
  await enrolled(city, 'civil')
  t.same((await act('withdraw', () => reviewer.post('/resources/ads/withdraw', { reason: '职能调整' }))).includes(next), true)
  t.notOk([...(await policies(city))].some(([agent, policy]) => agent === health.id && policy.includes('ads')))
})
