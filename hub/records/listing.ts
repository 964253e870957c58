/**
 * Lists of the API, all of one shape: filters that each narrow what is found, one order, pages that go on after the last line that was seen
 * (never by counting lines off), and how many there are in all. What somebody may not see is left out by the list's own select, so that it is
 * neither found nor counted.
 */
import { Type, type Static, type TObject, type TOptional, type TSchema, type TString } from 'typebox'
import { QianzhiError } from '../../protocol/errors.ts'
import type { Query } from '../store/store.ts'
import { endOf, isDay, requireDay, startOf } from './calendar.ts'

/** How many there are in all: exact up to `maxCounted`, and `more` where there are more than that. */
export const Total = Type.Object({ count: Type.Integer(), more: Type.Boolean() })
export type Total = Static<typeof Total>
export const maxCounted = 1000

export interface Page<T> {
  items: T[]
  /** What `after` is to be for the next page; null on the last one. */
  next: string | null
  total: Total
}

/** The members of a query, as texts. */
export type Asked = Readonly<Record<string, string | undefined>>

/** SQL types in which lines are ordered. */
export type Kind = 'text' | 'bigint' | 'timestamptz' | 'date'

export interface Filter {
  shape: TSchema
  /** SQL: whether a line `l` fits what stands at this place. */
  fits: (place: string) => string
  /** What is sent of the text that was asked with. */
  value?: (text: string) => unknown
}

export interface Listing {
  /** SQL: a select whose columns are the members of a line. Whose lines they are stands in it by $1, $2 … */
  select: string
  filters: Readonly<Record<string, Filter>>
  /** Members that lines can be ordered by. */
  sorts: Readonly<Record<string, Kind>>
  /** Those of them that every line has: an index of one and the id then gives the order, and a page far behind costs what the first does. */
  whole?: readonly string[]
  /** The order where none is asked for: a member, with `-` before it downwards. */
  first: string
  /** The member that no two lines have in common. */
  id: readonly [member: string, kind: 'text' | 'bigint']
}

const column = (member: string) => `l."${member}"`

/** Filters as they come in most lists. */
export const filter = {
  equal: (member: string, shape: TSchema = Type.String({ minLength: 1, maxLength: 200 })): Filter => ({
    shape,
    fits: (place) => `${column(member)} = ${place}`,
  }),
  /** One of these, or several with commas between. */
  among: (member: string, choices: readonly string[]): Filter => ({
    shape: several(choices),
    fits: (place) => `${column(member)} = any(${place}::text[])`,
    value: (text) => text.split(','),
  }),
  /** A part of one of these members, in small or capital letters. */
  holds: (...members: readonly string[]): Filter => ({
    shape: Type.String({ minLength: 1, maxLength: 200 }),
    fits: (place) => `position(lower(${place}) in lower(concat_ws(E'\\n', ${members.map(column).join(', ')}))) > 0`,
  }),
  /** Days where the city is, both included. */
  from: (member: string): Filter => ({
    shape: DayText,
    fits: (place) => `${column(member)} >= ${place}`,
    value: (day) => startOf(requireDay(day)),
  }),
  to: (member: string): Filter => ({
    shape: DayText,
    fits: (place) => `${column(member)} < ${place}`,
    value: (day) => endOf(requireDay(day)),
  }),
  where: (fits: Filter['fits'], shape: TSchema = Type.String({ minLength: 1, maxLength: 200 }), value?: Filter['value']): Filter => ({
    shape,
    fits,
    ...(value && { value }),
  }),
}

const DayText = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\d$' })

/** The shape of one of these, or of several with commas between: they stand in its `examples`. */
export function several(choices: readonly string[]) {
  const one = `(?:${choices.map((choice) => choice.replaceAll('.', '\\.')).join('|')})`
  return Type.String({ pattern: `^${one}(?:,${one})*$`, maxLength: 1000, examples: [...choices] })
}

/** A list as a file, in a language: all that the filters find, not a page of it. */
export const fileQuery = { format: Type.Optional(Type.Enum(['json', 'xlsx'])), language: Type.Optional(Type.Enum(['zh', 'en'])) }

/** The shape of what may be asked of a list. */
export function queryOf({ filters, sorts }: Pick<Listing, 'filters' | 'sorts'>): TObject<Record<string, TOptional<TString>>> {
  const orders = Object.keys(sorts).flatMap((member) => [member, `-${member}`])
  return Type.Object(
    {
      ...Object.fromEntries(Object.entries(filters).map(([name, { shape }]) => [name, Type.Optional(shape)])),
      sort: Type.Optional(Type.Enum(orders)),
      after: Type.Optional(Type.String({ minLength: 1, maxLength: 2000 })),
      limit: Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]{0,2}|1000)$' })),
      ...fileQuery,
    },
    { additionalProperties: false },
  ) as unknown as TObject<Record<string, TOptional<TString>>>
}

/** The shape of a page of lines. */
export function pageOf<T extends TSchema>(line: T) {
  return Type.Object({ items: Type.Array(line), next: Type.Union([Type.String(), Type.Null()]), total: Total })
}

export const usualLimit = 50

/**
 * One page of a list. `values`: $1, $2 … of its select.
 *
 * Throws QZ-REQUEST-INVALID where `after` is not what a page of this order gave, or a day is none.
 */
export async function listPage<T extends object>(
  query: Query,
  listing: Listing,
  values: readonly unknown[],
  asked: Asked,
): Promise<Page<T>> {
  const { select, sorts, filters, id } = listing
  const order = orderOf(listing, asked)
  const after = asked['after'] === undefined ? undefined : readPlace(asked['after'], order, sorts, id)
  const all = [...values]
  const place = (value: unknown) => `$${all.push(typeof value === 'string' ? value.replaceAll('\0', '') : value)}`
  const fits = Object.entries(filters).flatMap(([name, { fits, value }]) => {
    const text = asked[name]
    return text === undefined ? [] : [fits(place(value ? value(text) : text))]
  })
  const found = `from (${select}) l where ${['true', ...fits].join(' and ')}`
  const [counted] = await query<{ n: number }>(`select count(*)::int as n from (select ${found} limit ${maxCounted + 1}) counted`, [...all])
  const limit = Number(asked['limit'] ?? usualLimit)
  const [by, down] = order
  const kind = sorts[by]!
  const isWhole = by === id[0] || (listing.whole?.includes(by) ?? false)
  const rest = after ? `and ${behind(order, kind, id, after, isWhole, place)}` : ''
  const direction = down ? 'desc' : 'asc'
  const ordered = [...new Set([`${rankOf(by, kind)} ${direction}${isWhole ? '' : ' nulls last'}`, `${column(id[0])} ${direction}`])]
  const rows = await query<T & Kept>(
    `select l.*, ${textOf(column(by), kind)} as "qzRank", ${column(id[0])}::text as "qzId" ${found} ${rest}
     order by ${ordered.join(', ')} limit ${place(limit + 1)}`,
    all,
  )
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1)! : undefined
  return {
    items: page.map(({ qzRank: _rank, qzId: _id, ...line }) => line as unknown as T),
    next: last ? placeOf([sortText(order), last.qzRank, last.qzId]) : null,
    total: totalOf(counted!.n),
  }
}

interface Kept {
  qzRank: string | null
  qzId: string
}

export function totalOf(count: number): Total {
  return { count: Math.min(count, maxCounted), more: count > maxCounted }
}

type Order = readonly [member: string, down: boolean]

function orderOf({ first }: Pick<Listing, 'first'>, asked: Asked): Order {
  const sort = asked['sort'] ?? first
  return sort.startsWith('-') ? [sort.slice(1), true] : [sort, false]
}

const sortText = ([member, down]: Order) => `${down ? '-' : ''}${member}`

/** SQL: lines behind this place. Those without a value come last in either direction. */
function behind(
  [by, down]: Order,
  kind: Kind,
  [id, idKind]: Listing['id'],
  [, rank, last]: Place,
  isWhole: boolean,
  place: (value: unknown) => string,
): string {
  const than = down ? '<' : '>'
  const own = `${place(last)}::${idKind}`
  if (by === id) return `${column(id)} ${than} ${own}`
  const ranked = rankOf(by, kind)
  if (rank === null) return `(${ranked} is null and ${column(id)} ${than} ${own})`
  const later = `(${ranked}, ${column(id)}) ${than} (${valueOf(place(rank), kind)}, ${own})`
  return isWhole ? later : `(${ranked} is null or ${later})`
}

/** SQL: what lines are ordered by. Days come as texts, too. */
const rankOf = (member: string, kind: Kind) => (kind === 'date' ? `${column(member)}::date` : column(member))

/** SQL: a member as a place names it, and that again as a value. Moments are seconds, to the microsecond. */
const textOf = (member: string, kind: Kind) => (kind === 'timestamptz' ? `extract(epoch from ${member})::text` : `${member}::text`)
const valueOf = (place: string, kind: Kind) => (kind === 'timestamptz' ? `to_timestamp(${place}::float8)` : `${place}::${kind}`)

const patterns: Readonly<Record<Kind, RegExp>> = {
  text: /^/,
  bigint: /^-?\d{1,18}$/,
  timestamptz: /^-?(?:\d{1,12}(?:\.\d{1,6})?|Infinity)$/,
  date: /^\d{4}-\d\d-\d\d$/,
}

/** Where a page ended: its order, and of its last line what it is ordered by and its id. */
type Place = readonly [sort: string, rank: string | null, id: string]

function placeOf(place: Place): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url')
}

function readPlace(after: string, order: Order, sorts: Listing['sorts'], [, idKind]: Listing['id']): Place {
  const place = parsed(after)
  if (Array.isArray(place) && place.length === 3 && place[0] === sortText(order)) {
    const [, rank, id] = place as unknown[]
    const fits = (value: unknown, kind: Kind) =>
      typeof value === 'string' && patterns[kind].test(value) && (kind !== 'date' || isDay(value)) && value.isWellFormed()
    if ((rank === null || fits(rank, sorts[order[0]]!)) && fits(id, idKind)) return place as unknown as Place
  }
  throw invalid('after 不是上一页给出的值，或排序已改变', 'after is not what the page before gave, or the order is another one')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
}

function invalid(zh: string, en: string): QianzhiError {
  return new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh, en } })
}

/** Where the page before ended; undefined for the first page. Throws QZ-REQUEST-INVALID. */
export function placeAsked(
  listing: Pick<Listing, 'sorts' | 'first' | 'id'>,
  asked: Asked,
): { rank: string | null; id: string } | undefined {
  if (asked['after'] === undefined) return undefined
  const [, rank, id] = readPlace(asked['after'], orderOf(listing, asked), listing.sorts, listing.id)
  return { rank, id }
}

/** What `after` is to be for a page that goes on behind a line with this rank (`extract(epoch …)` of a moment) and id. */
export function afterLine(listing: Pick<Listing, 'first'>, asked: Asked, rank: string, id: string): string {
  return placeOf([sortText(orderOf(listing, asked)), rank, id])
}

type Ranked = Readonly<Record<string, Date | string | number | null>>

/** One page of lines that are reckoned, not stored: in the same orders, with the same places. */
export function linePage<T extends object>(lines: readonly T[], listing: Omit<Listing, 'select' | 'filters'>, asked: Asked): Page<T> {
  const { sorts, id } = listing
  const order = orderOf(listing, asked)
  const rankOf = (line: T) => rankText((line as Ranked)[order[0]])
  const idOf = (line: T) => rankText((line as Ranked)[id[0]])!
  const compare = (a: readonly [string | null, string], b: readonly [string | null, string]) =>
    (a[0] === null ? 1 : 0) - (b[0] === null ? 1 : 0) ||
    (order[1] ? -1 : 1) * (compareAs(sorts[order[0]]!, a[0] ?? '', b[0] ?? '') || compareAs(id[1], a[1], b[1]))
  const place = asked['after'] === undefined ? undefined : readPlace(asked['after'], order, sorts, id)
  const ranked = lines.map((line) => ({ line, at: [rankOf(line), idOf(line)] as const })).toSorted((a, b) => compare(a.at, b.at))
  const left = place ? ranked.filter(({ at }) => compare(at, [place[1], place[2]]) > 0) : ranked
  const page = left.slice(0, Number(asked['limit'] ?? usualLimit))
  const last = left.length > page.length ? page.at(-1)! : undefined
  return {
    items: page.map(({ line }) => line),
    next: last ? placeOf([sortText(order), ...last.at]) : null,
    total: totalOf(lines.length),
  }
}

function rankText(value: Date | string | number | null | undefined): string | null {
  if (value === null || value === undefined) return null
  return value instanceof Date ? String(value.getTime() / 1000) : String(value)
}

function compareAs(kind: Kind, a: string, b: string): number {
  if (kind === 'bigint' || kind === 'timestamptz') return Number(a) - Number(b)
  // As the store compares them by bytes.
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
