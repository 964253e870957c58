import { Type, type Static } from 'typebox'

const dayPattern = '\\d{4}-\\d{2}-\\d{2}'

/** One year of the official calendar: single days, or first and last day with `/` between them. */
export const CalendarYear = Type.Object(
  {
    year: Type.Integer({ minimum: 2000, maximum: 2100 }),
    /** The publication it comes from. */
    source: Type.String({ minLength: 1 }),
    holidays: Type.Array(Type.String({ pattern: `^${dayPattern}(/${dayPattern})?$` }), { maxItems: 100 }),
    /** Days of a weekend that are worked instead (调休). */
    workdays: Type.Array(Type.String({ pattern: `^${dayPattern}$` }), { maxItems: 100 }),
  },
  { additionalProperties: false },
)
export type CalendarYear = Static<typeof CalendarYear>
