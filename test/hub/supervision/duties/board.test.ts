/** The board of duties: what the judge keeps counted is what the marks say, and what the list of each cell shows. */
import t from 'tap'
import { lastPeriod, frequencies, periodOf } from '../../../../hub/supervision/duties/periods.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { Random, seedOfThisRun } from '../../../faults/random.ts'
import { openCity, type City } from '../../city.ts'
import { publishedAt, villages } from '../../office.ts'

const agencies = ['civil', 'water', 'health']
const states = ['updated', 'explained', 'overdue', 'excused'] as const

/** As they come about: judged, explained before or after that, warned of, explanations that were void. */
const histories = [['updated'], ['overdue'], ['excused'], ['warned'], ['warned', 'overdue', 'explained'], ['explained'], ['explained', 'void', 'overdue'], ['explained', 'updated']] // prettier-ignore

async function fill(city: City, random: Random): Promise<void> {
  for (const agency of agencies)
    for (const number of [1, 2, 3]) {
      const resource = `${agency}-${number}`
      await publishResource(city, 'admin', { schema: villages((draft) => Object.assign(draft, { resource, agency, title: resource })) })
      await publishedAt(city, resource, 'daily', new Date('2020-01-01T00:00:00Z'))
    } // prettier-ignore
  await city.store.query(`insert into setting (key, value) values ('duties_judged_to', '2026-11-21')`)
  const insert = (marks: readonly object[]) =>
    city.store.query(
      `insert into duty_mark (resource, period, mark, agency, ends, at, declaration)
       select m.resource, m.period, m.mark, m.agency, m.ends, m.at, case when m.mark = 'explained' then '1' end
       from jsonb_to_recordset($1::jsonb) m (resource text, period text, mark text, agency text, ends date, at timestamptz)`,
      [JSON.stringify(marks)],
    )
  for (const frequency of frequencies) {
    let period = periodOf(frequency, '2026-11-21')
    for (let back = 0; back < 14; back++, period = lastPeriod(period)) {
      const all = agencies.flatMap((agency) =>
        [1, 2, 3].map((number) => ({ resource: `${agency}-${number}`, agency, period: period.period, ends: period.to, marks: random.pick(histories), at: '2026-11-22T00:00Z' })),
      ) // prettier-ignore
      for (const step of [0, 1, 2]) {
        const marks = all.flatMap(({ marks, ...one }) => (marks[step] ? [{ ...one, mark: marks[step] }] : []))
        // Judged in one statement, and explained by several at once.
        const apart = random.between(0, marks.length)
        await Promise.all([insert(marks.slice(apart)), ...marks.slice(0, apart).map((mark) => insert([mark]))])
      }
    }
  }
}

t.test('each number is what plain SQL and the list say; the worst comes first; each sees their own', async (t) => {
  const seed = seedOfThisRun()
  console.log(`QIANZHI_SEED=${seed}`)
  const city = await openCity(t)
  await fill(city, new Random(seed))
  const office = city.as('city', 'office')
  const plain = async (state: string, agency: string, period: string) => {
    const has = (mark: string) =>
      `exists (select from duty_mark o where (o.resource, o.period) = (m.resource, m.period) and o.mark = '${mark}')`
    const [updated, explained] = [has('updated'), `(${has('explained')} and not ${has('void')})`]
    const condition = {
      updated,
      explained: `not ${updated} and ${explained}`,
      overdue: `not ${updated} and not ${explained} and ${has('overdue')}`,
      excused: has('excused'),
    }[state]
    const [found] = await city.store.query<{ n: number }>(
      `select count(distinct resource)::int as n from duty_mark m where agency = $1 and period = $2 and ${condition}`,
      [agency, period],
    )
    return found!.n
  }
  for (const frequency of [undefined, ...frequencies]) {
    const { body } = await office.get(`/duties/board${frequency ? `?frequency=${frequency}` : ''}`)
    t.equal(body.periods.length, 12)
    const shown = body.items.flatMap(({ agency, cells }: any) => cells.flatMap((cell: any) => states.map((state) => [state, agency, cell.period, cell[state]]))) // prettier-ignore
    t.ok(shown.length > 50)
    for (const [state, agency, period, count] of shown) t.equal(count, await plain(state, agency, period), `${state} of ${agency} in ${period}`) // prettier-ignore
    for (const line of body.items)
      for (const state of states) t.equal(line[state], line.cells.reduce((sum: number, cell: any) => sum + cell[state], 0)) // prettier-ignore
    const overdue = body.items.map((line: any) => line.overdue)
    t.same(overdue, overdue.toSorted((a: number, b: number) => b - a)) // prettier-ignore
    if (frequency === undefined) continue
    for (const [state, agency, period, count] of shown.slice(0, 40)) {
      const { total, items } = (await office.get(`/duties?agency=${agency}&period=${period}&state=${state}`)).body
      t.equal(total.count, count, `the list of ${state} of ${agency} in ${period}`)
      t.ok(items.every((duty: any) => duty.period === period && duty.state === state))
    }
  }
  const reading = await city.store.transaction(async (query) => {
    const marksRead = async () => (await query<{ rows: number }>(`select (seq_tup_read + idx_tup_fetch)::int as rows from pg_stat_xact_user_tables where relname = 'duty_mark'`))[0]!.rows
    await query('set local enable_seqscan = off')
    const before = await marksRead()
    await query(`insert into duty_mark (resource, period, mark, agency, ends, at) values ('civil-1', '2026-11-22', 'updated', 'civil', '2026-11-22', now())`)
    return (await marksRead()) - before
  }) // prettier-ignore
  t.ok(reading < 20, `${reading} marks are read to count one`)
  const own = (await city.as('civil', 'registrar').get('/duties/board?agency=water')).body
  t.same(own.items.map(({ agency }: any) => agency), ['civil']) // prettier-ignore
  t.equal((await office.get('/duties?period=2026-W99')).status, 400)
  t.equal((await city.as('civil', 'user').get('/duties/board')).status, 403)
})
