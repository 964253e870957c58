import pino from 'pino'
import t from 'tap'
import { dropDeadline, endDeadline, extendDeadline, listDeadlines, startDeadline } from '../../../hub/records/deadlines.ts'
import { listNotices } from '../../../hub/records/notices.ts'
import { saveSettings, supervisionSettings } from '../../../hub/records/settings.ts'
import { startSupervision, superviseOnce } from '../../../hub/supervision/supervision.ts'
import { openOffice, refusal, type Office } from '../office.ts'

const at = (text: string) => new Date(`${text}+08:00`)
const logger = pino({ level: 'silent' })
const office = { person: '9', agency: 'city', roles: ['office'] }
const reviewer = { person: '1', agency: 'civil', roles: ['reviewer'] }

const started = { kind: 'correction', object: 'correction 7', agency: 'civil', role: 'reviewer', from: at('2026-11-20T15:00') } as const

function supervise(hub: Office, now: string) {
  hub.now = at(now)
  return superviseOnce({ store: hub.store, settings: supervisionSettings(), catchUp: async () => {}, logger, clock: hub.clock })
}

const states = async ({ store, now }: Office) =>
  (await listDeadlines(store.query, {}, now)).map(({ kind, due, state, daysLeft }) => [kind, due, state, daysLeft])

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
  for (const object of ['a', 'b', 'c', 'd']) await startDeadline(query, { ...started, object })
  await endDeadline(query, 'correction', 'a', at('2026-12-04T23:59:59'))
  await endDeadline(query, 'correction', 'b', at('2026-12-05T00:00:00'))
  await dropDeadline(query, 'correction', 'c', at('2026-12-05T00:00:00'))
  await endDeadline(query, 'correction', 'nothing', at('2026-12-05T00:00:00'))
  hub.now = at('2026-12-05T10:00:00')
  const found = await listDeadlines(query, { agency: 'civil' }, hub.now)
  t.same(
    Object.fromEntries(found.map(({ object, state }) => [object, state])),
    { a: 'met', b: 'missed', c: 'dropped', d: 'missed' },
    'd by the day alone, before any pass',
  )
  t.equal(found[0]!.object, 'd', 'what runs comes first')
  t.same(await listDeadlines(query, { agency: 'water' }, hub.now), [])
  t.same(
    (await listDeadlines(query, { state: 'met' }, hub.now)).map(({ object }) => object),
    ['a'],
  )
  await startDeadline(query, { ...started, object: 'a' })
  t.equal((await listDeadlines(query, { object: 'a' }, hub.now)).length, 2, 'it may begin again')
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
  const told = async (reader = reviewer) => (await listNotices(query, reader)).map(({ kind }) => kind)
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
  t.match(await listDeadlines(query, {}, hub.now), [{ state: 'missed', missedAt: at('2026-12-05T00:00'), daysLeft: null }])
  t.equal((await told()).length, 2)
})

void t.test('several processes of the hub warn and mark once', async (t) => {
  const hub = await openOffice(t)
  for (let n = 0; n < 20; n++) await startDeadline(hub.store.query, { ...started, object: `correction ${n}` })
  const told = async () => (await listNotices(hub.store.query, reviewer, { limit: 200 })).length
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
  t.equal((await listNotices(query, civilOffice)).length, 1)
  t.same(await states(hub), [['application-reply', '2026-12-11', 'running', 6]])
  await supervise(hub, '2026-12-10T09:00')
  t.equal((await listNotices(query, civilOffice)).length, 2)
})

void t.test('settings rule over lengths and warnings; a published calendar moves what still runs', async (t) => {
  const hub = await openOffice(t)
  const { query } = hub.store
  await saveSettings(hub.store, supervisionSettings({ deadlines: { correction: { days: 3, warn: 1 } } }))
  await startDeadline(query, { ...started, from: at('2028-09-27T12:00') })
  t.match(await listDeadlines(query, {}, at('2028-09-27T12:00')), [{ due: '2028-10-02' }])
  const year = { year: 2028, source: 'test', holidays: ['2028-10-01/2028-10-08'], workdays: [] }
  hub.now = at('2028-09-28T00:00')
  const settings = supervisionSettings({ deadlines: { correction: { days: 30 } } }, [year])
  const supervision = await startSupervision({ store: hub.store, settings, catchUp: async () => {}, logger, clock: hub.clock })
  await supervision.run()
  await supervision.stop()
  t.match(await listDeadlines(query, {}, hub.now), [{ due: '2028-10-09' }], 'it keeps its length')
  t.equal((await query(`select 1 from audit_entry where act = 'supervision.settings'`)).length, 2)
})
