import { Type, type TObject, type TSchema } from 'typebox'
import { QianzhiError } from '../../protocol/errors.ts'
import { seenPattern } from '../records/name-form.ts'
import { isDay } from '../records/calendar.ts'

/** Shapes that many operations share. */

export const closed = { additionalProperties: false }

export const ById = Type.Object({ id: Type.String({ minLength: 1, maxLength: 100 }) })

export const ResourceCode = Type.String({ minLength: 1, maxLength: 64 })

export const AgencyCode = Type.String({ minLength: 1, maxLength: 40 })

export const ItemIds = Type.Array(Type.String({ minLength: 1, maxLength: 30 }), { maxItems: 400 })

/** A text that people write: something is to be seen of it, in at most so many characters. */
export const Text = (longest: number) => Type.String({ minLength: 1, maxLength: longest, pattern: seenPattern })

/** A calendar day where the city is, `2026-11-22`. */
export const Day = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\d$' })

/** Throws QZ-REQUEST-INVALID where there is no such day. */
export function requireDay(day: string): string {
  if (!isDay(day)) throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: `没有 ${day} 这一天`, en: `there is no day ${day}` } })
  return day
}

/** A text that a person wrote, or one of the hub's own in both languages. */
export const ShownText = Type.Union([Type.String(), Type.Object({ zh: Type.String(), en: Type.String() })])

export const ReasonBody = Type.Object({ reason: Text(1000) }, closed)

/** A case with the revision under which it was read: whoever decides on it, or edits it, names that (`If-Match`). */
export function withRevision(shape: TObject) {
  const { properties, additionalProperties } = shape as TObject & { additionalProperties?: boolean }
  const revision = Type.String({ description: 'If-Match' })
  return Type.Object({ ...properties, revision }, additionalProperties === undefined ? {} : { additionalProperties })
}

export const NoBody = Type.Object({}, closed)

/** Newest first: `before` is the id of the last one seen. Query values come as text. */
export const Paging = Type.Object(
  {
    before: Type.Optional(Type.String({ pattern: '^[0-9]{1,18}$' })),
    limit: Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]?|100)$' })),
  },
  closed,
)

export function nullable<T extends TSchema>(shape: T) {
  return Type.Union([shape, Type.Null()])
}
