/** Files of a resource's rows, streamed: CSV and Excel for people, with the source in the file; CSV, NDJSON and JSON for programs. */
import { localTime } from '../../protocol/local-time.ts'
import { writePages } from '../../protocol/excel/write-pages.ts'
import type { Language } from '../../protocol/localized.ts'
import type { Reader, ReadRow } from '../tables/reader.ts'
import { quoted } from '../tables/shape.ts'
import { filterSql, type RowsQuery } from './filters.ts'
import type { Share, SharedItem } from './share.ts'

/** Rows that are read, and packed, at once. */
const portion = 1000

/** The rows that a query finds, in its order, as one statement saw them. `limit`: at most so many. */
export function streamRows(reader: Reader, share: Share, query: RowsQuery, limit: number): AsyncGenerator<ReadRow[]> {
  const { filters, sort, select } = query
  const parameters: unknown[] = []
  const conditions = filters.map((filter) => filterSql(filter, parameters))
  const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''
  const order = [...(sort ? [sort.item] : []), ...share.keys.filter(({ id }) => id !== sort?.item.id)]
  const by = order.map(({ id }) => `${quoted(id)}${sort?.descending ? ' desc' : ''}`).join(', ')
  const columns = select.map(({ id }) => quoted(id)).join(', ')
  return reader.stream(select, `select ${columns} from ${share.table.name} ${where} order by ${by} limit ${limit}`, parameters, portion)
}

/** What a file says of where it is from. */
export type Sourced = Pick<Share, 'agencyName' | 'title' | 'table'>

/** `来源:市民政局,村(社区)名单;截至 2026-11-22 08:30:00` */
export function sourceLine({ agencyName, title, table }: Sourced, language: Language): string {
  const at = localTime(table.asOf)
  return { zh: `来源：${agencyName}，${title}；截至 ${at}`, en: `Source: ${agencyName}, ${title}; as of ${at}` }[language]
}

/** A text that a spreadsheet would take for a formula stands behind an apostrophe. */
const withoutFormula = (text: string): string => (/^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text)

function forSheet({ type }: SharedItem): (value: string) => string {
  return type === 'text' ? withoutFormula : (value) => value
}

const special = /["\r\n,]|^\s|\s$/
const cell = (text: string): string => (text === '' || special.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

/** For people: a byte order mark (Excel), labels as the header, no formulas, the sources as the last lines. */
export interface ForPeople {
  sources: readonly Sourced[]
  language: Language
}

/** CSV (RFC 4180): nothing between commas is null, `""` the empty text. */
export async function* csvOf(items: readonly SharedItem[], pages: AsyncIterable<ReadRow[]>, people?: ForPeople): AsyncGenerator<Buffer> {
  const shown = items.map((item) => (people ? forSheet(item) : (value: string) => value))
  yield Buffer.from(`${people ? '\ufeff' : ''}${items.map(({ id, label }) => cell(people ? withoutFormula(label) : id)).join(',')}\r\n`)
  for await (const page of pages) {
    let text = ''
    for (const row of page) {
      for (let i = 0; i < items.length; i++) {
        const value = row[i]!
        if (i > 0) text += ','
        if (value !== null) text += cell(shown[i]!(value))
      }
      text += '\r\n'
    }
    yield Buffer.from(text)
  }
  for (const source of people?.sources ?? []) yield Buffer.from(`${cell(sourceLine(source, people!.language))}\r\n`)
}

/** One JSON object a line. */
export async function* ndjsonOf(items: readonly SharedItem[], pages: AsyncIterable<ReadRow[]>): AsyncGenerator<Buffer> {
  for await (const page of pages) yield Buffer.from(page.map((row) => `${rowJson(items, row)}\n`).join(''))
}

/** Whose data it is, as of when. */
export function sourceJson({ agency, agencyName, title, table }: Share, more: { licence?: string } = {}): string {
  return JSON.stringify({ agency, agencyName, title, ...more, asOf: table.asOf.toISOString() })
}

export function rowJson(items: readonly SharedItem[], row: ReadRow): string {
  let text = '{'
  for (let i = 0; i < items.length; i++) text += `${i > 0 ? ',' : ''}"${items[i]!.id}":${row[i] === null ? 'null' : JSON.stringify(row[i])}`
  return `${text}}`
}

/** An .xlsx file, all cells texts, with the sources as its last rows. */
export function excelOf(
  { title, sources }: { title: string; sources: readonly Sourced[] },
  items: readonly SharedItem[],
  pages: AsyncIterable<ReadRow[]>,
  language: Language,
): AsyncGenerator<Buffer> {
  async function* withSource(): AsyncGenerator<ReadRow[]> {
    yield* pages
    yield sources.map((source) => [sourceLine(source, language), ...items.slice(1).map(() => null)])
  }
  return writePages({ name: title, headers: items.map(({ label }) => label), pages: withSource() })
}
