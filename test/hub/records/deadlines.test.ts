import pino from 'pino'
import t from 'tap'
import { takeReceipt } from '../../../hub/exchange/receipts.ts'
import { dropDeadline, endDeadline, extendDeadline, listDeadlines, resumeDeadline, startDeadline } from '../../../hub/records/deadlines.ts'
import { addGrant } from '../../../hub/registry/grants/grants.ts'
import { noteDeliveries } from '../../../hub/registry/grants/grant-queries.ts'
import { addRoute } from '../../../hub/registry/grants/routes.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { listNotices, type Reader } from '../../../hub/records/notices.ts'
import { saveSettings, supervisionSettings, type SupervisionSettings } from '../../../hub/records/settings.ts'
import { startSupervision, superviseOnce } from '../../../hub/supervision/supervision.ts'
import { enrolled, openOffice, refusal, villages, type Office } from '../office.ts'

const at = (text: string) => new Date(`${text}+08:00`)
const logger = pino({ level: 'silent' })
const office = { person: '9', agency: 'city', roles: ['office'] }
const reviewer = { person: '1', agency: 'civil', roles: ['reviewer'] }

const started = { kind: 'correction', object: 'correction 7', agency: 'civil', role: 'reviewer', from: at('2026-11-20T15:00') } as const

function supervise(hub: Office, now: string) {
  hub.now = at(now)
  return superviseOnce({ store: hub.store, settings: supervisionSettings(), catchUp: async () => {}, logger, clock: hub.clock })
}

/** The office is also told that a calendar is wanted. */
const deadlineNotices = async ({ store }: Office, reader: Reader) =>
  (await listNotices(store.query, reader)).items.filter(({ kind }) => kind.startsWith('deadline-'))

const states = async ({ store, now }: Office) =>
  (await listDeadlines(store.query, null, {}, now)).items.map(({ kind, due, state, daysLeft }) => [kind, due, state, daysLeft])

void t.test('each kind has its length in working days', async (t) => {
  const hub = await openOffice(t)
  hub.now = at('2026-11-20T16:00')
  for (const kind of ['catalog-update', 'application-reply', 'delivery', 'correction'] as const) {
    await startDeadline(hub.store.query, { ...started, kind })
  }
  await startDeadline(hub.store.query, { ...started, kind: 'rectification', due: '2026-12-01' })
  t.same(await states(hub), [
    ['rectification', '2026-12-01', 'running', 7],
    ['catalog-update', '2026-12-04', 'running', 10],
    ['application-reply', '2026-12-04', 'running', 10],
    ['correction', '2026-12-04', 'running', 10],
    ['delivery', '2026-12-18', 'running', 20],
  ])
  await startDeadline(hub.store.query, { ...started, from: at('2026-11-25T00:00') })
  t.equal((await states(hub)).length, 5, 'one that runs stays as it is')
  const wrong = { ...started, object: 'x' }
  t.equal(await refusal(startDeadline(hub.store.query, { ...wrong, kind: 'rectification' })), 'QZ-REQUEST-INVALID')
  t.equal(await refusal(startDeadline(hub.store.query, { ...wrong, kind: 'rectification', due: '2026-02-30' })), 'QZ-REQUEST-INVALID')
  t.equal(await refusal(startDeadline(hub.store.query, { ...wrong, due: '2026-12-30' })), 'QZ-REQUEST-INVALID')
})

void t.test('met until the end of the due day, missed after it', async (t) => {
  const hub = await openOffice(t)
  const { query } = hub.store
  for (const object of ['a', 'b', 'c', 'd', 'e']) await startDeadline(query, { ...started, object })
  await endDeadline(query, 'correction', 'a', at('2026-12-04T23:59:59'))
  await endDeadline(query, 'correction', 'b', at('2026-12-05T00:00:00'))
  await dropDeadline(query, 'correction', 'c', at('2026-12-04T23:59:59'))
  await dropDeadline(query, 'correction', 'e', at('2026-12-05T00:00:00'))
  await endDeadline(query, 'correction', 'nothing', at('2026-12-05T00:00:00'))
  hub.now = at('2026-12-05T10:00:00')
  const found = (await listDeadlines(query, null, { agency: 'civil' }, hub.now)).items
  t.same(
    Object.fromEntries(found.map(({ object, state }) => [object, state])),
    { a: 'met', b: 'missed', c: 'dropped', d: 'missed', e: 'missed' },
    'd and e by the day alone, before any pass',
  )
  t.equal(found[0]!.object, 'd', 'what runs comes first')
  t.same((await listDeadlines(query, null, { agency: 'water' }, hub.now)).items, [])
  t.same(
    (await listDeadlines(query, null, { state: 'met' }, hub.now)).items.map(({ object }) => object),
    ['a'],
  )
  await startDeadline(query, { ...started, object: 'a' })
  t.equal((await listDeadlines(query, null, { object: 'a' }, hub.now)).items.length, 2, 'it may begin again')
})

void t.test('a reply can be extended once, before its end', async (t) => {
  const { store } = await openOffice(t)
  const reply = { ...started, kind: 'application-reply' } as const
  for (const object of ['a', 'b']) await startDeadline(store.query, { ...reply, object })
  await startDeadline(store.query, started)
  t.equal(await extendDeadline(store.query, 'application-reply', 'a', at('2026-12-04T23:59:00')), '2026-12-11')
  t.equal(await refusal(extendDeadline(store.query, 'application-reply', 'a', at('2026-12-04T23:59:00'))), 'QZ-RULE', 'twice')
  t.equal(await refusal(extendDeadline(store.query, 'application-reply', 'b', at('2026-12-05T00:00:00'))), 'QZ-RULE', 'too late')
  t.equal(await refusal(extendDeadline(store.query, 'correction', 'correction 7', at('2026-11-25T00:00'))), 'QZ-RULE', 'another kind')
  t.equal(await refusal(extendDeadline(store.query, 'correction', 'none', at('2026-11-25T00:00'))), 'QZ-NOT-FOUND')
})

void t.test('warned before, marked after, each once, and told to those who must act and to the office', async (t) => {
  const hub = await openOffice(t)
  const { query } = hub.store
  await startDeadline(query, started)
  const told = async (reader = reviewer) => (await deadlineNotices(hub, reader)).map(({ kind }) => kind)
  await supervise(hub, '2026-12-01T23:59')
  t.same([await told(), await states(hub)], [[], [['correction', '2026-12-04', 'running', 3]]])
  await supervise(hub, '2026-12-02T00:00')
  await supervise(hub, '2026-12-03T09:00')
  t.same([await told(), await states(hub)], [['deadline-warning'], [['correction', '2026-12-04', 'warned', 1]]])
  await supervise(hub, '2026-12-04T23:59')
  t.same(await told(), ['deadline-warning'])
  await supervise(hub, '2026-12-05T00:00')
  await supervise(hub, '2026-12-05T00:01')
  t.same(await told(), ['deadline-missed', 'deadline-warning'])
  t.same(await told(office), ['deadline-missed', 'deadline-warning'])
  t.same(await states(hub), [['correction', '2026-12-04', 'missed', 0]])
  t.equal((await query(`select 1 from audit_entry where act = 'deadline.missed' and object = 'correction 7'`)).length, 1)
  await endDeadline(query, 'correction', 'correction 7', at('2026-12-08T10:00'))
  await supervise(hub, '2026-12-09T00:00')
  t.match((await listDeadlines(query, null, {}, hub.now)).items, [{ state: 'missed', missedAt: at('2026-12-05T00:00'), daysLeft: null }])
  t.equal((await told()).length, 2)
})

void t.test('several processes of the hub warn and mark once', async (t) => {
  const hub = await openOffice(t)
  for (let n = 0; n < 20; n++) await startDeadline(hub.store.query, { ...started, object: `correction ${n}` })
  const told = async () => (await listNotices(hub.store.query, reviewer, { limit: '200' })).items.length
  await Promise.all([1, 2, 3, 4].map(() => supervise(hub, '2026-12-03T09:00')))
  t.equal(await told(), 20)
  await Promise.all([1, 2, 3, 4].map(() => supervise(hub, '2026-12-05T09:00')))
  t.equal(await told(), 40)
})

void t.test('an extended deadline is warned of again; the office is told once', async (t) => {
  const hub = await openOffice(t)
  const { query } = hub.store
  await startDeadline(query, { ...started, kind: 'application-reply', agency: 'civil', role: 'office' })
  await supervise(hub, '2026-12-03T09:00')
  await extendDeadline(query, 'application-reply', 'correction 7', hub.now)
  await supervise(hub, '2026-12-03T09:01')
  const civilOffice = { person: '8', agency: 'civil', roles: ['office'] }
  t.equal((await deadlineNotices(hub, civilOffice)).length, 1)
  t.same(await states(hub), [['application-reply', '2026-12-11', 'running', 6]])
  await supervise(hub, '2026-12-10T09:00')
  t.equal((await deadlineNotices(hub, civilOffice)).length, 2)
})

void t.test('settings rule over lengths and warnings', async (t) => {
  const hub = await openOffice(t)
  const { query } = hub.store
  await saveSettings(hub.store, supervisionSettings({ deadlines: { correction: { days: 3, warn: 1 } } }), hub.now)
  await startDeadline(query, started)
  t.match((await listDeadlines(query, null, {}, at('2026-11-20T16:00'))).items, [{ due: '2026-11-25' }])
  await startAnew(hub, supervisionSettings({ deadlines: { correction: { days: 30 } } }))
  t.match((await listDeadlines(query, null, {}, hub.now)).items, [{ due: '2026-11-25' }], 'it keeps its length')
  t.equal((await query(`select 1 from audit_entry where act = 'supervision.settings'`)).length, 2)
})

/** As the hub starts with other settings. */
async function startAnew(hub: Office, settings: SupervisionSettings): Promise<void> {
  const supervision = await startSupervision({ store: hub.store, settings, catchUp: async () => {}, logger, clock: hub.clock })
  await supervision.run()
  await supervision.stop()
}

const year2027 = { year: 2027, source: 'test', holidays: ['2027-01-01/2027-01-03'], workdays: [] }

void t.test('a day that falls into a year without a calendar is not known until that comes, and nobody is late before', async (t) => {
  const hub = await openOffice(t)
  const { query } = hub.store
  const from = at('2026-12-18T10:00')
  for (const object of ['a', 'answered', 'extended']) {
    await startDeadline(query, { ...started, kind: object === 'extended' ? 'application-reply' : 'correction', object, from })
  }
  hub.now = at('2026-12-19T10:00')
  t.match((await listDeadlines(query, null, { object: 'a' }, hub.now)).items, [
    { due: null, waits: 'calendar', state: 'waiting', daysLeft: null },
  ])
  await extendDeadline(query, 'application-reply', 'extended', hub.now)
  await supervise(hub, '2027-01-06T00:05')
  t.match((await listDeadlines(query, null, { object: 'a' }, hub.now)).items, [{ due: null, state: 'waiting', missedAt: null }])
  await endDeadline(query, 'correction', 'answered', hub.now)
  t.match((await listDeadlines(query, null, { object: 'answered' }, hub.now)).items, [{ state: 'met', due: null }])

  hub.now = at('2027-01-06T10:00')
  await startAnew(hub, supervisionSettings({}, [year2027]))
  t.match(
    (await listDeadlines(query, null, { object: 'a' }, hub.now)).items,
    [{ due: '2027-01-07', waits: null }],
    'the day after it became known',
  )
  t.match(
    (await listDeadlines(query, null, { object: 'extended' }, hub.now)).items,
    [{ due: '2027-01-11' }],
    'as counted from its beginning',
  )
  await startAnew(hub, supervisionSettings({}, [year2027]))
  t.match((await listDeadlines(query, null, { object: 'a' }, hub.now)).items, [{ due: '2027-01-07' }], 'and stays so')
  await supervise(hub, '2027-01-08T00:01')
  t.match((await listDeadlines(query, null, { object: 'a' }, hub.now)).items, [{ state: 'missed' }])
  t.equal((await query(`select 1 from audit_entry where act = 'deadline.due'`)).length, 2, 'on record')
})

void t.test('what was missed by a wrong calendar is not missed by the right one', async (t) => {
  const hub = await openOffice(t)
  const { query } = hub.store
  for (const object of ['open', 'done', 'late']) await startDeadline(query, { ...started, object })
  await supervise(hub, '2026-12-05T00:05')
  await endDeadline(query, 'correction', 'done', at('2026-12-07T10:00'))
  await endDeadline(query, 'correction', 'late', at('2026-12-09T10:00'))
  const state = async (object: string) => (await listDeadlines(query, null, { object }, hub.now)).items[0]
  t.match(await Promise.all(['open', 'done', 'late'].map(state)), [{ state: 'missed' }, { state: 'missed' }, { state: 'missed' }])
  const corrected = { year: 2026, source: 'corrected', holidays: ['2026-12-01', '2026-12-02'], workdays: [] }
  hub.now = at('2026-12-07T11:00')
  await startAnew(hub, supervisionSettings({}, [corrected]))
  t.match(await state('open'), { state: 'warned', due: '2026-12-08', missedAt: null })
  t.match(await state('done'), { state: 'met', due: '2026-12-08', missedAt: null })
  t.match(await state('late'), { state: 'missed', due: '2026-12-08' })
})

void t.test('days on which nobody could act do not count, whenever they are looked at', async (t) => {
  const hub = await openOffice(t)
  const { query } = hub.store
  await publishResource(hub, 'admin', { schema: villages() })
  const receiver = await enrolled(hub, 'water')
  await addGrant(hub, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  const route = await addRoute(hub, 'admin', 'villages.water', receiver.id)
  await query('update route set asked_at = $1', [hub.now])
  const delivery = { kind: 'delivery', object: `route ${route.id}`, agency: 'civil', role: 'agency-it' } as const
  await startDeadline(query, { ...delivery, from: at('2026-10-12T10:00') })
  const due = async () => (await listDeadlines(query, null, { kind: 'delivery' }, hub.now)).items[0]
  await supervise(hub, '2026-10-12T11:00')
  t.match(await due(), { due: '2026-11-09' })

  const phase = (state: string, when: string) =>
    query(
      `insert into resource_phase (resource, since, cycle, state, supply_mode, supplied) values ('villages', $1, 'quarterly', $2, 'front-end', true)`,
      [at(when), state],
    )
  const grant = (to: string, when: string) =>
    query(
      `insert into history (workflow, object, event, to_state, actor, actor_name, at) values ('grant', 'villages.water', 'x', $1, 'x', 'x', $2)`,
      [to, at(when)],
    )
  await phase('suspended', '2026-10-14T09:00')
  await phase('active', '2026-10-16T17:00')
  await grant('suspended', '2026-10-16T10:00')
  await grant('held', '2026-10-20T09:00')
  await grant('active', '2026-10-20T14:00')
  await phase('suspended', '2026-10-21T09:00')
  await phase('active', '2026-10-21T20:00')
  await supervise(hub, '2026-10-27T10:00')
  // The 14th to the 16th stopped, the 16th to the 19th suspended, of the 20th fourteen hours suspended or held; of the 21st eleven.
  t.match(await due(), { due: '2026-11-16' }, 'five working days more')
  await supervise(hub, '2026-11-17T00:05')
  t.match(await due(), { state: 'missed', due: '2026-11-16' })
  await phase('suspended', '2026-11-18T09:00')
  await supervise(hub, '2026-12-18T09:00')
  t.match(await due(), { state: 'missed', due: '2026-11-16' }, 'what comes afterwards changes nothing')
})

void t.test('a delivery waits for a receiver whose machine never asked; the first receipt counts', async (t) => {
  const hub = await openOffice(t)
  const { query } = hub.store
  await publishResource(hub, 'admin', { schema: villages() })
  const receiver = await enrolled(hub, 'water')
  await addGrant(hub, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  const { id } = await addRoute(hub, 'admin', 'villages.water', receiver.id)
  await startDeadline(query, { kind: 'delivery', object: `route ${id}`, agency: 'civil', role: 'agency-it', from: at('2026-10-12T10:00') })
  const due = async () => (await listDeadlines(query, null, { kind: 'delivery' }, hub.now)).items[0]
  await supervise(hub, '2026-10-12T11:00')
  t.match(await due(), { state: 'waiting', due: null, waits: 'receiver' })
  await supervise(hub, '2026-11-30T11:00')
  t.match(await due(), { state: 'waiting', missedAt: null })
  await query('update route set asked_at = $1', [at('2026-11-30T11:01')])
  await supervise(hub, '2026-11-30T11:02')
  t.match(await due(), { state: 'running', due: '2026-12-28', waits: null }, 'twenty working days from then on')

  const receipt = (seq: number, when: string) => {
    const applied = { route: id, epoch: 1, seq, hash: 'h', written: 1, deleted: 0, quarantine: 0, batches: 1, time: '' }
    return takeReceipt(hub.store, receiver.id, applied as never, `jws${seq}`, undefined, at(when))
  }
  await receipt(1, '2026-12-28T10:00')
  await receipt(2, '2026-12-29T10:00')
  hub.now = at('2026-12-29T12:00')
  t.equal(await noteDeliveries(hub), 1)
  t.match(await due(), { state: 'met', endedAt: at('2026-12-28T10:00') })
})

void t.test('force majeure takes its days out of every deadline of its agency, and of no other', async (t) => {
  const hub = await openOffice(t)
  const { query } = hub.store
  for (const agency of ['civil', 'water']) {
    await startDeadline(query, { ...started, object: `${agency} 1`, agency })
    await startDeadline(query, { ...started, kind: 'rectification', object: `${agency} 2`, agency, due: '2026-12-03' })
  }
  const [person] = await query<{ id: string }>(`insert into person (agency, login, name) values ('civil', 'x', 'x') returning id`)
  await query(
    `insert into declaration (agency, kind, text, until, drafted_by, signed_at, state, created_at)
     values ('civil', 'force-majeure', 'x', '2026-11-30', $1, $2, 'noticed', now())`,
    [person!.id, at('2026-11-26T09:00')],
  )
  await supervise(hub, '2026-11-27T10:00')
  const dues = async () => (await listDeadlines(query, null, {}, hub.now)).items.map(({ object, due }) => [object, due])
  t.same(Object.fromEntries(await dues()), {
    'civil 1': '2026-12-09',
    'civil 2': '2026-12-08',
    'water 1': '2026-12-04',
    'water 2': '2026-12-03',
  })
  await endDeadline(query, 'correction', 'civil 1', at('2026-12-09T20:00'))
  t.match((await listDeadlines(query, null, { object: 'civil 1' }, hub.now)).items, [{ state: 'met' }])
})

void t.test('a deadline that was dropped and begins again has what it had left', async (t) => {
  const hub = await openOffice(t)
  const { query } = hub.store
  await startDeadline(query, started)
  await dropDeadline(query, 'correction', 'correction 7', at('2026-12-03T10:00'))
  await resumeDeadline(query, 'correction', 'correction 7', at('2026-12-10T10:00'))
  t.match((await listDeadlines(query, null, {}, at('2026-12-10T10:00'))).items, [{ state: 'running', due: '2026-12-11', daysLeft: 1 }])
})
