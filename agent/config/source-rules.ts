import { Type, type Static } from 'typebox'
import { hoursPattern } from './hours.ts'

/**
 * How a source's changes are sent, as configured. What the source *is* (table, columns) stands in `SourceTable`; an engine knows nothing
 * of these.
 */
const strict = { additionalProperties: false }

export const SendingConfig = {
  /** The table is deleted and inserted again regularly: what each key was sent as is remembered, and only what differs travels. */
  reload: Type.Optional(Type.Boolean()),
  /** Deletes above a share of the table wait until the rows are back or somebody confirms them; false: never. */
  guard: Type.Optional(
    Type.Union([
      Type.Literal(false),
      Type.Object(
        {
          /** Of the table's rows. */
          share: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
          /** Fewer deletes than this are always sent. */
          least: Type.Optional(Type.Integer({ minimum: 1 })),
          /** Seconds within which deletes are taken together, and after which a table that is nearly whole again counts as settled. */
          settle: Type.Optional(Type.Number({ minimum: 0 })),
        },
        strict,
      ),
    ]),
  ),
  snapshot: Type.Optional(
    Type.Object(
      {
        /** Hours of the day, in the configured time zone, in which snapshots are read: `20:00-06:00`. */
        window: Type.Optional(Type.String({ pattern: hoursPattern })),
        /** Rows per second at most. */
        pace: Type.Optional(Type.Integer({ minimum: 1 })),
      },
      strict,
    ),
  ),
}

export interface GuardRules {
  share: number
  least: number
  /** Milliseconds. */
  settle: number
}

export interface SourceRules {
  reload: boolean
  /** Undefined where the operator has switched it off. */
  guard: GuardRules | undefined
  snapshot: SnapshotRules
}

export interface SnapshotRules {
  /** Hours of the day in this time zone. */
  window?: string
  timezone: string
  /** Rows per second. */
  pace?: number
}

const sendingShape = Type.Object(SendingConfig)

/** Defaults filled in. */
export function sourceRules({ reload = false, guard = {}, snapshot = {} }: Static<typeof sendingShape>, timezone: string): SourceRules {
  return {
    reload,
    guard: guard === false ? undefined : { share: guard.share ?? 0.2, least: guard.least ?? 1000, settle: (guard.settle ?? 600) * 1000 },
    snapshot: { ...snapshot, timezone },
  }
}
