import { Type, type Static } from 'typebox'
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { ResolvedFolder } from './folders.ts'
import type { GapCopyRules } from '../database.ts'

/** One-way gaps in the configuration: `hub.gap` of an agent inside, whose hub is a pair of folders. */
const strict = { additionalProperties: false }

export const GapConfig = Type.Object(
  {
    /** Names in `folders`: where what comes from outside arrives, and what goes outside is written. */
    in: Type.Optional(Type.String({ minLength: 1 })),
    out: Type.Optional(Type.String({ minLength: 1 })),
    /** Batches that are applied are removed from `in` (without it), or moved into its folder `done`. */
    applied: Type.Optional(Type.Enum(['remove', 'done'])),
    /** Seconds after which a batch that others have overtaken counts as missing, and a file that cannot be used yet as refused. */
    grace: Type.Optional(Type.Number({ minimum: 0, maximum: 604_800 })),
    /** Seconds after which the outside is asked again for what has not come: longer than both ways through the gap take. */
    again: Type.Optional(Type.Number({ minimum: 1, maximum: 604_800 })),
    /** Days, and bytes of each resource, for which copies are kept of what was sent. */
    keep: Type.Optional(Type.Number({ minimum: 0, maximum: 3650 })),
    limit: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  strict,
)

/** Batches of an agent inside, which are brought to the hub from here. */
export const CarryConfig = Type.Object(
  {
    /** Names in `folders`: where what comes from inside arrives, and what goes inside is written. */
    folder: Type.String({ minLength: 1 }),
    back: Type.Optional(Type.String({ minLength: 1 })),
    /** Seconds after which a batch that others have overtaken counts as missing. */
    grace: Type.Optional(Type.Number({ minimum: 0, maximum: 604_800 })),
  },
  strict,
)
export type CarryConfig = Static<typeof CarryConfig>

/** Throws QZ-CONFIG where a folder is none. */
export function checkCarry({ carry = [], databases }: { carry?: readonly CarryConfig[] } & Pick<Configured, 'databases'>): void {
  carry.forEach((entry, i) => {
    for (const key of ['folder', 'back'] as const) {
      const name = entry[key]
      if (name === undefined || databases[name]?.folder) continue
      throw new QianzhiError('QZ-CONFIG', {
        key: `carry[${i}].${key}`,
        reason: { zh: `folders 中没有 ${name}`, en: `folders has no ${name}` },
      })
    }
  })
}

export interface Gap {
  in?: ResolvedFolder
  out?: ResolvedFolder
  applied: 'remove' | 'done'
  /** Milliseconds. */
  grace: number
  /** Milliseconds after which the outside is asked again for what has not come. */
  again: number
  copies: GapCopyRules
}

interface Configured {
  hub?: { gap?: Static<typeof GapConfig>; urls?: unknown; ca?: unknown; proxy?: unknown }
  databases: Record<string, { url: string; folder?: ResolvedFolder }>
}

/** The folders in the hub's place; undefined where the hub itself is reached. Throws QZ-CONFIG. */
export function gapOf({ hub, databases }: Configured): Gap | undefined {
  if (!hub?.gap) return undefined
  const { gap } = hub
  const other = (['urls', 'ca', 'proxy'] as const).find((key) => hub[key] !== undefined)
  if (other)
    throw fault(other, { zh: '在网闸之后无用：请删去此项，或删去 gap', en: 'is of no use behind a gap: leave it out, or leave out gap' })
  if (gap.in === undefined && gap.out === undefined) throw fault('gap', { zh: '未写 in，也未写 out', en: 'names neither in nor out' })
  const named = (key: 'in' | 'out') => {
    const name = gap[key]
    if (name === undefined) return {}
    const { folder } = databases[name] ?? {}
    if (!folder) throw fault(`gap.${key}`, { zh: `folders 中没有 ${name}`, en: `folders has no ${name}` })
    return { [key]: folder }
  }
  const { applied = 'remove', grace = 60, again = 600, keep = 30, limit = 4 * 1024 ** 3 } = gap
  return { ...named('in'), ...named('out'), applied, grace: grace * 1000, again: again * 1000, copies: { days: keep, bytes: limit } }
}

function fault(key: string, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-CONFIG', { key: `hub.${key}`, reason })
}
