/** The morning lines of agents: kept, shown, and missed. */
import t from 'tap'
import type { AgentReport, MorningLine } from '../../../protocol/api.ts'
import { checkHealth } from '../../../hub/status/health.ts'
import { listAgents } from '../../../hub/registry/machines/agents.ts'
import { attendToReports } from '../../../hub/registry/grants/refusals.ts'
import { missingLine } from '../../../hub/supervision/daily-reports.ts'
import { openCity, type City } from '../city.ts'
import { enrolled } from '../office.ts'

const minute = 60_000
const at = (time: string) => new Date(`2026-11-24T${time}:00+08:00`)
const share = { level: 2, all: 3 }

function lineOf(day: string): MorningLine {
  return { day, time: `${day}T00:30:02.000Z`, sources: share, routes: share, waiting: 7, quarantine: 1, held: 1, paused: 0 }
}

function reportOf(day?: string, more: Partial<AgentReport['morning']> = {}): AgentReport {
  const morning = { at: '08:30', timezone: 'Asia/Shanghai', ...(day && { line: lineOf(day) }), ...more }
  return { version: '1', session: 's', clockOffset: 0, sources: [], sinks: [], morning }
}

t.test('which day is missing', async (t) => {
  const agent = (day?: string, more = {}) => ({ report: reportOf(day, more), enrolled: new Date('2026-11-01') })
  const missing = (now: Date, day?: string, more = {}) => missingLine(agent(day, more), now, 30)
  t.equal(missing(at('08:59'), '2026-11-23'), undefined, 'half an hour is given')
  t.same(missing(at('09:00'), '2026-11-23'), { day: '2026-11-24', since: at('09:00') })
  t.same(missing(at('23:59'), '2026-11-23'), { day: '2026-11-24', since: at('09:00') })
  t.equal(missing(at('09:00'), '2026-11-24'), undefined)
  t.same(
    missing(at('07:00'), '2026-11-22'),
    { day: '2026-11-23', since: new Date(at('09:00').getTime() - 24 * 60 * minute) },
    'still of yesterday',
  )
  t.same(missing(at('07:00')), { day: '2026-11-23', since: new Date('2026-11-23T01:00:00Z') }, 'none was ever written')
  t.same(missing(at('00:10'), '2026-11-22', { at: '23:50' }), undefined, 'not before 00:20')
  t.match(missing(at('00:20'), '2026-11-22', { at: '23:50' }), { day: '2026-11-23' }, 'over midnight it is of the day on which it was due')
  t.match(missing(at('16:00'), '2026-11-23', { timezone: 'Europe/London' }), undefined, '08:00 there')
  t.match(missing(at('17:00'), '2026-11-23', { timezone: 'Europe/London' }), { day: '2026-11-24', since: at('17:00') })
  t.match(missing(at('09:00'), '2026-11-23', { timezone: 'Nowhere/Else' }), { day: '2026-11-24' }, 'a zone that is none does not stop it')
  t.equal(missingLine({ report: reportOf(), enrolled: at('10:00') }, at('12:00'), 30), undefined, 'enrolled later than that')
  const { morning: _, ...none } = reportOf()
  t.equal(missingLine({ report: none, enrolled: new Date(0) }, at('12:00'), 30), undefined, 'an agent that writes none')
})

async function morning(test: Pick<typeof t, 'teardown'>) {
  const city = await openCity(test)
  city.now = at('08:00')
  const agent = await enrolled(city, 'civil')
  await city.store.query(`update agent set enrolled_at = '2026-11-01' where id = $1`, [agent.id])
  const logged: unknown[] = []
  const look = () => attendToReports(city, { info: (found: unknown) => void logged.push(found) })
  /** The agent polls: it is there, whatever it says. */
  const poll = async (report: AgentReport | undefined) => {
    await city.store.query('update agent set last_seen = $2, report = coalesce($3, report) where id = $1', [
      agent.id,
      city.now,
      report && JSON.stringify(report),
    ])
    await look()
  }
  return { city, agent: agent.id, logged, look, poll }
}

t.test('the newest line is kept, shown and logged once', async (t) => {
  const { city, agent, logged, poll } = await morning(t)
  await poll(reportOf())
  t.equal((await listAgents(city, null, {})).items[0]!.morning, null)
  city.now = at('08:31')
  await poll(reportOf('2026-11-24'))
  await poll(reportOf('2026-11-24'))
  t.match(logged, [{ agent, agency: 'civil', morning: lineOf('2026-11-24') }])
  t.equal(logged.length, 1)
  const { items } = (await city.as('city', 'office').get('/agents')).body
  t.match(items, [{ id: agent, morning: { ...lineOf('2026-11-24'), received: '2026-11-24T00:31:00Z' } }])
  await poll(reportOf('2026-11-20'))
  t.match(
    (await listAgents(city, null, {})).items[0],
    { morning: { day: '2026-11-24' } },
    'an older one (the machine was restored) is none',
  )
})

t.test('a missing line is a problem and told once, and over when it comes', async (t) => {
  const { city, agent, look, poll } = await morning(t)
  await poll(reportOf('2026-11-23'))
  city.now = at('08:59')
  await poll(undefined)
  t.same(await problems(city), [])
  t.same(await notices(city), [])

  city.now = at('09:01')
  await poll(undefined)
  await look()
  t.match(await problems(city), [{ code: 'QZ-MORNING-MISSING', zh: /2026-11-24/ }])
  const told = [
    { kind: 'morning-missing', agency: 'civil', role: 'agency-it', object: `agent ${agent}` },
    { kind: 'morning-missing', agency: null, role: 'office', object: `agent ${agent}` },
  ]
  t.match(await notices(city), told)
  t.equal((await notices(city)).length, 2, 'once')
  t.match((await notices(city))[0], { zh: /2026-11-24 的早报/, en: /for 2026-11-24 is missing/ })

  city.now = at('09:20')
  await look()
  t.match(
    await problems(city),
    [{ code: 'QZ-HEALTH-AGENT-SILENT', zh: /19 分钟没有联系，2026-11-24 的早报没有收到/ }],
    'one problem, not two',
  )
  t.equal((await problems(city)).length, 1)
  city.now = new Date(city.now.getTime() + 30 * 60 * minute)
  await look()
  t.equal((await notices(city)).length, 2, 'the next day it is the same problem still')

  city.now = new Date(city.now.getTime() + minute)
  await poll(reportOf('2026-11-25'))
  t.same(await problems(city), [], 'gone at once')
  city.now = new Date(city.now.getTime() + 3 * minute)
  await poll(undefined)
  t.match((await notices(city)).slice(2), [
    { kind: 'morning-here', agency: 'civil', role: 'agency-it' },
    { kind: 'morning-here', role: 'office' },
  ])
  city.now = at('09:10')
  city.now = new Date(city.now.getTime() + 48 * 60 * minute)
  await poll(undefined)
  t.equal((await notices(city)).length, 6, 'missed again, told again')
})

t.test('by the setting; not of agents that are revoked', async (t) => {
  const { city, agent, poll } = await morning(t)
  await city.store.query(
    `insert into setting (key, value) values ('supervision', '{"morningMinutes": 5}') on conflict (key) do update set value = excluded.value`,
  )
  await poll(reportOf('2026-11-23'))
  city.now = at('08:36')
  await poll(undefined)
  t.match(await problems(city), [{ code: 'QZ-MORNING-MISSING' }])
  await city.store.query(`update agent set state = 'revoked' where id = $1`, [agent])
  t.same(await problems(city), [])
})

async function problems(city: City) {
  const { store } = city
  const health = await checkHealth({ store, data: '/', clock: () => city.now, lapse: 7, mail: false, reconciled: 0 })
  return health.problems.filter(({ code }) => code === 'QZ-MORNING-MISSING' || code === 'QZ-HEALTH-AGENT-SILENT')
}

function notices(city: City) {
  return city.store.query(`select kind, agency, role, object, zh, en from notice where kind like 'morning%' order by id`)
}
