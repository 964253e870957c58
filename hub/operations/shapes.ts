import { Type, type TObject, type TSchema } from 'typebox'
import { Mask } from '../../protocol/masks.ts'
import { seenPattern } from '../records/name-form.ts'

/** Shapes that many operations share. */

export const closed = { additionalProperties: false }

export const ById = Type.Object({ id: Type.String({ minLength: 1, maxLength: 100 }) })

export const ResourceCode = Type.String({ minLength: 1, maxLength: 64 })

export const AgencyCode = Type.String({ minLength: 1, maxLength: 40 })

/** An address, or a network such as `10.20.0.0/16`. */
export const Network = Type.String({ minLength: 2, maxLength: 50 })

export const ItemIds = Type.Array(Type.String({ minLength: 1, maxLength: 30 }), { maxItems: 400 })

/** What is shown masked, by item id. */
export const MasksByItem = Type.Record(Type.String({ maxLength: 30 }), Mask)

/** Each side sets its own; the provider's stand before the office's. */
export const MasksOfGrant = Type.Object({ provider: MasksByItem, office: MasksByItem })

/** A text that people write: something is to be seen of it, in at most so many characters. */
export const Text = (longest: number) => Type.String({ minLength: 1, maxLength: longest, pattern: seenPattern })

/** A calendar day where the city is, `2026-11-22`. */
export const Day = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\d$' })

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

export function nullable<T extends TSchema>(shape: T) {
  return Type.Union([shape, Type.Null()])
}

/** A query's yes or no. */
export const YesNo = Type.Enum(['true', 'false'])

/** Whether an import is only to say what it would do. */
export function onlyCheck(check: string | undefined): 'check' | undefined {
  return check === 'true' ? 'check' : undefined
}

const member = nullable(Type.Union([Type.String(), Type.Array(Type.String())]))

/** A member of an object, as it was and as it is. */
export const Changed = Type.Object({ member: Type.String(), before: member, after: member }, closed)
