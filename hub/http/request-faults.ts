import { emptyOr } from '../registry/catalog/content.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { seenPattern } from '../records/name-form.ts'

/** Something that is wrong with a request, and where: a JSON pointer (RFC 6901) into its body, its query or the parts of its path. */
export interface RequestFault extends LocalizedText {
  in: 'body' | 'query' | 'path'
  at: string
  /** The name that nothing has here, and the one that is most like it. */
  unknown?: string
  nearest?: string
  /** What may stand here. */
  allowed?: readonly unknown[]
}

/** As much of JSON Schema as the shapes of operations are made of; a test holds that there is no more. */
interface Shape {
  type?: string
  const?: unknown
  enum?: readonly unknown[]
  anyOf?: readonly Shape[]
  properties?: Readonly<Record<string, Shape>>
  patternProperties?: Readonly<Record<string, Shape>>
  required?: readonly string[]
  additionalProperties?: boolean | Shape
  minProperties?: number
  items?: Shape
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  /** Of what may be named, one or several with commas between. */
  examples?: readonly unknown[]
}

/** So many are told of one request; there may be more. */
export const mostFaults = 50

/** What patterns ask for, in words. */
export const patternWords: Readonly<Record<string, LocalizedText>> = {
  [seenPattern]: { zh: '不能只有空白或不可见的字符', en: 'must have something to be seen' },
  '^[0-9]{1,10}/[0-9]{1,10}$': { zh: '须为批次位置，如 10/1', en: 'must be the place of a batch, such as 10/1' },
  '^[0-9]{6}$': { zh: '须为 6 位数字', en: 'must be 6 digits' },
  '^[0-9]{1,18}$': { zh: '须为编号（数字）', en: 'must be a number, of digits alone' },
  '^[0-9]{1,15}$': { zh: '须为编号（数字）', en: 'must be a number, of digits alone' },
  '^[1-9][0-9]{0,8}$': { zh: '须为正整数', en: 'must be a positive integer' },
  '^[1-9][0-9]{0,14}$': { zh: '须为正整数', en: 'must be a positive integer' },
  '^(?:[1-9][0-9]?|100)$': { zh: '须为 1 至 100 的整数', en: 'must be an integer from 1 to 100' },
  '^(?:[1-9][0-9]?|[1-4][0-9][0-9]|500)$': { zh: '须为 1 至 500 的整数', en: 'must be an integer from 1 to 500' },
  '^(?:[1-9][0-9]{0,2}|1000)$': { zh: '须为 1 至 1000 的整数', en: 'must be an integer from 1 to 1000' },
  '^[^@\\s]+@[^@\\s]+$': { zh: '须为电子邮箱地址', en: 'must be an e-mail address' },
  '^\\d{4}-\\d\\d-\\d\\d$': { zh: '须为日期，如 2026-11-22', en: 'must be a day such as 2026-11-22' },
  '^\\d{4}-\\d{2}-\\d{2}$': { zh: '须为日期，如 2026-11-22', en: 'must be a day such as 2026-11-22' },
  '^\\d{4}-\\d{2}-\\d{2}(/\\d{4}-\\d{2}-\\d{2})?$': {
    zh: '须为日期或起止日期，如 2026-10-01/2026-10-07',
    en: 'must be a day, or the first and last of some, such as 2026-10-01/2026-10-07',
  },
  '^20\\d\\d(?:-Q[1-4])?$': { zh: '须为年度或季度，如 2026 或 2026-Q4', en: 'must be a year or a quarter such as 2026 or 2026-Q4' },
  '^[0-9]{1,12}$': { zh: '须为 1 至 12 位数字', en: 'must be 1 to 12 digits' },
  '^[0-9]{6,12}$': { zh: '须为 6 至 12 位数字', en: 'must be 6 to 12 digits' },
  '^[1-9][0-9]{2}([0-9]{3}([0-9]{1,6})?)?$': {
    zh: '须为分类代码：3 位、6 位或 7 至 12 位数字',
    en: 'must be a class: 3, 6, or 7 to 12 digits',
  },
  '^[1-9][0-9]{2}(?:[0-9]{3}(?:[0-9]{1,6})?)?$': {
    zh: '须为分类代码：3 位、6 位或 7 至 12 位数字',
    en: 'must be a class: 3, 6, or 7 to 12 digits',
  },
  '^[a-z0-9][a-z0-9._-]{0,63}$': {
    zh: '只能用小写字母、数字和 . _ -，至多 64 位',
    en: 'must be of a-z 0-9 . _ -, at most 64 characters',
  },
  '^[a-z][a-z0-9_]{0,29}$': {
    zh: '只能用小写字母、数字和下划线，以字母开头，至多 30 位',
    en: 'must be of a-z 0-9 _, begin with a letter and have at most 30 characters',
  },
}

/** Everything that is wrong with a part of a request, as far as there is room. Nothing where the shape is kept. */
export function requestFaults(part: RequestFault['in'], shape: object, value: unknown): RequestFault[] {
  const faults: RequestFault[] = []
  judge(shape, value, '', (fault) => {
    if (faults.length < mostFaults) faults.push({ in: part, ...fault })
    return faults.length < mostFaults
  })
  return faults
}

type Found = Omit<RequestFault, 'in'>
/** @returns whether there is room for more. */
type Report = (fault: Found) => boolean

function judge(shape: Shape, value: unknown, at: string, report: Report): boolean {
  if (shape.anyOf) return judgeAny(shape.anyOf, value, at, report)
  const allowed = shape.enum ?? ('const' in shape ? [shape.const] : undefined)
  if (allowed) return allowed.includes(value) || report({ at, allowed, ...allowedText(allowed) })
  if (!isOf(shape.type, value)) return report({ at, ...typeText(shape.type) })
  if (Array.isArray(value)) return judgeList(shape, value, at, report)
  if (typeof value === 'object' && value !== null) return judgeObject(shape, value as Record<string, unknown>, at, report)
  const why = typeof value === 'string' ? textFault(shape, value) : typeof value === 'number' ? numberFault(shape, value) : undefined
  return why === undefined || report({ at, ...why })
}

/** Of several shapes, the one that the value comes nearest to is what was meant. */
function judgeAny(shapes: readonly Shape[], value: unknown, at: string, report: Report): boolean {
  const fitting = shapes.filter(({ type }) => isOf(type, value))
  const tried = (fitting.length > 0 ? fitting : shapes.slice(0, 1)).map((shape) => {
    const faults: Found[] = []
    judge(shape, value, at, (fault) => faults.push(fault) < mostFaults)
    return faults
  })
  const [nearest = []] = tried.toSorted((a, b) => a.length - b.length)
  return nearest.every(report)
}

function judgeList(shape: Shape, list: readonly unknown[], at: string, report: Report): boolean {
  const { items, minItems = 0, maxItems = Infinity, uniqueItems } = shape
  // What is far too long is not looked at one by one.
  if (list.length > maxItems)
    return report({ at, zh: `至多 ${maxItems} 项，有 ${list.length} 项`, en: `must have at most ${maxItems} entries` })
  if (list.length < minItems) return report({ at, zh: `至少 ${minItems} 项`, en: `must have at least ${minItems} entries` })
  if (uniqueItems && new Set(list.map((one) => JSON.stringify(one))).size < list.length) {
    if (!report({ at, zh: '有重复的项', en: 'has the same entry twice' })) return false
  }
  return !items || list.every((one, i) => judge(items, one, `${at}/${i}`, report))
}

function judgeObject(shape: Shape, object: Record<string, unknown>, at: string, report: Report): boolean {
  const { properties = {}, required = [], additionalProperties = true, minProperties = 0 } = shape
  for (const name of required) {
    if (!Object.hasOwn(object, name) && !report({ at: below(at, name), zh: '未填写', en: 'is missing' })) return false
  }
  if (Object.keys(object).length < minProperties && !report({ at, ...emptyText(Object.keys(properties)) })) return false
  const patterns = Object.entries(shape.patternProperties ?? {})
  for (const [name, value] of Object.entries(object)) {
    const known = Object.hasOwn(properties, name)
      ? properties[name]
      : patterns.find(([pattern]) => new RegExp(pattern, 'u').test(name))?.[1]
    const further = known ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined)
    if (further ? !judge(further, value, below(at, name), report) : !additionalProperties && !report(unknownName(at, name, properties)))
      return false
  }
  return true
}

function emptyText(names: readonly string[]): LocalizedText {
  return { zh: `至少填写一项：${names.join('、')}`, en: `must have at least one of ${names.join(', ')}` }
}

function unknownName(at: string, name: string, properties: Readonly<Record<string, Shape>>): Found {
  const names = Object.keys(properties)
  const nearest = nearestName(name, names)
  const rest =
    names.length === 0
      ? { zh: '这里不填任何内容', en: 'nothing belongs here' }
      : { zh: `可用：${names.join('、')}`, en: `known: ${names.join(', ')}` }
  const hint = nearest === undefined ? rest : { zh: `是否为 ${nearest}`, en: `did you mean ${nearest}` }
  return {
    at: below(at, name),
    unknown: name,
    ...(nearest !== undefined && { nearest }),
    allowed: names,
    zh: `没有此项（${hint.zh}）`,
    en: `is unknown (${hint.en})`,
  }
}

/** The name that is most like it, if any is. */
export function nearestName(name: string, names: readonly string[]): string | undefined {
  const plain = (text: string) =>
    text
      .slice(0, 100)
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, '')
  const measured = names.map((one) => ({ one, distance: distanceOf(plain(name), plain(one)) }))
  const [best] = measured.toSorted((a, b) => a.distance - b.distance)
  return best && best.distance <= Math.max(1, Math.min(3, best.one.length / 2)) ? best.one : undefined
}

/** Characters to put in, leave out, change, or change places with their neighbour. */
function distanceOf(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const turned = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2]! + 1 : Infinity
      next.push(Math.min(change, turned, row[j]! + 1, next[j - 1]! + 1))
    }
    before = row
    row = next
  }
  return row[b.length]!
}

function below(at: string, name: string): string {
  return `${at}/${name.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

const typeNames: Readonly<Record<string, LocalizedText>> = {
  string: { zh: '文本', en: 'a text' },
  number: { zh: '数', en: 'a number' },
  integer: { zh: '整数', en: 'an integer' },
  boolean: { zh: 'true 或 false', en: 'true or false' },
  array: { zh: '列表 […]', en: 'a list […]' },
  object: { zh: '对象 {…}', en: 'an object {…}' },
  null: { zh: 'null', en: 'null' },
}

function isOf(type: string | undefined, value: unknown): boolean {
  if (type === undefined) return true
  if (type === 'array') return Array.isArray(value)
  if (type === 'null') return value === null
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  return type === typeof value
}

function typeText(type = ''): LocalizedText {
  const { zh, en } = typeNames[type] ?? { zh: type, en: type }
  return { zh: `须为${zh}`, en: `must be ${en}` }
}

function allowedText(allowed: readonly unknown[]): LocalizedText {
  const values = allowed.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))
  return { zh: `只能是 ${values.join('、')}`, en: `must be one of ${values.join(', ')}` }
}

function textFault({ pattern, examples, minLength = 0, maxLength = Infinity }: Shape, text: string): LocalizedText | undefined {
  // As the schema counts: by characters, not by halves of them.
  const length = Array.from(text).length
  if (length === 0 && minLength > 0) return { zh: '不能为空', en: 'must not be empty' }
  if (length < minLength) return { zh: `至少 ${minLength} 个字符，有 ${length} 个`, en: `must have at least ${minLength} characters` }
  if (length > maxLength) return { zh: `至多 ${maxLength} 个字符，有 ${length} 个`, en: `must have at most ${maxLength} characters` }
  if (pattern === undefined || new RegExp(pattern, 'u').test(text)) return undefined
  if (examples)
    return {
      zh: `只能是 ${examples.join('、')}，可以是其中几项，用英文逗号隔开`,
      en: `must be one of ${examples.join(', ')}, or several with commas between`,
    }
  const form = pattern.startsWith(emptyOr) ? pattern.slice(emptyOr.length) : pattern
  return patternWords[form] ?? { zh: `须符合 ${pattern}`, en: `must match ${pattern}` }
}

function numberFault({ minimum = -Infinity, maximum = Infinity }: Shape, value: number): LocalizedText | undefined {
  if (value >= minimum && value <= maximum) return undefined
  const [zh, en] = [minimum > -Infinity ? `不小于 ${minimum}` : '', minimum > -Infinity ? `at least ${minimum}` : '']
  const [zhTop, enTop] = maximum < Infinity ? [`不大于 ${maximum}`, `at most ${maximum}`] : ['', '']
  const both = (a: string, b: string, and: string) => [a, b].filter((part) => part !== '').join(and)
  return { zh: `须${both(zh, zhTop, '且')}`, en: `must be ${both(en, enTop, ' and ')}` }
}
