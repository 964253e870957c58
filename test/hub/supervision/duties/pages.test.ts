/** Pages of duties, walked without reckoning all of them, are those of the whole list. */
import t from 'tap'
import { linePage, type Asked } from '../../../../hub/records/listing.ts'
import { addDays, dayOf, requireDay, startOf, type Day } from '../../../../hub/records/calendar.ts'
import { judgeDay } from '../../../../hub/supervision/duties/judging.ts'
import { explainPeriod, listDuties, type DutyState } from '../../../../hub/supervision/duties/duties.ts'
import { dutyList, pageDuties } from '../../../../hub/supervision/duties/pages.ts'
import { bookmark } from '../../../../hub/supervision/duties/facts.ts'
import { parsePeriod } from '../../../../hub/supervision/duties/periods.ts'
import { readRules } from '../../../../hub/records/settings.ts'
import { Random } from '../../../faults/random.ts'
import { openOffice, type Office } from '../../office.ts'

const cycles = ['realtime', 'daily', 'weekly', 'monthly', 'quarterly']
// Byte order is not that of UTF-16: the second begins beyond the basic plane.
const titles = ['许可', '𠮷祥村名录', '（旧）名录', '公告', 'villages', 'Villages', '许可']

/** Resources of two agencies whose days of supply, phases and reports are drawn; judged up to two days ago. */
async function fill(hub: Office, random: Random): Promise<void> {
  const { query } = hub.store
  const pick = <T>(of: readonly T[]): T => of[random.between(0, of.length - 1)]!
  for (let n = 0; n < 30; n++) {
    const code = `r${n}${pick(['', '.a', '-b', '_c'])}`
    const published = addDays('2026-11-22', -random.between(90, 150))
    await query(
      `insert into resource (code, agency, version, title, classification, sequence, sharing, cycle, supply_mode, keywords, catalog_version, created_at, published_at)
       values ($1, $2, 1, $3, '101', $4, 'unconditional', $5, 'front-end', '{}', 1, $6, $6)`,
      [code, pick(['civil', 'water']), pick(titles), n + 1, pick(cycles), startOf(published)],
    )
    for (let phase = 0; phase < random.between(1, 3); phase++) {
      await query(
        `insert into resource_phase (resource, since, cycle, state, supply_mode, supplied) select code, $2, $3, $4, supply_mode, true from resource where code = $1`,
        [code, startOf(addDays(published, phase * random.between(1, 40))), pick(cycles), pick(['active', 'active', 'active', 'suspended'])],
      )
    }
    for (let day = published; day <= '2026-11-22'; day = addDays(day, random.between(1, 30))) {
      await query(
        'insert into supply_day (resource, day, batches, changed_rows, same_rows, snapshot_rows) values ($1, $2, 1, $3, $4, $5)',
        [code, day, random.between(0, 3), random.between(0, 1), random.between(0, 1)],
      )
    }
  }
  // Written down before, of every one of them.
  await query(
    `insert into duty_mark (resource, period, mark, agency, ends, at)
     select code, day::date::text, case when hashtext(code || day) % 3 = 0 then 'overdue' else 'updated' end, agency, day::date, day + interval '1 day'
     from resource, generate_series(date '2026-07-20', date '2026-08-28', '1 day') day where day > published_at`,
  )
  const rules = await readRules(query)
  await query('insert into setting (key, value) values ($1, $2)', [bookmark, '2026-08-31'])
  for (let day = '2026-09-01'; day <= '2026-11-20'; day = addDays(day, 1)) {
    await hub.store.transaction((inner) => judgeDay(inner, rules, day, startOf(addDays(day, 1))))
  }
  // Some explain what they owe, in time or afterwards.
  const owed = await listDuties(query, { states: ['running', 'overdue'] }, hub.now)
  for (const [n, { resource, period }] of owed.filter(() => random.between(0, 3) === 0).entries()) {
    await explainPeriod(query, { resource, period, declaration: `${n}`, now: hub.now }).catch(() => undefined)
  }
}

/** The whole list, reckoned and sorted. */
async function plainly({ store: { query }, now }: Office, scope: string | null, asked: Asked) {
  const { period, state, resource, text } = asked
  const { from, to } = period === undefined ? asked : parsePeriod(period)
  const duties = await listDuties(query, { ...(from && { from: requireDay(from) }), ...(to && { to: requireDay(to) }) }, now)
  const states = state?.split(',') as DutyState[] | undefined
  const lines = duties
    .filter((duty) => scope === null || duty.agency === scope)
    .filter((duty) => asked['agency'] === undefined || duty.agency === asked['agency'])
    .filter((duty) => period === undefined || duty.period === period)
    .filter((duty) => states === undefined || states.includes(duty.state))
    .filter((duty) => resource === undefined || duty.resource === resource)
    .filter((duty) => text === undefined || `${duty.title}\n${duty.resource}`.toLowerCase().includes(text.toLowerCase()))
    .map((duty) => ({ ...duty, id: `${duty.resource} ${duty.period}` }))
  return {
    total: linePage(lines, dutyList, asked).total,
    lines: linePage(lines, dutyList, { ...asked, limit: String(lines.length) }).items,
  }
}

void t.test('page after page, in every order, they are the whole list', async (t) => {
  const seed = Number(process.env['QIANZHI_SEED'] ?? Date.now() % 100_000)
  const random = new Random(seed)
  const hub = await openOffice(t)
  hub.now = new Date('2026-11-22T12:00:00+08:00')
  await fill(hub, random)
  const today: Day = dayOf(hub.now)
  const filters: Asked[] = [
    {},
    ...['upcoming', 'running', 'updated', 'explained', 'overdue', 'excused', 'overdue,running'].map((state) => ({ state })),
    { agency: 'civil' },
    { text: 'VILL' },
    { resource: 'r3' },
    { period: '2026-11' },
    { period: '2026-10', state: 'updated,explained' },
    { from: '2026-07-18' },
    { from: '2026-10-01', to: addDays(today, 20), state: 'updated' },
    { from: '2026-09-15', to: '2026-10-20', state: 'overdue' },
  ]
  const sorts = Object.keys(dutyList.sorts).flatMap((sort) => [sort, `-${sort}`])
  // Another share of them each time.
  const someOf = (n: number) => Array.from({ length: n }, () => sorts[random.between(0, sorts.length - 1)]!)
  const wrong: string[] = []
  let [pages, lines, longest] = [0, 0, 0]
  for (const filter of filters) {
    const isLong = filter['from'] !== undefined && filter['to'] === undefined
    for (const sort of new Set(someOf(isLong ? 2 : 3))) {
      const scope = random.between(0, 3) === 0 ? 'water' : null
      const asked: Asked = { ...filter, sort, limit: String(isLong ? random.between(300, 900) : random.between(5, 40)) }
      const plain = await plainly(hub, scope, asked)
      const seen: string[] = []
      const totals = new Set<string>()
      for (let after: string | null | undefined; after !== null; pages++) {
        const page = await pageDuties(
          hub.store.query,
          scope,
          after ? { ...asked, after } : asked,
          hub.now,
          random.between(isLong ? 1000 : 20, 2000),
        )
        seen.push(...page.items.map((line) => JSON.stringify(line)))
        totals.add(JSON.stringify(page.total))
        after = page.next
      }
      lines += seen.length
      longest = Math.max(longest, seen.length)
      const same = JSON.stringify(seen) === JSON.stringify(plain.lines.map((line) => JSON.stringify(line)))
      if (!same || [...totals].join() !== JSON.stringify(plain.total)) {
        wrong.push(`${JSON.stringify({ scope, ...asked })}: ${seen.length} of ${plain.lines.length}, ${[...totals].join()}`)
      }
    }
  }
  t.same(wrong, [], `seed ${seed}: ${lines} duties on ${pages} pages`)
  t.ok(longest > 1000, 'of more than are counted, too')
})
