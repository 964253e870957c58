/** Proving in the hub: the chain in the store verified as a job, what the audit is searched by, and the whole way of a case. */
import pino from 'pino'
import t from 'tap'
import { auditJob } from '../../../../hub/jobs/audit.ts'
import { JobRunner } from '../../../../hub/jobs/runner.ts'
import { roleNames } from '../../../../hub/records/roles.ts'
import { writeAudit } from '../../../../hub/records/audit.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { seal } from '../../../../hub/supervision/audit/sealer.ts'
import { verifyChain } from '../../../../hub/supervision/audit/verify-store.ts'
import { agencyRoles, openCity, type City } from '../../city.ts'
import { enrolled, openOffice, villages } from '../../office.ts'

function runnerOf(test: Pick<typeof t, 'teardown'>, city: City): JobRunner {
  const { store, wakeups } = city
  const clock = () => city.clock()
  const parts = { store, wakeups, uploads: city.services.uploads, settings: { days: 7 }, logger: pino({ level: 'silent' }), clock }
  const runner = new JobRunner({ ...parts, kinds: { 'audit.verify': auditJob({ store, clock }) } })
  test.teardown(() => runner.stop())
  return runner
}

/** As only a superuser can: the triggers that refuse it are off. */
async function tamper(city: Pick<City, 'store'>, sql: string, values: unknown[]): Promise<void> {
  await city.store.transaction(async (query) => {
    await query('alter table audit_entry disable trigger all')
    await query('alter table audit_seal disable trigger all')
    await query(sql, values)
    await query('alter table audit_entry enable always trigger insert_only')
    await query('alter table audit_seal enable always trigger insert_only')
    await query('alter table audit_entry enable always trigger audit_wait')
  })
}

t.test('one byte altered, an entry taken away, one put in: each is found, and where', async (t) => {
  const office = await openOffice(t)
  for (let n = 1; n <= 30; n++) await writeAudit(office.store.query, { actor: `person ${n}`, act: 'test', object: 'x', details: { n } })
  const whole = await verifyChain(office.store, async () => {})
  t.match(whole, { intact: true, first: null })
  const [{ seq, entry }] = (await office.store.query<{ seq: string; entry: string }>(
    'select seq, entry from audit_seal order by seq offset 17 limit 1',
  )) as [any]
  await tamper(office, `update audit_entry set actor = overlay(actor placing 'q' from 1) where id = $1`, [entry])
  t.match(await verifyChain(office.store, async () => {}), { intact: false, count: Number(seq) - 1, first: { seq: Number(seq), fault: 'altered', sealed: /^[0-9a-f]{64}$/, reckoned: /^[0-9a-f]{64}$/ } }) // prettier-ignore
  await tamper(office, `update audit_entry set actor = overlay(actor placing 'p' from 1) where id = $1`, [entry])
  t.match(await verifyChain(office.store, async () => {}), { intact: true, count: whole.count }, 'put right again')
  const [stray] = await office.store.query<{ id: string }>(`select max(id)::text as id from audit_entry`)
  await writeAudit(office.store.query, { actor: 'person 99', act: 'test', object: 'x' })
  await tamper(office, 'delete from audit_unsealed where entry > $1', [stray!.id]).catch(() => undefined)
  await office.store.query('alter table audit_unsealed disable trigger all')
  await office.store.query('delete from audit_unsealed where entry > $1', [stray!.id])
  await writeAudit(office.store.query, { actor: 'person 100', act: 'test', object: 'x' })
  t.match(await verifyChain(office.store, async () => {}), { intact: false, first: { fault: 'unsealed' } }, 'never sealed')
  await tamper(office, 'delete from audit_seal where seq = $1', [5])
  t.match(await verifyChain(office.store, async () => {}), { intact: false, count: 4, first: { seq: 5, fault: 'missing' } })
})

t.test('as a job: begun once however often it is asked for, with its result kept', async (t) => {
  const city = await openCity(t)
  const runner = runnerOf(t, city)
  const auditor = city.as('city', 'audit-admin')
  t.same((await auditor.get('/audit/verification')).body, { job: null, last: null })
  const one = (await auditor.post('/audit/verify')).body
  t.equal((await city.as('city', 'supervisor').post('/audit/verify')).body.id, one.id, 'the one that is under way')
  await runner.settle()
  const { job, last } = (await auditor.get('/audit/verification')).body
  t.match(job, { state: 'done', result: { intact: true, count: last.count } })
  t.match(last, { intact: true, by: auditor.principal.actor, first: null })
  t.ok(last.count > 3 && job.done === job.total, `${last.count} entries`)
  const [{ seq, entry }] = (await city.store.query<{ seq: string; entry: string }>(
    'select seq, entry from audit_seal order by seq offset 2 limit 1',
  )) as [any]
  await tamper(city, `update audit_entry set object = object || 'x' where id = $1`, [entry])
  const again = (await auditor.post('/audit/verify')).body
  t.not(again.id, one.id)
  await runner.settle()
  t.match((await auditor.get('/audit/verification')).body.last, { intact: false, first: { seq: Number(seq), fault: 'altered' } })
  for (const role of roleNames.filter((name) => !['audit-admin', 'supervisor'].includes(name))) {
    const caller = city.as(agencyRoles.includes(role) ? 'civil' : 'city', role)
    t.same([(await caller.post('/audit/verify')).status, (await caller.get('/audit/verification')).status], [403, 403], role)
  }
})

t.test('the audit by outcome, agency, address and text, against plain SQL; names beside codes', async (t) => {
  const city = await openCity(t)
  const { query } = city.store
  const people = await query<{ id: string; name: string }>('select id, name from person order by id limit 4')
  for (let n = 0; n < 240; n++) {
    const who = people[n % people.length]!
    await writeAudit(query, {
      actor: `person ${who.id}`,
      agency: ['civil', 'water', null][n % 3]!,
      ip: `10.0.0.${n % 5}`,
      act: ['application.approve', 'grant.revoke', 'session.open'][n % 3]!,
      object: n % 2 ? `person ${who.id}` : 'agency civil',
      outcome: n % 4 ? 'done' : ['QZ-SIGN-IN', 'QZ-FORBIDDEN'][n % 2]!,
      details: { note: n % 7 ? 'nothing' : `Needle ${n}` },
    })
  }
  await seal(city.store)
  const named = people[1]!
  const cases: [string, string][] = [
    ['outcome=refused', `outcome <> 'done'`],
    ['outcome=QZ-SIGN-IN', `outcome = 'QZ-SIGN-IN'`],
    ['agency=water&outcome=done', `agency = 'water' and outcome = 'done'`],
    ['ip=10.0.0.3', `ip = '10.0.0.3'`],
    ['text=needle', `details ->> 'note' ilike '%needle%'`],
    [`text=${encodeURIComponent(named.name)}&act=grant.revoke`, `actor = 'person ${named.id}' and act = 'grant.revoke'`],
    ['act=grant.revoke,session.open&ip=10.0.0.1', `act in ('grant.revoke', 'session.open') and ip = '10.0.0.1'`],
    [`object=${encodeURIComponent('agency civil')}&agency=civil`, `object = 'agency civil' and agency = 'civil'`],
  ]
  for (const [asked, condition] of cases) {
    const wanted = await query<{ id: string }>(`select id::text from audit_entry where ${condition} order by at desc, id desc`)
    for (const role of ['audit-admin', 'supervisor'] as const) {
      const ids: string[] = []
      for (let after = ''; ;) {
        const { items, next, total } = (await city.as('city', role).get(`/audit?${asked}&limit=11${after}`)).body
        ids.push(...items.map(({ id }: { id: string }) => id))
        t.same(total, { count: wanted.length, more: false }, asked)
        if (next === null) break
        after = `&after=${next}`
      }
      t.same(ids, wanted.map(({ id }) => id), asked) // prettier-ignore
      t.ok(ids.length > 0, asked)
    }
  }
  const { items } = (await city.as('city', 'audit-admin').get(`/audit?object=${encodeURIComponent(`person ${named.id}`)}&limit=1`)).body
  t.match(items, [{ actorName: named.name, objectTitle: named.name }])
})

t.test('the whole way of an application: in order, with names, and only what one may read', async (t) => {
  const city = await openCity(t)
  // Some acts go by the hub's clock, others by the store's.
  const clock = () => (city.now = new Date())
  clock()
  await publishResource(city, 'admin', { schema: villages() })
  const { id: agent } = await enrolled(city, 'water')
  await enrolled(city, 'civil')
  const user = city.as('water', 'user')
  const wanted = { resource: 'villages', mode: 'exchange', items: ['name'], purpose: '防汛', basis: '条例', agent, atEnd: 'keep' }
  const { id } = (await user.post('/applications', wanted)).body
  clock()
  await user.post(`/applications/${id}/submit`)
  clock()
  t.equal((await city.as('city', 'office').post(`/applications/${id}/approve`)).status, 200)
  const [grant] = (await user.get('/grants')).body.items
  await city.store.query(`update route set first_receipt_at = clock_timestamp() where access_grant = $1`, [grant.id])
  clock()
  const planted = 'PLANTED-VALUE-4711'
  const key = { code: planted }
  const reported = await user.post('/corrections', { resource: 'villages', key, items: ['name'], fault: planted, wanted: planted })
  t.equal(reported.status, 200, reported.text)
  clock()
  t.equal((await city.as('city', 'office').post(`/grants/${grant.id}/revoke`, { reason: '用途已变' })).status, 200)
  const way = [
    'application.create',
    'application.submit',
    'application.approve',
    'route.first-receipt',
    'correction.create',
    'grant.revoke',
  ]
  const eventsOf = (body: any) => body.items.map(({ kind, event }: any) => `${kind}.${event}`)
  for (const who of [user, city.as('city', 'office'), city.as('city', 'supervisor'), city.as('civil', 'reviewer')]) {
    const { status, body, text } = await who.get(`/chain/application/${id}`)
    t.equal(status, 200)
    const events: string[] = eventsOf(body)
    t.same(events.filter((event) => way.includes(event)), way, who.principal.name) // prettier-ignore
    t.ok(
      body.items.every(({ actorName }: any) => actorName),
      'each with a name',
    )
    t.notMatch(text, planted, 'no values')
    t.match(body.items.at(-1), { kind: 'grant', title: '村居名录', reason: '用途已变' })
  }
  t.ok(eventsOf((await user.get(`/chain/grant/${grant.id}`)).body).includes('application.submit'), 'from what it came')
  t.equal((await city.as('health', 'user').get(`/chain/application/${id}`)).status, 403)
  t.equal((await city.as('city', 'system-admin').get(`/chain/application/${id}`)).status, 403)
  // Agency IT reads grants and not applications, nor corrections.
  const it = eventsOf((await city.as('water', 'agency-it').get(`/chain/grant/${grant.id}`)).body)
  t.ok(it.includes('grant.revoke') && !it.some((event: string) => /^(?:application|correction)\./.test(event)), it.join())
})
