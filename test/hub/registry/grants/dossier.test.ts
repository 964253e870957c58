/** What a decision rests on, each part against plain SQL, over agencies that share this way and that. */
import t from 'tap'
import { roleNames } from '../../../../hub/records/roles.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { Random, seedOfThisRun } from '../../../faults/random.ts'
import { agencyRoles, openCity, person } from '../../city.ts'
import { enrolled, villages } from '../../office.ts'

const agencies = ['civil', 'water', 'health']

t.test('the dossier of applications against plain SQL', async (t) => {
  const city = await openCity(t)
  const { query } = city.store
  const random = new Random(seedOfThisRun())
  for (const agency of agencies)
    for (const n of [1, 2]) {
      const schema = villages((draft) =>
        Object.assign(draft, { resource: `${agency}.${n}`, title: `${agency} ${n}`, agency, table: `${agency}_${n}` }),
      )
      await publishResource(city, 'admin', { schema })
    }
  await query(`update resource set sharing = 'conditional', sharing_conditions = '仅用于防汛' where code like '%.2'`)
  const { id: agent } = await enrolled(city, 'water')
  await query(`update agent set last_seen = timestamptz '2026-11-21T08:00Z' where id = $1`, [agent])
  await query(
    `insert into agent_fault (agent, line, code, since, gone_at) values ($1, 'sink x', 'QZ-A', now(), null), ($1, 'sink y', 'QZ-B', now(), now())`,
    [agent],
  )
  const submitter = await person(city, city.app, 'water', 'user')
  await query(`update person set phone = '0769-2283 1234', name = '李四' where id = $1`, [submitter.principal.person])
  await query(`update agency set responsible = $1 where code = 'water'`, [city.as('water', 'reviewer').principal.person])
  await query(`update agency set responsible = $1 where code = 'civil'`, [city.as('civil', 'reviewer').principal.person])
  for (let n = 0; n < 120; n++) {
    const [agency, provider] = [random.pick(agencies), random.pick(agencies)]
    const state = random.pick(['approved', 'rejected', 'withdrawn', 'reviewing'])
    const resource = `${provider}.${random.between(1, 2)}`
    const [row] = await query<{ id: string }>(
      `insert into application (agency, resource, mode, items, purpose, basis, state, approved_items, reason, created_at, submitted_at, decided_at)
       values ($1, $2, 'query', '{name,street}', $3, 'b', $4, $5, $6, now(), now(), timestamptz '2026-10-01' + $7 * interval '1 hour') returning id`,
      [agency, resource, `用途 ${n}`, state, state === 'approved' ? ['name'] : null, state === 'rejected' ? `因 ${n}` : null, n],
    )
    if (state === 'approved')
      await query(
        `insert into access_grant (id, resource, agency, items, mode, state, application, valid_to) values ($1, $2, $3, '{name}', 'query', $4, $5, $6)`,
        [
          `g${n}`,
          resource,
          agency,
          random.pick(['active', 'active', 'held', 'suspended', 'revoked', 'expired']),
          row!.id,
          random.chance(0.5) ? '2027-12-31T16:00:00Z' : null,
        ],
      )
  }
  const office = city.as('city', 'office')
  for (const resource of ['civil.1', 'civil.2', 'health.2']) {
    const wanted = { resource, mode: 'exchange', items: ['name', 'street'], purpose: '防汛', basis: '条例', agent, atEnd: 'keep' }
    const { id } = (await submitter.post('/applications', wanted)).body
    t.equal((await submitter.post(`/applications/${id}/submit`)).status, 200)
    const { status, body } = await office.get(`/applications/${id}/dossier`)
    t.equal(status, 200)
    const provider = resource.split('.')[0]!
    t.match(body.application, {
      id,
      agency: 'water',
      purpose: '防汛',
      consents: resource.endsWith('2') ? [{ resource, state: 'asked' }] : [],
    })
    t.match(body.submitter, { name: '李四', phone: '0769-2283 1234' })
    t.match(body.responsible, { name: 'water reviewer' })
    const resourceName = resource.replace('.', ' ')
    t.same(body.items, [
      { resource, resourceName, id: 'name', label: '名称', type: 'text', openness: 'public' },
      { resource, resourceName, id: 'street', label: '街道', type: 'text', openness: 'internal' },
    ])
    const conditions = resource.endsWith('2') ? '仅用于防汛' : null
    t.match(body.resources, [
      { resource, provider, providerName: provider === 'civil' ? '民政局' : '卫健局', sharingConditions: conditions },
    ])
    t.equal(body.resources[0].responsible?.name ?? null, provider === 'civil' ? 'civil reviewer' : null)
    t.match(body.machine, { id: agent, state: 'active', lastSeen: '2026-11-21T08:00:00.000Z', held: ['QZ-A'] })
    const inForce = `g.state not in ('revoked', 'expired', 'given-up')`
    const grants = async (condition: string) =>
      query(
        `select g.id, a.purpose, g.items from access_grant g join application a on a.id = g.application where ${inForce} and ${condition} order by 1`,
      )
    const told = (lines: any[]) =>
      lines.map(({ id, purpose, items }) => ({ id, purpose, items })).toSorted((a, b) => (a.id < b.id ? -1 : 1))
    const [others, own] = [await grants(`g.resource = '${resource}' and g.agency <> 'water'`), await grants(`g.resource like '${provider}.%' and g.agency = 'water'`)] // prettier-ignore
    const order = (lines: any[]) => lines.toSorted((a, b) => (a.id < b.id ? -1 : 1))
    t.same(told(body.others), order(others), `${resource}: what others have`)
    t.same(told(body.own), order(own), `${resource}: what the applicant has`)
    const earlier = await query(
      `select id::text, state, reason from application where agency = 'water' and resource = $1 and state in ('approved', 'rejected') order by decided_at desc`,
      [resource],
    )
    t.same(body.earlier.map(({ id, state, reason }: any) => ({ id, state, reason })), earlier, `${resource}: decided before`) // prettier-ignore
    const [due] = await query<{ due: string }>(`select due::text from deadline where object = $1 and ended_at is null`, [
      `application ${id}`,
    ])
    if (due) t.match(body.deadline, { due: due.due, missed: false, extended: 0 })
    else t.equal(body.deadline, null)
    for (const role of roleNames.filter((name) => name !== 'office'))
      t.equal((await city.as(agencyRoles.includes(role) ? 'civil' : 'city', role).get(`/applications/${id}/dossier`)).status, 403, role)
  }
  t.equal((await office.get('/applications/999999/dossier')).status, 404)
})
