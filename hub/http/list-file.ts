import { Readable } from 'node:stream'
import type { TSchema } from 'typebox'
import { writePages } from '../../protocol/excel/write-pages.ts'
import type { WrittenColumn } from '../../protocol/excel/write.ts'
import { localTime } from '../../protocol/local-time.ts'
import type { Language, LocalizedText } from '../../protocol/localized.ts'
import { actedBy } from '../access/principal.ts'
import { withNames } from '../operations/names.ts'
import { excelType, FileAnswer, type Call, type Operation } from '../operations/operation.ts'
import { writeAudit } from '../records/audit.ts'
import type { Page } from '../records/listing.ts'
import { operationWords } from './operation-words.ts'
import { vocabulary } from './vocabulary.ts'
import { memberName, plain, valueText, type Telling } from './wording.ts'

/** Lines of one file, and those that are read at once. */
export const maxListRows = 50_000
const portion = 5000

type Line = Readonly<Record<string, unknown>>
type Shape = TSchema & { properties?: Record<string, Shape>; items?: Shape; anyOf?: Shape[]; enum?: unknown[]; type?: string | string[] }

/** A list of one shape, of which a file can be asked. */
export function isList({ query, answer }: Operation): boolean {
  const shape: Shape | undefined = answer
  const members = shape?.properties ?? {}
  return query !== undefined && 'format' in query.properties && 'next' in members && 'items' in members
}

/**
 * What the filters of a list find, as a workbook in one of the two languages: names beside codes, states in words, texts as they are (no
 * formula, no digit lost), numbers as numbers. A second sheet says what was asked for, when and by whom, and whether something is missing:
 * more than `most` lines are not told. On record.
 */
export async function listFile(operation: Operation, call: Call, { most = maxListRows } = {}): Promise<FileAnswer> {
  const { format: _format, language = 'zh', after: _after, limit: _limit, ...asked } = call.query as Record<string, string>
  const { registry, principal } = call
  const read = async (after: string | undefined, limit: number) => {
    const query = { ...asked, ...(after !== undefined && { after }), limit: String(limit) }
    const page = (await operation.run({ ...call, query })) as Page<Line>
    return withNames(registry.store.query, page)
  }
  const first = await read(undefined, Math.min(portion, most))
  await writeAudit(registry.store.query, {
    ...actedBy(principal),
    act: 'list.export',
    object: `list ${operation.name}`,
    details: { filters: asked, total: first.total.count, ...(first.total.more && { more: true }) },
  })
  const say = (text: LocalizedText) => text[language as Language]
  const telling: Telling = { vocabulary, say, time: (iso) => localTime(new Date(iso)) }
  const columns = columnsOf(operation, telling, language as Language)
  const told = { lines: 0, cut: false }
  async function* pages() {
    for (let page: Page<Line> | undefined = first; page;) {
      yield page.items.map((line) => columns.map(({ of }) => of(line)))
      told.lines += page.items.length
      const left = most - told.lines
      told.cut = page.next !== null && left <= 0
      page = page.next !== null && left > 0 ? await read(page.next, Math.min(portion, left)) : undefined
    }
  }
  const title = say(operationWords.get(operation.name)!)
  const notes = () => notesOf({ title, asked, told, most, by: principal.name, at: registry.clock() }, operation, telling)
  const written = writePages({
    name: title,
    headers: columns.map(({ header }) => header),
    columnFormats: columns.map(({ format }) => format),
    pages: pages(),
    last: { name: say({ zh: '说明', en: 'Notes' }), rows: notes },
  })
  return new FileAnswer(`${title}.xlsx`, excelType, Readable.from(written, { signal: call.signal }))
}

interface Column {
  header: string
  format: NonNullable<WrittenColumn['format']>
  of: (line: Line) => string | null
}

/** What is for programs, or stands in another column. */
const hidden = new Set(['revision', 'actions', 'link', 'sha256', 'matched'])

function columnsOf(operation: Operation, telling: Telling, language: Language): Column[] {
  const members = (operation.answer as Shape).properties!['items']!.items!.properties!
  const kind = operation.name.split('.')[0]!
  const { say } = telling
  const text = (member: string) => (line: Line) => {
    const value = line[member] instanceof Date ? line[member].toISOString() : line[member]
    return value === null || value === undefined || value === ''
      ? null
      : valueText(JSON.parse(JSON.stringify(value)), member, kind, telling)
  }
  return Object.entries(members).flatMap(([member, shape]): Column[] => {
    const nameOf = (of: string) => `${of}Name`
    const isName = member.endsWith('Name') && member.slice(0, -4) in members
    const isOtherLanguage = 'zh' in members && 'en' in members && member === (language === 'zh' ? 'en' : 'zh')
    if (hidden.has(member) || isName || isOtherLanguage || !isFlat(shape)) return []
    const header = say(memberName(member))
    const named = nameOf(member) in members
    const own: Column = {
      header: named ? say({ zh: `${header}代码`, en: `${header} (code)` }) : header,
      format: isNumber(shape) ? 'number' : 'text',
      of: named ? (line) => plain(line[member]) || null : text(member),
    }
    return named ? [{ header, format: 'text', of: text(nameOf(member)) }, own] : [own]
  })
}

/** Of one value, several texts, or a text in both languages. */
function isFlat(shape: Shape): boolean {
  const { type, anyOf, properties, items } = shape
  if (anyOf) return anyOf.every(isFlat)
  if (properties) return 'zh' in properties && 'en' in properties
  if (items) return items.type === 'string' || items.enum !== undefined
  return shape.enum !== undefined || (type !== undefined && type !== 'object' && type !== 'array')
}

function isNumber({ type, anyOf }: Shape): boolean {
  return anyOf
    ? anyOf.some(isNumber) && anyOf.every((one) => isNumber(one) || one.type === 'null')
    : type === 'integer' || type === 'number'
}

interface Noted {
  title: string
  asked: Readonly<Record<string, string>>
  told: { lines: number; cut: boolean }
  most: number
  by: string
  at: Date
}

function notesOf({ title, asked, told, most, by, at }: Noted, { name }: Operation, telling: Telling): [string, string][] {
  const { say } = telling
  const filters = Object.entries(asked).map(([member, value]): [string, string] => {
    const words = value.split(',').map((one) => valueText(one, member, name.split('.')[0], telling))
    return [say(memberName(member)), words.join('\u3001')]
  })
  const cut = {
    zh: `超过 ${most} 条：本文件只有前 ${most} 条，请缩小范围后再导出`,
    en: `there are more than ${most}: this file has the first ${most} of them; narrow the filters, and export again`,
  }
  return [
    [say({ zh: '列表', en: 'list' }), title],
    ...filters,
    [say({ zh: '导出时间', en: 'exported' }), localTime(at)],
    [say({ zh: '导出人', en: 'by' }), by],
    [say({ zh: '条数', en: 'lines' }), String(told.lines)],
    ...(told.cut ? [[say({ zh: '不完整', en: 'incomplete' }), say(cut)] satisfies [string, string]] : []),
  ]
}
