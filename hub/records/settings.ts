import { isDeepStrictEqual } from 'node:util'
import { Type, type Static } from 'typebox'
import { writeAudit } from './audit.ts'
import type { Query, Store } from '../store/store.ts'
import { makeCalendar, type Calendar } from './calendar.ts'
import type { CalendarYear } from './calendars/year.ts'

const closed = { additionalProperties: false }
const workingDays = Type.Integer({ minimum: 1, maximum: 250 })
const warningDays = Type.Optional(Type.Integer({ minimum: 0, maximum: 30 }))
const deadlineRule = Type.Optional(
  Type.Object({ days: Type.Optional(workingDays), extension: Type.Optional(workingDays), warn: warningDays }, closed),
)
const hours = Type.Optional(Type.Number({ minimum: 0, maximum: 2000 }))
const weight = Type.Optional(Type.Number({ minimum: 0, maximum: 1000 }))

/** The part `supervision:` of hub.yaml; everything has a default. */
export const SupervisionFile = Type.Object(
  {
    everySeconds: Type.Optional(Type.Number({ minimum: 1, maximum: 3600 })),
    /** Files of further years, see CalendarYear. */
    calendars: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { maxItems: 100 })),
    deadlines: Type.Optional(
      Type.Object(
        {
          'catalog-update': deadlineRule,
          'application-reply': deadlineRule,
          delivery: deadlineRule,
          correction: deadlineRule,
          rectification: Type.Optional(Type.Object({ warn: warningDays }, closed)),
        },
        closed,
      ),
    ),
    duties: Type.Optional(
      Type.Object(
        {
          warnHours: Type.Optional(Type.Object({ daily: hours, weekly: hours, monthly: hours, quarterly: hours }, closed)),
          realtime: Type.Optional(Type.Enum(['quarterly', 'daily'])),
          dailyOn: Type.Optional(Type.Enum(['every-day', 'working-days'])),
          realtimeMinutes: Type.Optional(Type.Number({ minimum: 1, maximum: 100_000 })),
        },
        closed,
      ),
    ),
    /** Minutes after an agent's own time at which its morning line is missed. */
    morningMinutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 720 })),
    weights: Type.Optional(Type.Object({ quantity: weight, timeliness: weight, use: weight }, closed)),
  },
  closed,
)
export type SupervisionFile = Static<typeof SupervisionFile>

export const deadlineKinds = ['catalog-update', 'application-reply', 'delivery', 'correction', 'rectification'] as const
export type DeadlineKind = (typeof deadlineKinds)[number]

/** Working days: how long it runs (null: the date is given each time), how far it can be extended, how long before its end it is warned of. */
export interface DeadlineRule {
  days: number | null
  extension: number | null
  warn: number
}

export interface DutySettings {
  /** Hours before the end of a period in which a warning is given, by how often an update is due. */
  warnHours: { daily: number; weekly: number; monthly: number; quarterly: number }
  /** By what a real-time resource is judged: the quarter (Art. 14), or day by day. */
  realtime: 'quarterly' | 'daily'
  dailyOn: 'every-day' | 'working-days'
  /** Up to which age of its data a real-time resource counts as up to date. */
  realtimeMinutes: number
}

export interface Weights {
  quantity: number
  timeliness: number
  use: number
}

export interface SupervisionSettings {
  everySeconds: number
  years: readonly CalendarYear[]
  deadlines: Record<DeadlineKind, DeadlineRule>
  duties: DutySettings
  /** Minutes after an agent's own time at which its morning line is missed. */
  morningMinutes: number
  weights: Weights
}

/** Everything with its default: domain.md section 3, where the later deadlines come from public standards. */
export function supervisionSettings(file: SupervisionFile = {}, years: readonly CalendarYear[] = []): SupervisionSettings {
  const rule = (kind: Exclude<DeadlineKind, 'rectification'>, days: number, extension: number | null): DeadlineRule => ({
    days,
    extension,
    warn: 2,
    ...file.deadlines?.[kind],
  })
  return {
    everySeconds: file.everySeconds ?? 60,
    years,
    deadlines: {
      'catalog-update': rule('catalog-update', 10, null),
      'application-reply': rule('application-reply', 10, 5),
      delivery: rule('delivery', 20, null),
      correction: rule('correction', 10, null),
      rectification: { days: null, extension: null, warn: 2, ...file.deadlines?.rectification },
    },
    duties: {
      realtime: 'quarterly',
      dailyOn: 'every-day',
      realtimeMinutes: 30,
      ...file.duties,
      warnHours: { daily: 6, weekly: 48, monthly: 120, quarterly: 96, ...file.duties?.warnHours },
    },
    morningMinutes: file.morningMinutes ?? 30,
    weights: { quantity: 20, timeliness: 50, use: 30, ...file.weights },
  }
}

const key = 'supervision'

/**
 * Writes down with which settings the hub runs, so that every act finds them in its own transaction, in whichever process of the hub it
 * happens. Changed settings are on record.
 */
export async function saveSettings(store: Pick<Store, 'transaction'>, settings: SupervisionSettings, now: Date): Promise<void> {
  await store.transaction(async (query) => {
    const plain = JSON.parse(JSON.stringify(settings)) as SupervisionSettings
    const kept = await keptSettings(query)
    if (isDeepStrictEqual(plain, kept)) return
    if (!isDeepStrictEqual(plain.weights, kept?.weights))
      await query('insert into evaluation_weights (since, weights) values ($1, $2)', [now, JSON.stringify(plain.weights)])
    await query(`insert into setting (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value`, [
      key,
      JSON.stringify(settings),
    ])
    await writeAudit(query, { actor: 'hub', act: 'supervision.settings', object: key, details: { ...settings } })
  })
}

async function keptSettings(query: Query): Promise<SupervisionSettings | undefined> {
  const [row] = await query<{ value: string }>('select value from setting where key = $1', [key])
  return row && (JSON.parse(row.value) as SupervisionSettings)
}

/** The weights in force at a moment: those that were written down last before it; before all of them the first; the defaults where there are none. */
export async function weightsAt(query: Query, at: Date): Promise<Weights> {
  const [found] = await query<{ weights: Weights }>(
    `select weights from evaluation_weights order by since <= $1 desc, case when since <= $1 then -number else number end limit 1`,
    [at],
  )
  return found?.weights ?? supervisionSettings().weights
}

export interface Rules extends SupervisionSettings {
  calendar: Calendar
}

/** The settings the hub runs with, the defaults where it has not written any down, and the calendar they make. */
export async function readRules(query: Query): Promise<Rules> {
  // What was written down by an earlier version has the default of what it did not know.
  const settings = { ...supervisionSettings(), ...(await keptSettings(query)) }
  return { ...settings, calendar: makeCalendar([...settings.years, ...(await putYears(query))]) }
}

/** Where a year lies that the office has put. */
export const calendarKey = (year: number) => `calendar ${year}`

/** Years of the calendar that the office has put itself: they come before those of the configuration. */
export async function putYears(query: Query): Promise<CalendarYear[]> {
  const rows = await query<{ value: string }>(`select value from setting where key like 'calendar %' order by key`)
  return rows.map(({ value }) => JSON.parse(value) as CalendarYear)
}
