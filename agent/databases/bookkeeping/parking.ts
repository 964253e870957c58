/** Rows that hold one another's unique values let go of them before they are written: with values that nobody else has. */
import { randomBytes, randomInt } from 'node:crypto'
import type { ChainPosition } from '../../../protocol/position.ts'
import type { Item } from '../../../protocol/schema.ts'
import type { Value } from '../../../protocol/value.ts'
import type { Change, Row, SinkTable } from '../../database.ts'
import type { TableFacts } from './sink-engine.ts'

type Other = (item: Item, value: string) => Value | undefined

/**
 * Ways to write a row without its contested values, the likeliest to be taken first: null where that may be, else odd values, then such as
 * look like the row's own, since a check or the column's type may want that; at last one column at a time, as others of the index may be checked.
 * `others`: keys of the rows that it waits for, to which it may refer: a further try is without them.
 */
export function* parkings(
  { columns }: Pick<SinkTable, 'columns'>,
  contested: TableFacts['contested'],
  values: Row,
  others: ReadonlySet<Value> = new Set(),
): Generator<Row, undefined> {
  const nullable = new Map(contested.map(({ item, nullable }) => [item, nullable]))
  const needed = columns.flatMap(({ item }, i) => (nullable.get(item.id) === false ? [i] : []))
  const places = columns.flatMap(({ item }, i) => (nullable.has(item.id) ? [i] : []))
  const row = (other: Other, changed: readonly number[], nulls = true): Row =>
    values.map((value, i) => {
      if (value === null || !places.includes(i)) return value
      if (nulls && !needed.includes(i)) return null
      return (changed.includes(i) ? other(columns[i]!.item, value) : undefined) ?? value
    })
  const ways = [row(odd, places), row(alike, places), row(alike, places), row(alike, places, false)]
  if (needed.length > 1) for (const one of needed) ways.push(row(odd, [one]), row(alike, [one]))
  yield* ways
  if (refersTo({ columns }, values, others)) for (const way of ways) yield lettingGo({ columns }, way, others)
}

/** Whether a row has keys of other rows among its values. */
export function refersTo({ columns }: Pick<SinkTable, 'columns'>, values: Row, others: ReadonlySet<Value>): boolean {
  return values.some((value, i) => others.has(value) && !columns[i]!.item.key)
}

/** The row without them. */
export function lettingGo({ columns }: Pick<SinkTable, 'columns'>, values: Row, others: ReadonlySet<Value>): Row {
  return values.map((value, i) => (others.has(value) && !columns[i]!.item.key ? null : value))
}

export function parkedChange({ columns }: SinkTable, to: ChainPosition, rows: readonly Row[]): Change {
  return { from: null, to, rows: rows.length, columns: columns.map((_, i) => rows.map((row) => row[i]!)) }
}

const odd: Other = ({ type, id }, value) => {
  if (type === 'text') return `\u007f${randomInt(1e8).toString(36)}`
  if (type === 'integer' || type === 'decimal') return `-${randomInt(1, 1e9)}`
  return alike({ type, id } as Item, value)
}

/** Of the same length, signs of the same kind in the same places. */
const alike: Other = ({ type }, value) => {
  const changed = resembling[type]?.(value)
  return changed === value ? undefined : changed
}

const resembling: Partial<Record<Item['type'], (value: string) => string>> = {
  text: (value) => value.replace(/[0-9a-z]/gi, (sign) => letterLike(sign, /^[0-9a-f-]*$/i.test(value) ? 6 : 26)),
  integer: digits,
  decimal: digits,
  boolean: (value) => (value === 'true' ? 'false' : 'true'),
  date: someDay,
  timestamp: (value) => someTime(someDay(value)),
  timestamptz: (value) => someTime(someDay(value)),
  time: someTime,
  binary: (value) => randomBytes(Buffer.from(value, 'base64').length).toString('base64'),
}

function letterLike(sign: string, letters: number): string {
  if (sign >= '0' && sign <= '9') return String(randomInt(10))
  return String.fromCharCode((sign < 'a' ? 65 : 97) + randomInt(letters))
}

function digits(value: string): string {
  return value.replace(/\d/g, (_, at: number) => String(at === 0 ? randomInt(1, 10) : randomInt(10)))
}

/** Of a year that every type of day knows. */
function someDay(value: string): string {
  const two = (n: number) => String(n).padStart(2, '0')
  return `${randomInt(1971, 2037)}-${two(randomInt(1, 13))}-${two(randomInt(1, 29))}${value.slice(10)}`
}

function someTime(value: string): string {
  return value.replace(/\d\d:\d\d:\d\d/, () => new Date(randomInt(86_400) * 1000).toISOString().slice(11, 19))
}
