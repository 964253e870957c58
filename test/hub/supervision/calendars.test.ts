/** The next year's calendar is asked for before it is needed, put by the office, and what waited for it is counted. */
import pino from 'pino'
import t from 'tap'
import { startDeadline, listDeadlines } from '../../../hub/records/deadlines.ts'
import { saveSettings, supervisionSettings } from '../../../hub/records/settings.ts'
import { superviseOnce } from '../../../hub/supervision/supervision.ts'
import { supervisionProblems } from '../../../hub/supervision/problems.ts'
import { openCity, type City } from '../city.ts'

const at = (text: string) => new Date(`${text}+08:00`)
const year = {
  year: 2027,
  source: '国务院办公厅关于2027年部分节假日安排的通知',
  holidays: ['2027-01-01/2027-01-03', '2027-02-05/2027-02-11'],
  workdays: ['2027-02-20'],
}

function supervise(city: City, now: string): Promise<void> {
  city.now = at(now)
  const settings = supervisionSettings()
  return superviseOnce({ store: city.store, settings, catchUp: async () => {}, logger: pino({ level: 'silent' }), clock: city.clock })
}

void t.test('the office is asked in time, and by what waits; once for each year', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  const asked = async () =>
    (await city.store.query<{ object: string }>(`select object from notice where kind = 'calendar-missing'`)).map(({ object }) => object)
  const tasks = async () => ((await office.get('/todo?kind=calendar')).body.items as { id: string }[]).map(({ id }) => id)
  await supervise(city, '2026-11-24T08:00')
  t.same([await asked(), await tasks()], [[], []], 'what begins now ends this year')
  await supervise(city, '2026-11-26T08:00')
  await supervise(city, '2026-11-27T08:00')
  t.same([await asked(), await tasks()], [['calendar 2027'], ['2027']], 'what begins now may end next year')
  t.match((await office.get('/calendars')).body, { wanted: [2027] })
  await supervise(city, '2026-12-18T08:00')
  t.same(await supervisionProblems(city.store.query, city.now, { mail: false }), [], 'nothing is wrong yet')
  await startDeadline(city.store.query, { kind: 'correction', object: 'x', agency: 'civil', role: 'reviewer', from: city.now })
  t.match(await supervisionProblems(city.store.query, city.now, { mail: false }), [{ code: 'QZ-HEALTH-CALENDAR', zh: /2027/ }])
})

void t.test('the office puts it, and every deadline that waited has its day', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  city.now = at('2026-12-18T08:00')
  await startDeadline(city.store.query, { kind: 'correction', object: 'x', agency: 'civil', role: 'reviewer', from: city.now })
  const due = async () => (await listDeadlines(city.store.query, null, {}, city.now)).items.map((one) => one.due)
  t.same(await due(), [null])
  t.equal((await city.as('civil', 'reviewer').post('/calendars', year)).status, 403)
  t.match(await office.post('/calendars', { ...year, holidays: ['2027-02-30'] }), { status: 400, body: { code: 'QZ-REQUEST-INVALID' } })
  t.equal((await office.post('/calendars', { ...year, workdays: ['2026-02-20'] })).status, 400)
  t.same(await due(), [null])
  const put = await office.post('/calendars', year)
  t.match(put, { status: 200, body: { wanted: [] } })
  t.same(
    put.body.items.map((one: { year: number; from: string }) => `${one.year} ${one.from}`),
    ['2024 built-in', '2025 built-in', '2026 built-in', '2027 office'],
  )
  t.same(await due(), ['2027-01-04'])
  await office.post('/calendars', { ...year, holidays: ['2027-01-01/2027-01-04'] })
  t.same(await due(), ['2027-01-05'], 'a corrected one takes its place')
  await saveSettings(
    city.store,
    supervisionSettings({}, [
      { ...year, year: 2028, holidays: [], workdays: [] },
      { ...year, holidays: [] },
    ]),
    city.now,
  )
  t.same(
    (await city.as('water', 'user').get('/calendars')).body.items
      .map((one: { year: number; from: string }) => `${one.year} ${one.from}`)
      .slice(-2),
    ['2027 office', '2028 configuration'],
    'what the office put comes first',
  )
  await startDeadline(city.store.query, { kind: 'correction', object: 'y', agency: 'civil', role: 'reviewer', from: city.now })
  t.same(await due(), ['2027-01-05', '2027-01-05'])
  t.equal(
    (await city.store.query(`select from audit_entry where act = 'calendar.put' and object = 'calendar 2027' and outcome = 'done'`)).length,
    2,
  )
})
