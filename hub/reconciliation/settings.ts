import { createHash } from 'node:crypto'
import { Type, type Static } from 'typebox'

/** The part `reconciliation:` of hub.yaml; everything has a default. */
export const ReconciliationFile = Type.Object(
  {
    /** Days between two reconciliations of a route; 0: only when somebody asks. */
    every: Type.Optional(Type.Integer({ minimum: 0, maximum: 366 })),
    /** When the first of a night begins (Asia/Shanghai), and over how many hours they are spread. */
    at: Type.Optional(Type.String({ pattern: '^([01]\\d|2[0-3]):[0-5]\\d$' })),
    spread: Type.Optional(Type.Number({ minimum: 0, maximum: 20 })),
    /** Hours after which one that has not ended is given up. */
    hours: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 72 })),
    /** Whether rows found different are sent again by themselves. */
    repair: Type.Optional(Type.Enum(['automatic', 'off'])),
    /** Days for which runs, their statements and keys are kept; the newest of a route, and its newest equal one, always are. */
    keep: Type.Optional(Type.Integer({ minimum: 30, maximum: 36_500 })),
    /** Runs under way at once. */
    atOnce: Type.Optional(Type.Integer({ minimum: 1, maximum: 64 })),
  },
  { additionalProperties: false },
)
export type ReconciliationFile = Static<typeof ReconciliationFile>
export type ReconciliationSettings = Required<ReconciliationFile>

export function reconciliationSettings(file: ReconciliationFile = {}): ReconciliationSettings {
  return { every: 1, at: '01:00', spread: 3, hours: 6, repair: 'automatic', keep: 400, atOnce: 4, ...file }
}

const day = 86_400_000
const hour = 3_600_000
/** China has kept one time since 1991. */
const offset = 8 * hour

/** The latest time at or before `now` at which this route was to be reconciled: each has its own minute of the night, and its own day. */
export function slotOf(route: string, { every, at, spread }: ReconciliationSettings, now: Date): Date {
  const chance = createHash('sha256').update(route).digest().readUInt32BE() / 2 ** 32
  const [hours, minutes] = at.split(':').map(Number) as [number, number]
  const inDay = hours * hour + minutes * 60_000 + chance * spread * hour
  const phase = Math.floor(chance * every)
  let days = Math.floor((now.getTime() + offset - inDay) / day)
  days -= (((days - phase) % every) + every) % every
  return new Date(days * day + inDay - offset)
}
