import pino from 'pino'
import t from 'tap'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { addDays, dayOf, endOf, makeCalendar, startOf } from '../../../../hub/records/calendar.ts'
import { notePhase } from '../../../../hub/records/phases.ts'
import { dayToJudge, judgeDay } from '../../../../hub/supervision/duties/judging.ts'
import type { Cycle } from '../../../../hub/supervision/duties/periods.ts'
import { dutyStatus, explainPeriod, listDuties } from '../../../../hub/supervision/duties/duties.ts'
import { listNotices } from '../../../../hub/records/notices.ts'
import { saveSettings, supervisionSettings } from '../../../../hub/records/settings.ts'
import { startSupervision, superviseOnce, type SupervisionDeps } from '../../../../hub/supervision/supervision.ts'
import { openCity } from '../../city.ts'
import { enrolled, openOffice, publishedAt, refusal, villages, type Office } from '../../office.ts'

const at = (text: string) => new Date(`${text}+08:00`)
const registrar = { person: '1', agency: 'civil', roles: ['registrar'] }
const supervisor = { person: '2', agency: 'city', roles: ['supervisor'] }

async function openDuty(test: Pick<typeof t, 'teardown'>, cycle: Cycle, published: string): Promise<Office> {
  const hub = await openOffice(test)
  await addResource(hub, 'villages', cycle, published)
  return hub
}

async function addResource(hub: Office, code: string, cycle: Cycle, published: string): Promise<void> {
  await publishResource(hub, 'admin', { schema: villages((draft) => Object.assign(draft, { resource: code, title: `资源 ${code}` })) })
  await publishedAt(hub, code, cycle, at(published))
}

/** What is in force of a resource from a moment on. */
async function inForce(hub: Office, when: string, change: { cycle?: Cycle; state?: string; secrecy?: boolean }, code = 'villages') {
  for (const [column, value] of Object.entries(change)) {
    await hub.store.query(`update resource set ${column} = $2 where code = $1`, [code, value])
  }
  await notePhase(hub.store.query, code, at(when))
}

/** What the hub has accepted on a day. */
async function accepted({ store }: Office, day: string, changed: number, snapshot = 0): Promise<void> {
  await store.query(
    `insert into supply_day (resource, day, batches, changed_rows, snapshot_rows) values ('villages', $1, 1, $2, $3)
     on conflict (resource, day) do update set changed_rows = supply_day.changed_rows + excluded.changed_rows`,
    [day, changed, snapshot],
  )
}

const partsOf = (hub: Office): SupervisionDeps => ({
  store: hub.store,
  settings: supervisionSettings(),
  catchUp: async () => {},
  logger: pino({ level: 'silent' }),
  clock: hub.clock,
})

function supervise(hub: Office, now: string): Promise<void> {
  hub.now = at(now)
  return superviseOnce(partsOf(hub))
}

async function stateOf({ store, now }: Office, period: string, resource = 'villages'): Promise<string | undefined> {
  return (await listDuties(store.query, { resource, from: '2026-01-01', to: '2027-12-31' }, now)).find((duty) => duty.period === period)
    ?.state
}

const marks = ({ store }: Office) =>
  store.query<{ period: string; mark: string }>('select period, mark from duty_mark order by ends, period, at, mark')
const told = async ({ store }: Office, reader = registrar) =>
  (await listNotices(store.query, reader, { limit: '200' })).items.map(({ kind }) => kind)

void t.test('a pass that is to stop ends with the statement under way; the next one goes on from the last whole day', async (t) => {
  const hub = await openDuty(t, 'daily', '2026-11-01T10:00')
  hub.now = at('2026-11-10T09:00')
  const ending = new AbortController()
  let [judged, after] = [0, 0]
  const transaction: Office['store']['transaction'] = (work) =>
    hub.store.transaction((query) =>
      work(async (text, values) => {
        if (ending.signal.aborted) after++
        const rows = await query<never>(text, values)
        if (text.includes('insert into duty_mark') && ++judged === 3) ending.abort()
        return rows
      }),
    )
  await superviseOnce({ ...partsOf(hub), store: { ...hub.store, transaction } }, ending.signal)
  t.same([judged, after], [3, 0])
  t.equal(await dayToJudge(hub.store.query, hub.now), '2026-11-04', 'of the third day nothing is written')
  t.equal((await marks(hub)).length, 2)
  await superviseOnce(partsOf(hub))
  t.equal(await dayToJudge(hub.store.query, hub.now), undefined)
})

void t.test('an update on the tenth is in time, on the eleventh it is late', async (t) => {
  for (const [day, expected] of [
    ['2026-12-31', 'overdue'],
    ['2027-01-01', 'updated'],
    ['2027-01-10', 'updated'],
    ['2027-01-11', 'overdue'],
  ] as const) {
    const hub = await openDuty(t, 'quarterly', '2026-11-02T10:00')
    await accepted(hub, '2026-11-02', 0, 500)
    hub.now = at('2026-12-31T23:59')
    t.equal(await stateOf(hub, '2027-Q1'), 'upcoming')
    await accepted(hub, day, 3)
    hub.now = at('2027-01-10T23:59:59')
    t.equal(await stateOf(hub, '2027-Q1'), expected === 'updated' ? 'updated' : 'running', day)
    hub.now = at('2027-01-11T00:00')
    t.equal(await stateOf(hub, '2027-Q1'), expected, `${day}: by the day alone`)
    await supervise(hub, '2027-01-11T00:02')
    t.equal(await stateOf(hub, '2027-Q1'), expected, day)
    t.equal(await stateOf(hub, '2026-Q4'), undefined, 'published after that window')
    t.same(
      (await marks(hub)).filter(({ mark }) => mark !== 'warned'),
      [{ period: '2027-Q1', mark: expected }],
    )
  }
})

void t.test('only batches that changed rows count; the first load of all does', async (t) => {
  const hub = await openDuty(t, 'daily', '2026-11-01T10:00')
  await accepted(hub, '2026-11-02', 0, 500)
  await accepted(hub, '2026-11-03', 0, 500)
  await accepted(hub, '2026-11-04', 0)
  await accepted(hub, '2026-11-05', 1)
  await supervise(hub, '2026-11-07T00:02')
  t.same(await Promise.all([1, 2, 3, 4, 5, 6].map((day) => stateOf(hub, `2026-11-0${day}`))), [
    undefined,
    'updated',
    'overdue',
    'overdue',
    'updated',
    'overdue',
  ])
})

void t.test('every cycle owes its own periods and no others; a real-time one the quarter, or each day by a setting', async (t) => {
  const hub = await openDuty(t, 'weekly', '2026-12-01T10:00')
  await addResource(hub, 'monthly', 'monthly', '2026-12-01T10:00')
  await addResource(hub, 'realtime', 'realtime', '2026-12-01T10:00')
  await addResource(hub, 'daily', 'daily', '2026-12-30T10:00')
  await supervise(hub, '2027-01-04T12:00')
  const owed = async (resource: string) =>
    (await listDuties(hub.store.query, { resource, from: '2026-12-01', to: '2027-01-31' }, hub.now))
      .filter(({ state }) => state === 'overdue' || state === 'running')
      .map(({ period }) => period)
      .toReversed()
  t.same(await owed('villages'), ['2026-W49', '2026-W50', '2026-W51', '2026-W52', '2026-W53', '2027-W01'])
  t.same(await owed('monthly'), ['2026-12', '2027-01'])
  t.same(await owed('realtime'), ['2027-Q1'])
  t.same(await owed('daily'), ['2026-12-31', '2027-01-01', '2027-01-02', '2027-01-03', '2027-01-04'])
  const year = { year: 2027, source: 'test', holidays: [], workdays: [] }
  await saveSettings(hub.store, supervisionSettings({ duties: { realtime: 'daily', dailyOn: 'working-days' } }, [year]), hub.now)
  await supervise(hub, '2027-01-11T00:02')
  t.same(
    (await owed('realtime')).filter((period) => period.length === 10 && period > '2027-01-03').length,
    5 + 1,
    'working days, and today',
  )
})

void t.test('the duty begins with the publication and ends with the withdrawal; nothing is owed while an office stops it', async (t) => {
  const hub = await openDuty(t, 'weekly', '2026-11-19T10:00')
  await supervise(hub, '2026-11-23T00:02')
  t.equal(await stateOf(hub, '2026-W47'), 'overdue')
  t.equal(await stateOf(hub, '2026-W46'), undefined)
  await inForce(hub, '2026-11-23T09:00', { state: 'suspended' })
  await supervise(hub, '2026-11-30T00:02')
  t.equal(await stateOf(hub, '2026-W48'), 'excused')
  await inForce(hub, '2026-11-30T09:00', { state: 'active' })
  await inForce(hub, '2026-12-08T09:00', { state: 'withdrawn' })
  await supervise(hub, '2026-12-21T00:02')
  t.equal(await stateOf(hub, '2026-W49'), 'overdue')
  t.equal(await stateOf(hub, '2026-W50'), undefined, 'withdrawn on its second day')
  t.equal((await marks(hub)).filter(({ mark }) => mark === 'overdue').length, 2)
  t.equal(await stateOf(hub, '2026-W48'), 'excused', 'what was marked stays')
})

void t.test('what was in force for most of a period decides, not what its last moment shows', async (t) => {
  const cases: [string, Cycle, [string, Parameters<typeof inForce>[2]][], Record<string, string | undefined>][] = [
    ['a slower cycle on the last evening', 'monthly', [['2026-11-30T20:00', { cycle: 'quarterly' }]], { '2026-11': 'overdue' }],
    [
      'a faster cycle on the last evening',
      'quarterly',
      [['2026-11-30T20:00', { cycle: 'monthly' }]],
      { '2026-11': undefined, '2026-12': 'overdue' },
    ],
    ['a slower cycle in its first days', 'monthly', [['2026-11-03T20:00', { cycle: 'quarterly' }]], { '2026-11': undefined }],
    [
      'withdrawn in its last second',
      'monthly',
      [['2026-11-30T23:59:59', { state: 'withdrawn' }]],
      { '2026-11': 'overdue', '2026-12': undefined },
    ],
    [
      'declared secret in its last hour',
      'monthly',
      [['2026-11-30T23:00', { secrecy: true }]],
      { '2026-11': 'overdue', '2026-12': undefined },
    ],
    [
      'stopped in its last ten minutes',
      'monthly',
      [['2026-11-30T23:50', { state: 'suspended' }]],
      { '2026-11': 'overdue', '2026-12': 'excused' },
    ],
    [
      'stopped throughout, and released ten minutes before its end',
      'monthly',
      [
        ['2026-10-31T10:00', { state: 'suspended' }],
        ['2026-11-30T23:50', { state: 'active' }],
      ],
      { '2026-11': 'excused', '2026-12': 'overdue' },
    ],
    ['stopped for the second half, less an hour', 'monthly', [['2026-11-16T01:00', { state: 'suspended' }]], { '2026-11': 'overdue' }],
  ]
  const hub = await openOffice(t)
  for (const [n, [, cycle, changes]] of cases.entries()) {
    await addResource(hub, `r${n}`, cycle, '2026-10-02T10:00')
    for (const [when, change] of changes) await inForce(hub, when, change, `r${n}`)
  }
  await supervise(hub, '2027-01-12T00:02')
  for (const [n, [name, , , expected]] of cases.entries()) {
    for (const [period, state] of Object.entries(expected)) t.equal(await stateOf(hub, period, `r${n}`), state, `${name}: ${period}`)
  }
  t.match(
    await listDuties(hub.store.query, { resource: 'r6', from: '2026-11-01', to: '2026-11-30' }, hub.now),
    [{ state: 'excused', excuse: 'stopped' }],
    'the reason is told',
  )
})

void t.test('what was warned of and then fell away is not owed', async (t) => {
  const hub = await openDuty(t, 'monthly', '2026-11-25T00:00')
  await supervise(hub, '2026-11-26T00:01')
  t.same(await marks(hub), [{ period: '2026-11', mark: 'warned' }])
  await inForce(hub, '2026-11-26T12:00', { state: 'withdrawn' })
  await supervise(hub, '2026-12-01T00:02')
  t.equal(await stateOf(hub, '2026-11'), undefined)
})

void t.test('who updates each month on the twentieth owes no quarter besides', async (t) => {
  const hub = await openDuty(t, 'monthly', '2026-10-02T10:00')
  for (const day of ['2026-10-20', '2026-11-20', '2026-12-20', '2027-01-20']) await accepted(hub, day, 3)
  await supervise(hub, '2027-02-02T08:00')
  t.same([...new Set((await marks(hub)).map(({ mark }) => mark))], ['updated'])
})

void t.test('who has told in writing that it cannot supply is not blamed, until it supplies again', async (t) => {
  const hub = await openDuty(t, 'weekly', '2026-10-01T10:00')
  await addResource(hub, 'other', 'weekly', '2026-10-01T10:00')
  const declare = (kind: string, resource: string | null, signed: string | null, until: string | null = null) =>
    hub.store.query(
      `insert into declaration (agency, kind, resource, text, until, drafted_by, signed_at, state, created_at)
       values ('civil', $1, $2, 'x', $4, $5, $3, 'noticed', now())`,
      [kind, resource, signed && at(signed), until, person],
    )
  const [{ id: person }] = (await hub.store.query<{ id: string }>(
    `insert into person (agency, login, name) values ('civil', 'x', 'x') returning id`,
  )) as [{ id: string }]
  await declare('force-majeure', null, '2026-11-03T09:00', '2026-11-10')
  await declare('cannot-supply', 'villages', '2026-11-17T09:00')
  await declare('cannot-supply', 'other', null)
  await accepted(hub, '2026-12-01', 5)
  await supervise(hub, '2026-12-14T00:02')
  const weeks = ['2026-W44', '2026-W45', '2026-W46', '2026-W47', '2026-W48', '2026-W49', '2026-W50']
  t.same(
    await Promise.all(weeks.map((week) => stateOf(hub, week))),
    ['overdue', 'excused', 'overdue', 'excused', 'excused', 'updated', 'overdue'],
    'force majeure to its last day; what cannot be supplied, until it is supplied',
  )
  t.same(
    await Promise.all(weeks.map((week) => stateOf(hub, week, 'other'))),
    ['overdue', 'excused', 'overdue', 'overdue', 'overdue', 'overdue', 'overdue'],
    'of the whole agency; what nobody signed says nothing',
  )
  t.equal(
    (await listDuties(hub.store.query, { resource: 'villages', from: '2026-11-03', to: '2026-11-03' }, hub.now))[0]?.excuse,
    'force-majeure',
  )
})

void t.test('who waits for the office to give it a machine is not blamed meanwhile', async (t) => {
  const city = await openCity(t)
  for (const agency of ['civil', 'water']) {
    const schema = villages((draft) => Object.assign(draft, { resource: agency, title: agency, agency }))
    await publishResource(city, 'admin', { schema })
    await publishedAt(city, agency, 'monthly', at('2026-11-23T10:00'))
  }
  await city.store.query(`insert into agent (id, agency, name, public_key, enrolled_at) values ('a', 'water', 'a', 'k', '2026-01-01')`)
  const apply = async (agency: string) =>
    (await city.as(agency, 'agency-it').post('/machines', { name: 'x', purpose: 'x', providedBy: 'office' })).body.id as string
  city.now = at('2026-11-28T10:00')
  const [waits] = [await apply('civil'), await apply('water')]
  city.now = at('2026-12-20T10:00')
  await city.as('city', 'office').post(`/machines/${waits}/approve`)
  await supervise(city, '2027-02-01T00:02')
  const states = async (agency: string) =>
    (await listDuties(city.store.query, { agency, from: '2026-12-01', to: '2027-01-31' }, city.now)).map(
      ({ state, excuse }) => excuse ?? state,
    )
  t.same(await states('civil'), ['overdue', 'no-machine'])
  t.same(await states('water'), ['overdue', 'overdue'], 'another machine is there')
})

void t.test('by form or Excel as by a machine; what cannot come at all is not asked for', async (t) => {
  const hub = await openDuty(t, 'monthly', '2026-10-02T10:00')
  for (const mode of ['form', 'excel']) {
    await addResource(hub, mode, 'monthly', '2026-10-02T10:00')
    await hub.store.query('update resource set supply_mode = $1 where code = $1', [mode])
    await hub.store.query('update resource_phase set supply_mode = $1 where resource = $1', [mode])
  }
  await hub.store.query(`insert into supply_day (resource, day, batches, snapshot_rows) values ('excel', '2026-11-03', 1, 9)`)
  await addResource(hub, 'kept', 'monthly', '2026-10-02T10:00')
  await hub.store.query(`update resource_phase set supplied = false where resource = 'kept'`)
  await supervise(hub, '2027-01-02T08:00')
  const marks = `select resource, period, mark from duty_mark where resource <> 'villages' and period >= '2026-11' order by resource, period`
  t.same(await hub.store.query(marks), [
    { resource: 'excel', period: '2026-11', mark: 'updated' },
    { resource: 'excel', period: '2026-12', mark: 'overdue' },
    { resource: 'form', period: '2026-11', mark: 'overdue' },
    { resource: 'form', period: '2026-12', mark: 'overdue' },
  ])
})

void t.test('warned before, marked after; agency and supervisor are told once', async (t) => {
  const hub = await openDuty(t, 'quarterly', '2026-11-02T10:00')
  await supervise(hub, '2027-01-06T23:59')
  t.same(await told(hub), [])
  await supervise(hub, '2027-01-07T00:00')
  await supervise(hub, '2027-01-10T23:59')
  t.same(await told(hub), ['duty-warning'])
  t.same(await told(hub, supervisor), [])
  await supervise(hub, '2027-01-11T00:00:30')
  t.same(await told(hub), ['duty-warning'], 'what was accepted in the last moment is waited for')
  await supervise(hub, '2027-01-11T00:02')
  await supervise(hub, '2027-01-12T00:02')
  t.same(await told(hub), ['duty-overdue', 'duty-warning'])
  t.same(await told(hub, { ...registrar, roles: ['reviewer'] }), ['duty-overdue', 'duty-warning'])
  t.same(await told(hub, supervisor), ['duty-overdue'])
  t.same(await told(hub, { ...registrar, agency: 'water' }), [])
  t.match((await listNotices(hub.store.query, supervisor)).items, [
    { object: { kind: 'resource', id: 'villages' }, zh: /民政局.*2027-Q1.*资源 villages/ },
  ])
  t.equal((await hub.store.query(`select 1 from audit_entry where act = 'duty.overdue'`)).length, 1)
})

void t.test('a day of which nobody knows whether it is worked is not asked for, nor afterwards', async (t) => {
  const hub = await openDuty(t, 'daily', '2026-12-28T10:00')
  await saveSettings(hub.store, supervisionSettings({ duties: { dailyOn: 'working-days' } }), hub.now)
  await supervise(hub, '2027-01-06T08:00')
  const overdue = async () =>
    (await listDuties(hub.store.query, { from: '2026-12-28', states: ['overdue'] }, hub.now)).map(({ period }) => period).toReversed()
  t.same(await overdue(), ['2026-12-29', '2026-12-30', '2026-12-31'])
  const year = { year: 2027, source: 'test', holidays: ['2027-01-01/2027-01-03'], workdays: [] }
  await saveSettings(hub.store, supervisionSettings({ duties: { dailyOn: 'working-days' } }, [year]), hub.now)
  await supervise(hub, '2027-01-08T08:00')
  t.same(await overdue(), ['2026-12-29', '2026-12-30', '2026-12-31', '2027-01-06', '2027-01-07'], 'from when it is known on')
})

void t.test('an agency with many resources gets one notice per period', async (t) => {
  const hub = await openDuty(t, 'weekly', '2026-11-02T10:00')
  for (let n = 1; n <= 7; n++) await addResource(hub, `r${n}`, 'weekly', '2026-11-02T10:00')
  await supervise(hub, '2026-11-09T00:02')
  t.match((await listNotices(hub.store.query, supervisor)).items, [
    { object: { kind: 'agency', id: 'civil' }, zh: /8 项资源.* 等$/, en: /8 resources.*, …$/ },
  ])
})

void t.test('a pass killed anywhere is made again: every mark and notice once', async (t) => {
  const passes = async (hub: Office) => {
    hub.now = at('2026-11-24T20:00')
    return superviseOnce(partsOf(hub))
  }
  const whole = await openDuty(t, 'daily', '2026-11-19T10:00')
  await passes(whole)
  const expected = await marks(whole)
  t.equal(expected.filter(({ mark }) => mark === 'overdue').length, 4)
  const hub = await openDuty(t, 'daily', '2026-11-19T10:00')
  for (let statements = 1, done = false; !done; statements++) {
    let left = statements
    // The connection is gone after so many statements.
    const transaction: Office['store']['transaction'] = (work) =>
      hub.store.transaction((query) =>
        work(async (text, values) => {
          if (left-- === 0) throw new Error('killed')
          return query(text, values)
        }),
      )
    hub.now = at('2026-11-24T20:00')
    done = await superviseOnce({ ...partsOf(hub), store: { ...hub.store, transaction } }).then(
      () => true,
      () => false,
    )
  }
  t.same(await marks(hub), expected)
  t.same(await told(hub), await told(whole))
  t.same(await told(hub, supervisor), await told(whole, supervisor))
})

void t.test('two processes of the hub supervise at once: every mark and notice once', async (t) => {
  const hub = await openDuty(t, 'daily', '2026-11-19T10:00')
  hub.now = at('2026-11-24T20:00')
  await Promise.all([1, 2, 3, 4].map(() => superviseOnce(partsOf(hub))))
  t.same((await told(hub)).length, 5, 'four days overdue, one warning')
})

void t.test('nothing is judged before what was accepted is counted', async (t) => {
  const hub = await openDuty(t, 'daily', '2026-11-19T10:00')
  const catchUp = () => accepted(hub, '2026-11-20', 1)
  hub.now = at('2026-11-21T00:02')
  await superviseOnce({ ...partsOf(hub), catchUp })
  t.equal(await stateOf(hub, '2026-11-20'), 'updated')
  const failing = { ...partsOf(hub), catchUp: () => Promise.reject(new Error('the log is away')) }
  hub.now = at('2026-11-22T00:02')
  await t.rejects(superviseOnce(failing))
  t.equal((await marks(hub)).length, 1)
})

void t.test('what is written down is never rewritten', async (t) => {
  const hub = await openDuty(t, 'daily', '2026-11-19T10:00')
  await supervise(hub, '2026-11-21T00:02')
  for (const sql of [`update duty_mark set mark = 'updated'`, 'delete from duty_mark', 'truncate duty_mark']) {
    await t.rejects(hub.store.query(sql), /written once/, sql)
  }
  await accepted(hub, '2026-11-20', 5)
  t.equal(await stateOf(hub, '2026-11-20'), 'overdue', 'nor by what comes to light later')
})

void t.test('an explanation needs a declaration, and a duty; in time it leaves no mark of lateness', async (t) => {
  const hub = await openDuty(t, 'daily', '2026-11-19T10:00')
  const { query } = hub.store
  await accepted(hub, '2026-11-20', 1)
  hub.now = at('2026-11-21T18:30')
  const explain = (period: string, declaration = '5', resource = 'villages') =>
    explainPeriod(query, { resource, period, declaration, now: hub.now })
  t.equal(await refusal(explain('2026-11-21', '')), 'QZ-REQUEST-INVALID')
  t.equal(await refusal(explain('2026-11-2')), 'QZ-REQUEST-INVALID')
  t.equal(await refusal(explain('2026-11-20')), 'QZ-RULE', 'updated')
  t.equal(await refusal(explain('2026-11-22')), 'QZ-RULE', 'not begun')
  t.equal(await refusal(explain('2026-11-18')), 'QZ-NOT-FOUND', 'before the publication')
  t.equal(await refusal(explain('2026-W47')), 'QZ-NOT-FOUND', 'not its cycle')
  t.equal(await refusal(explain('2026-11-21', '5', 'none')), 'QZ-NOT-FOUND')
  await explain('2026-11-21')
  await explain('2026-11-21')
  t.equal(await refusal(explain('2026-11-21', '6')), 'QZ-RULE', 'explained otherwise')
  await supervise(hub, '2026-11-23T00:02')
  t.same(
    (await marks(hub)).filter(({ mark }) => mark !== 'warned'),
    [
      { period: '2026-11-20', mark: 'updated' },
      { period: '2026-11-21', mark: 'explained' },
      { period: '2026-11-22', mark: 'overdue' },
    ],
  )
  await explain('2026-11-22', '7')
  hub.now = at('2026-11-24T00:00:30')
  await explain('2026-11-23', '8')
  await supervise(hub, '2026-11-24T00:02')
  const [early] = await listDuties(query, { resource: 'villages', from: '2026-11-23', to: '2026-11-23' }, hub.now)
  t.match(early, { state: 'explained', overdueAt: hub.now }, 'late, though nobody had looked yet')
  const [late] = await listDuties(query, { resource: 'villages', from: '2026-11-22', to: '2026-11-22' }, hub.now)
  t.match(late, { state: 'explained', declaration: '7', overdueAt: at('2026-11-23T00:02'), explainedAt: at('2026-11-23T00:02') })
})

void t.test('that nothing changed is said when the end is near, and not against the evidence', async (t) => {
  const hub = await openDuty(t, 'monthly', '2026-10-02T10:00')
  const { query } = hub.store
  const { id } = await enrolled(hub, 'civil')
  const reports = (waiting: number, oldest?: string) =>
    query('update agent set report = $2, last_seen = $3 where id = $1', [
      id,
      { sources: [{ resource: 'villages', state: 'flowing', waiting, ...(oldest && { oldest: at(oldest).toISOString() }) }] },
      hub.now,
    ])
  const explain = (now: string, period: string, declaration = '1') => {
    hub.now = at(now)
    return refusal(explainPeriod(query, { resource: 'villages', period, declaration, now: hub.now }))
  }
  t.equal(await explain('2026-11-01T00:05', '2026-11'), 'QZ-RULE', 'in its first minutes')
  t.equal(await explain('2026-11-25T23:59', '2026-11'), 'QZ-RULE')
  t.equal(await explain('2026-11-26T00:00', '2026-11'), 'not refused')
  t.equal(await stateOf(hub, '2026-11'), 'explained')
  await accepted(hub, '2026-11-29', 2)
  t.equal(await stateOf(hub, '2026-11'), 'updated', 'at once')
  await supervise(hub, '2026-12-01T00:02')
  t.equal(await stateOf(hub, '2026-11'), 'updated', 'rows changed after it was signed: that is the update')

  await reports(3, '2026-12-30T09:00')
  t.equal(await explain('2026-12-30T10:00', '2026-12'), 'QZ-RULE', 'changed rows wait')
  await reports(0)
  t.equal(await explain('2026-12-30T11:00', '2026-12'), 'not refused')
  await reports(4, '2026-12-31T22:00')
  await supervise(hub, '2027-01-01T00:02')
  t.equal(await stateOf(hub, '2026-12'), 'overdue', 'rows had changed by the end and were not supplied')
  t.equal(await explain('2027-01-02T10:00', '2026-12', '2'), 'QZ-RULE', 'nor can it be said again')

  t.equal(await explain('2027-01-29T10:00', '2027-01', '3'), 'QZ-RULE', 'what has waited for long, too')
  await reports(0)
  t.equal(await explain('2027-01-29T10:00', '2027-01', '3'), 'not refused')
  await reports(1, '2027-02-01T00:00')
  await supervise(hub, '2027-02-01T00:02')
  t.equal(await stateOf(hub, '2027-01'), 'explained', 'what changed afterwards is of the next month')
})

void t.test('the status of a resource; lists by agency and state', async (t) => {
  const hub = await openDuty(t, 'monthly', '2026-06-02T10:00')
  await accepted(hub, '2026-10-08', 3)
  await supervise(hub, '2026-11-22T08:00')
  const status = await dutyStatus(hub.store.query, 'villages', hub.now)
  t.match(status, { cycle: 'monthly', agency: 'civil', publishedAt: at('2026-06-02T10:00'), withdrawnAt: null, age: null })
  t.same(
    status.duties.map(({ period, state, updatedOn }) => [period, state, updatedOn]),
    [
      ['2026-12', 'upcoming', null],
      ['2026-11', 'running', null],
      ['2026-10', 'updated', '2026-10-08'],
    ],
  )
  const list = (filter: Parameters<typeof listDuties>[1]) => listDuties(hub.store.query, filter, hub.now)
  t.same(
    (await list({ agency: 'civil', states: ['overdue'], from: '2026-07-01' })).map(({ period }) => period),
    ['2026-09', '2026-08', '2026-07'],
  )
  t.same(await list({ agency: 'water' }), [])
  t.equal(await refusal(dutyStatus(hub.store.query, 'none', hub.now)), 'QZ-NOT-FOUND')
})

void t.test('a first start does not look further back than a year or so', async (t) => {
  const hub = await openDuty(t, 'quarterly', '2020-01-01T10:00')
  const now = at('2026-11-22T08:00')
  const first = await dayToJudge(hub.store.query, now)
  t.equal(first, addDays(dayOf(now), -401))
  const rules = { ...supervisionSettings(), calendar: makeCalendar() }
  await judgeDay(hub.store.query, rules, first!, now)
  t.equal(await dayToJudge(hub.store.query, now), addDays(first!, 1))
  t.same([startOf('2026-11-22'), endOf('2026-11-21')].map(dayOf), ['2026-11-22', '2026-11-22'])
})

void t.test('it runs by itself, and ends with the program', async (t) => {
  const hub = await openDuty(t, 'daily', '2026-11-19T10:00')
  hub.now = at('2026-11-21T00:02')
  const supervision = await startSupervision(partsOf(hub))
  await supervision.run()
  await supervision.stop()
  t.equal(await stateOf(hub, '2026-11-20'), 'overdue')
})
