import { Type, type TSchema } from 'typebox'

/** Shapes that many operations share. */

export const closed = { additionalProperties: false }

export const ById = Type.Object({ id: Type.String({ minLength: 1, maxLength: 100 }) })

export const ResourceCode = Type.String({ minLength: 1, maxLength: 64 })

export const AgencyCode = Type.String({ minLength: 1, maxLength: 40 })

export const ItemIds = Type.Array(Type.String({ minLength: 1, maxLength: 30 }), { maxItems: 400 })

/** A text that people write: not empty, at most so many characters. */
export const Text = (longest: number) => Type.String({ minLength: 1, maxLength: longest, pattern: '\\S' })

export const ReasonBody = Type.Object({ reason: Text(1000) }, closed)

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
