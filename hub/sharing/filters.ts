/**
 * What is asked of a resource's rows, from the parameters of a URL:
 * `item=value`, `item.ge=…`, `item.in=a,b`, `item.like=张*`, `item.null=true`, `select=a,b`, `sort=-item`, `limit=100`, `after=…`, `count=exact`.
 * An item whose id is one of these words is asked for with its operator: `limit.eq=3`.
 */
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { valueFault, type ValueType } from '../../protocol/value.ts'
import { castType, isIndexable, quoted } from '../tables/shape.ts'
import { requireItem, type Share, type SharedItem } from './share.ts'

export const operators = ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'in', 'like', 'null'] as const
export type Operator = (typeof operators)[number]

export interface Filter {
  item: SharedItem
  operator: Operator
  /** One value; several for `in`; `true` or `false` for `null`; the beginning for `like`. */
  values: readonly string[]
}

export interface RowsQuery {
  filters: readonly Filter[]
  select: readonly SharedItem[]
  /** Undefined: in the order of the key. */
  sort?: { item: SharedItem; descending: boolean }
  limit: number
  after?: string
  count: 'none' | 'estimated' | 'exact'
}

export type Parameters = Readonly<Record<string, string | readonly string[] | undefined>>

/** What can be asked of: a share, or a union of shares. */
type Shown = Pick<Share, 'items'>

const reserved = ['select', 'sort', 'limit', 'after', 'count'] as const
export const maxFilters = 20
/** Values of one `in`. */
export const maxListed = 200
export const [defaultLimit, maxLimit] = [100, 1000]

/** Throws QZ-DATA-ITEM, QZ-DATA-FILTER. */
export function readQuery(share: Shown, parameters: Parameters): RowsQuery {
  const given = new Map(Object.entries(parameters).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])))
  const word = (name: (typeof reserved)[number]) => single(name, given.get(name))
  const filters = [...given].flatMap(([name, value]) => (isReserved(name) ? [] : listOf(value).map((one) => readFilter(share, name, one))))
  if (filters.length > maxFilters) {
    throw wrong(filters[maxFilters]!.item.id, { zh: `条件超过 ${maxFilters} 个`, en: `there are more than ${maxFilters} filters` })
  }
  const sort = word('sort')
  const after = word('after')
  return {
    filters,
    select: readSelect(share, word('select')),
    ...(sort !== undefined && { sort: readSort(share, sort) }),
    limit: readLimit(word('limit'), { usual: defaultLimit, most: maxLimit }),
    ...(after !== undefined && { after }),
    count: readCount(word('count')),
  }
}

/** Changes of one answer where nothing is said, and at most. */
const [defaultChanges, maxChanges] = [1000, 10_000]

/** Which changes are asked for. Throws QZ-DATA-ITEM, QZ-DATA-FILTER. */
export function readChangesQuery(
  share: Shown,
  { after, limit, select, ...others }: Parameters,
): { after: string | undefined; limit: number; select: readonly SharedItem[] } {
  const foreign = Object.keys(others)[0]
  if (foreign !== undefined) throw wrong(foreign, { zh: '可用 after、limit、select', en: 'use after, limit and select' })
  return {
    after: single('after', after),
    limit: readLimit(single('limit', limit), { usual: defaultChanges, most: maxChanges }),
    select: readSelect(share, single('select', select)),
  }
}

function isReserved(name: string): boolean {
  return (reserved as readonly string[]).includes(name)
}

function listOf(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value
}

function single(name: string, value: string | readonly string[] | undefined): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  throw wrong(name, { zh: '只能写一次', en: 'it can be given once only' })
}

export function wrong(parameter: string, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-DATA-FILTER', { parameter: parameter.slice(0, 60), reason })
}

function readFilter(share: Shown, name: string, value: string): Filter {
  const [id = '', operator = 'eq', ...more] = name.split('.')
  const item = requireItem(share, id)
  if (more.length > 0 || !isOperator(operator)) {
    throw wrong(name, {
      zh: `没有这种比较，可用：${operators.join('、')}`,
      en: `there is no such operator: use one of ${operators.join(', ')}`,
    })
  }
  requireSearchable(item, name)
  if (!operatorsOf(item.type).includes(operator)) {
    throw wrong(name, {
      zh: `${item.type} 类型不能用 ${operator} 比较，可用：${operatorsOf(item.type).join('、')}`,
      en: `${operator} is not for items of type ${item.type}: use one of ${operatorsOf(item.type).join(', ')}`,
    })
  }
  return { item, operator, values: readValues(item, operator, name, value) }
}

function isOperator(word: string): word is Operator {
  return (operators as readonly string[]).includes(word)
}

/** Whether rows may be found and sorted by an item: each key, and what the catalog says, but nothing that is masked. */
export function isSearchable(item: SharedItem): boolean {
  return !item.mask && isIndexable(item) && (item.key === true || item.searchable === true)
}

function requireSearchable(item: SharedItem, parameter: string): void {
  if (isSearchable(item)) return
  throw wrong(parameter, {
    zh: `信息项 ${item.id} 不可检索（由提供单位在目录中设定）`,
    en: `item ${item.id} is not searchable (its provider says so in the catalog)`,
  })
}

export function operatorsOf(type: ValueType): readonly Operator[] {
  if (type === 'boolean') return ['eq', 'ne', 'in', 'null']
  return type === 'text' ? operators : operators.filter((operator) => operator !== 'like')
}

function readValues(item: SharedItem, operator: Operator, parameter: string, value: string): readonly string[] {
  if (operator === 'null') {
    if (value === 'true' || value === 'false') return [value]
    throw wrong(parameter, { zh: '须为 true 或 false', en: 'it must be true or false' })
  }
  if (operator === 'like') return [beginning(parameter, value)]
  const values = operator === 'in' ? value.split(',') : [value]
  if (values.length > maxListed) throw wrong(parameter, { zh: `超过 ${maxListed} 个值`, en: `it has more than ${maxListed} values` })
  for (const one of values) {
    const fault = valueFault(item, one)
    if (fault) throw wrong(parameter, { zh: `“${one.slice(0, 60)}”${fault.zh}`, en: `"${one.slice(0, 60)}" ${fault.en}` })
  }
  return values
}

/** Texts are found by how they begin: what an index can do. */
function beginning(parameter: string, value: string): string {
  const fault = valueFault({ type: 'text' }, value)
  if (fault) throw wrong(parameter, fault)
  const begins = value.slice(0, -1)
  if (value.endsWith('*') && !begins.includes('*') && begins !== '') return begins
  throw wrong(parameter, { zh: '须为文字加一个结尾的 *，如 张*', en: 'it must be a text with one * at its end, such as 张*' })
}

function readSelect(share: Shown, word: string | undefined): readonly SharedItem[] {
  if (word === undefined) return share.items
  const wanted = new Set(word.split(',').map((id) => requireItem(share, id).id))
  return share.items.filter(({ id }) => wanted.has(id))
}

function readSort(share: Shown, word: string): { item: SharedItem; descending: boolean } {
  const descending = word.startsWith('-')
  const item = requireItem(share, descending ? word.slice(1) : word)
  requireSearchable(item, 'sort')
  return { item, descending }
}

function readLimit(word: string | undefined, { usual, most }: { usual: number; most: number }): number {
  if (word === undefined) return usual
  const limit = /^[1-9]\d{0,6}$/.test(word) ? Number(word) : Infinity
  if (limit > most) throw wrong('limit', { zh: `须为 1 至 ${most} 的整数`, en: `it must be a whole number from 1 to ${most}` })
  return limit
}

function readCount(word: string | undefined): RowsQuery['count'] {
  if (word === undefined || word === 'none') return 'none'
  if (word === 'estimated' || word === 'exact') return word
  throw wrong('count', { zh: '须为 none、estimated 或 exact', en: 'it must be none, estimated or exact' })
}

/** A condition with its parameters, which are numbered on from those that are there. */
export function filterSql({ item, operator, values }: Filter, parameters: unknown[]): string {
  const column = quoted(item.id)
  const cast = castType(item.type)
  const put = (value: unknown, type: string) => `$${parameters.push(value)}::${type}`
  switch (operator) {
    case 'null':
      return `${column} is ${values[0] === 'true' ? '' : 'not '}null`
    case 'in':
      return `${column} = any(${put(values, `${cast}[]`)})`
    case 'like':
      return `${column} like ${put(`${values[0]!.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`, 'text')}`
    default:
      return `${column} ${comparisons[operator]} ${put(values[0], cast)}`
  }
}

/** `ne` finds what has no value, too: it is another one. */
const comparisons = { eq: '=', ne: 'is distinct from', gt: '>', ge: '>=', lt: '<', le: '<=' } as const

/** What was asked, without the values: for the audit. */
export function shapeOfQuery({ filters, sort }: RowsQuery): { filters: string[]; sort?: string } {
  return {
    filters: filters.map(({ item, operator }) => `${item.id}.${operator}`),
    ...(sort && { sort: `${sort.descending ? '-' : ''}${sort.item.id}` }),
  }
}
