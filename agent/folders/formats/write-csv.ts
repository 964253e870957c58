/**
 * CSV (RFC 4180): a header, lines that end in CRLF, quotes where a value needs them. Nothing between separators is null, `""` the empty
 * text. UTF-8 begins with a byte order mark, so that Excel knows it.
 */
import type { Value } from '../../../protocol/value.ts'
import { encodeGb18030 } from './gb18030.ts'
import { zonedWriter } from './zoned-time.ts'
import type { FileColumn, RowsToWrite } from './rows-to-write.ts'

export async function* writeCsv({ columns, pages, files }: RowsToWrite): AsyncGenerator<Buffer> {
  const { encoding = 'utf-8', separator = ',', timezone } = files.format
  const encode = encoding === 'gb18030' ? encodeGb18030 : (text: string) => Buffer.from(text)
  const special = new RegExp(`["\\r\\n${separator === '|' ? '\\|' : separator}]|^\\s|\\s$`)
  const quoted = (text: string) => (text === '' || special.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  const cells = columns.map((column) => {
    const write = shown(column, files.formulas, timezone)
    return (value: Value) => (value === null ? '' : quoted(write(value)))
  })
  const mark = encoding === 'utf-8' ? '\ufeff' : ''
  yield encode(`${mark}${columns.map(({ header }) => quoted(header)).join(separator)}\r\n`)
  for (const page of pages) {
    let text = ''
    for (const row of page) {
      text += cells[0]!(row[0]!)
      for (let i = 1; i < cells.length; i++) text += separator + cells[i]!(row[i]!)
      text += '\r\n'
    }
    yield encode(text)
  }
}

/** A column's values as a person reads them: moments on the clock of their zone, formulas as texts where that is wanted. */
export function shown({ type }: FileColumn, formulas: 'keep' | 'escape', timezone: string): (value: string) => string {
  if (type === 'timestamptz') return zonedWriter(timezone)
  if (type === 'text' && formulas === 'escape') return (text) => (/^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text)
  return (value) => value
}
