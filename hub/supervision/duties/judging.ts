import { writeAudit } from '../../records/audit.ts'
import type { Query } from '../../store/store.ts'
import { addDays, dayOf, endOf, type Day } from '../../records/calendar.ts'
import { owedSql, updatedOnSql } from './duties.ts'
import { counts, cyclesOwing, frequencies, periodOf, periodsEndingOn, type Frequency, type Period } from './periods.ts'
import { notify } from '../../records/notices.ts'
import type { Rules } from '../../records/settings.ts'

/** Batches that were accepted in the last moment before a period's end are in the store by then. */
const settling = 60_000
/** A first start does not look further back than this. */
const longestLook = 400

const bookmark = 'duties_judged_to'

/** The first day that is over and not yet judged; undefined where all are. */
export async function dayToJudge(query: Query, now: Date): Promise<Day | undefined> {
  const over = addDays(dayOf(new Date(now.getTime() - settling)), -1)
  const [kept] = await query<{ value: Day }>('select value from setting where key = $1', [bookmark])
  const next = kept ? addDays(kept.value, 1) : await firstDay(query, over)
  return next !== undefined && next <= over ? next : undefined
}

async function firstDay(query: Query, over: Day): Promise<Day | undefined> {
  const [row] = await query<{ first: Date | null }>('select min(published_at) as first from resource')
  if (!row?.first) return undefined
  return [dayOf(row.first), addDays(over, -longestLook)].toSorted().at(-1)
}

/** SQL: resource `r` has no mark of the period $1. Looked up by key for each: as an anti-join it was planned as a scan per resource. */
const unmarked = (which = '') => `(select 1 from duty_mark m where m.resource = r.code and m.period = $1 ${which} limit 1) is null`

interface Judged {
  resource: string
  title: string
  agency: string
  agencyName: string
  mark: 'updated' | 'overdue' | 'excused'
}

/**
 * Judges the periods that ended with this day: writes down for every resource what became of its duty, tells the agencies and the
 * supervisor of what is overdue, and moves the bookmark, all in the caller's transaction.
 */
export async function judgeDay(query: Query, rules: Rules, day: Day, now: Date): Promise<void> {
  for (const period of periodsEndingOn(day, rules.duties, rules.calendar)) await judgePeriod(query, rules, period, now)
  await query('insert into setting (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value', [bookmark, day])
}

async function judgePeriod(query: Query, rules: Rules, { frequency, period, from, to }: Period, now: Date): Promise<void> {
  const judged = await query<Judged>(
    `with judged as (
       insert into duty_mark (resource, period, mark, agency, ends, at)
       select r.code, $1, case when ${updatedOnSql('$3::date', '$4::date')} is not null then 'updated'
           when r.state = 'suspended' then 'excused' else 'overdue' end, r.agency, $4::date, $5
       from resource r where r.cycle = any($2) and ${owedSql('$4::date')}
         and ${unmarked("and m.mark <> 'warned'")}
       on conflict do nothing returning resource, agency, mark)
     select j.resource, j.agency, j.mark, a.name as "agencyName", v.schema ->> 'title' as title
     from judged j join agency a on a.code = j.agency join resource r on r.code = j.resource
       join resource_version v on v.resource = r.code and v.version = r.version order by j.agency, j.resource`,
    [period, cyclesOwing(frequency, rules.duties), from, to, now],
  )
  const overdue = judged.filter(({ mark }) => mark === 'overdue')
  for (const { resource } of overdue) {
    await writeAudit(query, { actor: 'hub', act: 'duty.overdue', object: `resource ${resource}`, details: { period, ends: to } })
  }
  for (const { agency, agencyName, object, zh, en, count } of byAgency(overdue)) {
    await notify(query, {
      to: [{ agency, role: 'registrar' }, { agency, role: 'reviewer' }, { role: 'supervisor' }],
      kind: 'duty-overdue',
      object,
      zh: `${agencyName}有 ${count} 项资源在 ${period} 周期(截至 ${to})逾期未更新,也未说明:${zh}`,
      en: `${agencyName}: ${count} resources were neither updated nor explained in ${period} (until ${to}): ${en}`,
    })
  }
}

interface Affected {
  resource: string
  title: string
  agency: string
  agencyName: string
}

/** One notice per agency and period, which names the first few. */
function byAgency(affected: readonly Affected[]) {
  const named = 5
  return [...Map.groupBy(affected, ({ agency }) => agency)].map(([agency, all]) => {
    const names = all.slice(0, named).map(({ title, resource }) => ({ zh: `《${title}》(${resource})`, en: resource }))
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

async function warnOfPeriod(query: Query, rules: Rules, { frequency, period, from, to }: Period, now: Date): Promise<void> {
  const warned = await query<Affected>(
    `with warned as (
       insert into duty_mark (resource, period, mark, agency, ends, at)
       select r.code, $1, 'warned', r.agency, $4::date, $5
       from resource r where r.cycle = any($2) and r.state = 'active' and ${owedSql('$4::date')}
         and ${unmarked()}
         and ${updatedOnSql('$3::date', '$4::date')} is null
       on conflict do nothing returning resource, agency)
     select w.resource, w.agency, a.name as "agencyName", v.schema ->> 'title' as title
     from warned w join agency a on a.code = w.agency join resource r on r.code = w.resource
       join resource_version v on v.resource = r.code and v.version = r.version order by w.agency, w.resource`,
    [period, cyclesOwing(frequency, rules.duties), from, to, now],
  )
  for (const { agency, object, zh, en, count } of byAgency(warned)) {
    await notify(query, {
      to: [
        { agency, role: 'registrar' },
        { agency, role: 'reviewer' },
      ],
      kind: 'duty-warning',
      object,
      zh: `${count} 项资源应于 ${to} 24 时前更新(${everyZh[frequency]}),尚未更新;确无变化的,请作书面说明:${zh}`,
      en: `${count} resources are due by the end of ${to} (${everyEn[frequency]}); where nothing changed, explain it in writing: ${en}`,
    })
  }
}
