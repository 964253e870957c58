/** Files that folders refused: told to their agency once each, shown to those who supervise, without values of rows. */
import t from 'tap'
import type { AgentReport, SettledFile } from '../../../protocol/api.ts'
import { checkHealth } from '../../../hub/status/health.ts'
import { attendToReports } from '../../../hub/registry/grants/refusals.ts'
import { openCity, type City } from '../city.ts'
import { enrolled } from '../office.ts'

const good: SettledFile = { id: 'g1', file: '好.csv', time: '2026-11-24T00:00:00.000Z', rows: 4, bad: 0 }
const bad = (id: string): SettledFile => ({
  id,
  file: `${id}.csv`,
  time: `2026-11-24T01:00:0${id.at(-1)}.000Z`,
  code: 'QZ-ROW-VALUE',
  rows: 3,
  bad: 2,
})

function reportOf(settled: SettledFile[] | undefined, refused = 1): AgentReport {
  const counts = { waiting: 0, taken: 1, refused }
  const line = { resource: 'villages', database: 'drop', state: 'flowing', waiting: 0, position: null, rows: 0, quarantine: 0 } as const
  const source = { ...line, files: { ...counts, ...(settled && { settled }) } }
  return { version: '1', session: 's', clockOffset: 0, sources: [source], sinks: [] }
}

async function scene(test: Pick<typeof t, 'teardown'>) {
  const city = await openCity(test)
  const agent = await enrolled(city, 'civil')
  const say = async (report: AgentReport, id = agent.id) => {
    await city.store.query('update agent set report = $2, last_seen = $3 where id = $1', [id, JSON.stringify(report), city.now])
    await attendToReports(city)
  }
  return { city, agent: agent.id, say }
}

t.test('each file is told once to its own agency, whatever the counters do', async (t) => {
  const { city, say } = await scene(t)
  await say(reportOf(undefined, 7))
  await say(reportOf([good], 7))
  t.same(await told(city), [], 'an agent of before, or one that has refused nothing since')

  await say(reportOf([bad('b1'), good], 8))
  await say(reportOf([bad('b1'), good], 8))
  t.match(await told(city), [
    {
      agency: 'civil',
      role: 'agency-it',
      object: 'resource villages',
      zh: /《villages》的文件被退回：b1\.csv（QZ-ROW-VALUE，3 行中 2 行有误）；累计退回 8 个/,
    },
    { agency: 'civil', role: 'registrar', en: /b1\.csv \(QZ-ROW-VALUE, 2 of 3 rows with faults\); 8 in all/ },
  ])
  await say(reportOf(undefined, 8))
  await say({ ...reportOf([]), sources: [] })
  await say(reportOf([bad('b1'), good], 8))
  t.equal((await told(city)).length, 2, 'not again after a start of the agent')

  await say(reportOf([{ id: 'b3', file: 'b3.csv', time: bad('b3').time, code: 'QZ-FILE' }, bad('b2'), bad('b1'), good], 10))
  const [, , both] = await told(city)
  t.match(both, { zh: /退回：b3\.csv（QZ-FILE）、b2\.csv（/, en: /refused: b3\.csv \(QZ-FILE\), b2\.csv \(/ })
  t.notMatch(both!.zh, /b1/)

  await say(reportOf([bad('b4')], 1))
  t.match((await told(city))[4], { zh: /b4\.csv.*累计退回 1 个/ }, 'the data folder was lost: it counts anew')
  await say(reportOf([bad('b2'), bad('b1'), good], 9))
  t.equal((await told(city)).length, 6, 'or was put back: what was told is not told again')
  const next = await enrolled(city, 'civil')
  await say(reportOf([bad('b5'), bad('b4')], 2), next.id)
  t.match((await told(city))[6], { zh: /b5/ })
  t.notMatch((await told(city))[6]!.zh, /b4/, 'nor by the machine that takes the place of another')
  t.equal((await told(city)).length, 8)
})

t.test('who supervises sees it at the agent, with its name; everybody that there is something, until a good file comes', async (t) => {
  const { city, agent, say } = await scene(t)
  const agents = async (agency: string, role: Parameters<City['as']>[1]) => (await city.as(agency, role).get('/agents')).body.items
  t.same((await agents('city', 'supervisor'))[0].refusedFiles, [])
  await say(reportOf([bad('b2'), bad('b1'), good], 2))
  const { id: _, ...shown } = bad('b2')
  for (const [agency, role] of [
    ['city', 'supervisor'],
    ['city', 'office'],
    ['civil', 'agency-it'],
  ] as const)
    t.match(await agents(agency, role), [{ id: agent, refusedFiles: [{ ...shown, resource: 'villages' }, { file: 'b1.csv' }] }], role)
  t.same(await agents('water', 'agency-it'), [])

  const why = {
    code: 'QZ-HEALTH-FILE-REFUSED',
    zh: /来源 villages.*被退回：QZ-ROW-VALUE，3 行中 2 行有误$/,
    en: /refused \(QZ-ROW-VALUE, 2 of 3 rows/,
  }
  t.match(await problems(city), [why])
  t.notMatch(JSON.stringify(await problems(city)), /b2/, 'no name for who does not sign in')
  await say(reportOf([{ ...good, id: 'g2' }, bad('b2'), bad('b1')], 2))
  t.same(await problems(city), [])
  t.match((await agents('city', 'supervisor'))[0].refusedFiles, { length: 2 })
})

async function problems(city: City) {
  const { store } = city
  const health = await checkHealth({ store, data: '/', clock: () => city.now, lapse: 7, mail: false, reconciled: 0 })
  return health.problems.filter(({ code }) => code === 'QZ-HEALTH-FILE-REFUSED')
}

function told({ store }: City) {
  return store.query<{ agency: string; role: string; object: string; zh: string; en: string }>(
    `select agency, role, object, zh, en from notice where kind = 'file-refused' order by id`,
  )
}
