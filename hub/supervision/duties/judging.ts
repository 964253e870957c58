import { counted } from '../../../protocol/localized.ts'
import { writeAudits } from '../../records/audit.ts'
import type { Query } from '../../store/store.ts'
import { addDays, dayOf, endOf, type Day } from '../../records/calendar.ts'
import { waitingSince } from './evidence.ts'
import { bookmark, judgedTo, readFacts, type ResourceFacts } from './facts.ts'
import { counts, cyclesOwing, frequencies, periodOf, periodsEndingOn, type Frequency, type Period } from './periods.ts'
import { isHindered, reckon, type Excuse } from './reckoning.ts'
import { notify } from '../../records/notices.ts'
import type { Rules } from '../../records/settings.ts'

/** Batches that were accepted in the last moment before a period's end are in the store by then. */
const settling = 60_000
/** A first start does not look further back than this. */
const longestLook = 400

/** The first day that is over and not yet judged; undefined where all are. */
export async function dayToJudge(query: Query, now: Date): Promise<Day | undefined> {
  const over = addDays(dayOf(new Date(now.getTime() - settling)), -1)
  const kept = await judgedTo(query)
  const next = kept === null ? await firstDay(query, over) : addDays(kept, 1)
  return next !== undefined && next <= over ? next : undefined
}

async function firstDay(query: Query, over: Day): Promise<Day | undefined> {
  const [row] = await query<{ first: Date | null }>('select min(published_at) as first from resource')
  if (!row?.first) return undefined
  return [dayOf(row.first), addDays(over, -longestLook)].toSorted().at(-1)
}

type Judgement = 'updated' | 'overdue' | 'excused'

/**
 * Judges the periods that ended with this day: writes down for every resource what became of its duty, tells the agencies and the
 * supervisor of what is overdue, and moves the bookmark, all in the caller's transaction.
 */
export async function judgeDay(query: Query, rules: Rules, day: Day, now: Date): Promise<void> {
  for (const period of periodsEndingOn(day, rules.duties, rules.calendar)) await judgePeriod(query, rules, period, now)
  await query('insert into setting (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value', [bookmark, day])
}

async function judgePeriod(query: Query, rules: Rules, period: Period, now: Date): Promise<void> {
  const { to } = period
  const known = await readMarked(query, period)
  const facts = await readFacts(query, { resource: null, agency: null, from: period.from, to })
  const overdue: ResourceFacts[] = []
  const marks: Mark[] = []
  for (const one of facts) {
    const has = known.get(one.resource) ?? []
    if (has.some((mark) => mark !== 'warned' && mark !== 'explained')) continue
    const { owed, updatedOn, excuse } = reckon(one, period, cyclesOwing(period.frequency, rules.duties))
    if (!owed) continue
    const explained = has.includes('explained')
    const isVoid = explained && updatedOn === null && (await waitingSince(query, one.resource, period, now)) !== null
    if (explained && updatedOn === null && !isVoid) continue
    const mark: Judgement = updatedOn !== null ? 'updated' : excuse !== null && !isVoid ? 'excused' : 'overdue'
    marks.push({ ...one, mark, because: mark === 'excused' ? excuse : null })
    if (isVoid) marks.push({ ...one, mark: 'void', because: null })
    if (mark === 'overdue') overdue.push(one)
  }
  await writeMarks(query, period, marks, now)
  await tellOverdue(query, period, overdue)
}

/** Marks of a period by resource; an explanation that came after its end does not keep it from being overdue. */
async function readMarked(query: Query, { period, to }: Period): Promise<Map<string, string[]>> {
  const rows = await query<{ resource: string; mark: string }>(
    `select resource, mark from duty_mark where period = $1 and not (mark = 'explained' and at >= $2)`,
    [period, endOf(to)],
  )
  return new Map([...Map.groupBy(rows, ({ resource }) => resource)].map(([code, all]) => [code, all.map(({ mark }) => mark)]))
}

interface Mark {
  resource: string
  agency: string
  mark: Judgement | 'warned' | 'void'
  because?: Excuse | null
}

async function writeMarks(query: Query, { period, to }: Period, marks: readonly Mark[], now: Date): Promise<void> {
  if (marks.length === 0) return
  const rows = marks.map(({ resource, agency, mark, because = null }) => ({ resource, agency, mark, because }))
  await query(
    `insert into duty_mark (resource, period, mark, agency, ends, at, because)
     select m.resource, $1, m.mark, m.agency, $2, $3, m.because
     from jsonb_to_recordset($4::jsonb) as m(resource text, agency text, mark text, because text)`,
    [period, to, now, JSON.stringify(rows)],
  )
}

async function tellOverdue(query: Query, { period, to }: Period, overdue: readonly ResourceFacts[]): Promise<void> {
  const about = { actor: 'hub', act: 'duty.overdue', details: { period, ends: to } }
  await writeAudits(
    query,
    overdue.map(({ resource }) => ({ ...about, object: `resource ${resource}` })),
  )
  for (const { agency, agencyName, object, zh, en, count } of byAgency(overdue)) {
    await notify(query, {
      to: [{ agency, role: 'registrar' }, { agency, role: 'reviewer' }, { role: 'supervisor' }],
      kind: 'duty-overdue',
      object,
      zh: `${agencyName}有 ${count} 项资源在 ${period} 周期（截至 ${to}）逾期未更新，也未说明：${zh}`,
      en: `${agencyName}: ${counted(count, 'resource')} neither updated nor explained in ${period} (until ${to}): ${en}`,
    })
  }
}

type Affected = Pick<ResourceFacts, 'resource' | 'title' | 'agency' | 'agencyName'>

/** One notice per agency and period, which names the first few. */
function byAgency(affected: readonly Affected[]) {
  const named = 5
  return [...Map.groupBy(affected, ({ agency }) => agency)].map(([agency, all]) => {
    const names = all.slice(0, named).map(({ title }) => ({ zh: `《${title}》`, en: title }))
    const more = all.length > named
    return {
      agency,
      agencyName: all[0]!.agencyName,
      count: all.length,
      object: all.length === 1 ? `resource ${all[0]!.resource}` : `agency ${agency}`,
      zh: names.map(({ zh }) => zh).join('、') + (more ? ' 等' : ''),
      en: names.map(({ en }) => en).join(', ') + (more ? ', …' : ''),
    }
  })
}

/** Warns, once per resource and period, of updates still owed when so many hours are left as the settings say. */
export async function warnOfDuties(query: Query, rules: Rules, now: Date): Promise<void> {
  for (const frequency of frequencies) {
    const period = periodOf(frequency, dayOf(now))
    const left = endOf(period.to).getTime() - now.getTime()
    if (left <= 0 || left > rules.duties.warnHours[frequency] * 3_600_000) continue
    if (counts(period, rules.duties, rules.calendar)) await warnOfPeriod(query, rules, period, now)
  }
}

const everyZh: Record<Frequency, string> = { daily: '每日', weekly: '每周', monthly: '每月', quarterly: '每季度首月前 10 日' }
const everyEn: Record<Frequency, string> = { daily: 'daily', weekly: 'weekly', monthly: 'monthly', quarterly: 'quarterly' }

async function warnOfPeriod(query: Query, rules: Rules, period: Period, now: Date): Promise<void> {
  const { frequency, to } = period
  const known = await readMarked(query, period)
  const facts = await readFacts(query, { resource: null, agency: null, from: period.from, to })
  const warned = facts.filter((one) => {
    if (known.has(one.resource)) return false
    const { owed, updatedOn, excuse } = reckon(one, period, cyclesOwing(frequency, rules.duties))
    return owed && updatedOn === null && excuse === null && !isHindered(one, now)
  })
  await writeMarks(
    query,
    period,
    warned.map(({ resource, agency }) => ({ resource, agency, mark: 'warned' as const })),
    now,
  )
  for (const { agency, object, zh, en, count } of byAgency(warned)) {
    await notify(query, {
      to: [
        { agency, role: 'registrar' },
        { agency, role: 'reviewer' },
      ],
      kind: 'duty-warning',
      object,
      zh: `${count} 项资源应于 ${to} 24 时前更新（${everyZh[frequency]}），尚未更新；确无变化的，请作书面说明：${zh}`,
      en: `${counted(count, 'resource')} due by the end of ${to} (${everyEn[frequency]}); where nothing changed, explain it in writing: ${en}`,
    })
  }
}
