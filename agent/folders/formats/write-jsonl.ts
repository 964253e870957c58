/** JSON lines: one object a line. Numbers, booleans and JSON stand as such, digit by digit as they came; everything else is text. */
import type { Value, ValueType } from '../../../protocol/value.ts'
import { encodeGb18030 } from './gb18030.ts'
import type { RowsToWrite } from './rows-to-write.ts'

export async function* writeJsonLines({ columns, pages, files }: RowsToWrite): AsyncGenerator<Buffer> {
  const encode = files.format.encoding === 'gb18030' ? encodeGb18030 : (text: string) => Buffer.from(text)
  const names = columns.map(({ header }, i) => `${i === 0 ? '{' : ','}${JSON.stringify(header)}:`)
  const texts = columns.map(({ type }) => jsonText(type))
  for (const page of pages) {
    let text = ''
    for (const row of page) {
      for (let i = 0; i < names.length; i++) text += names[i]! + texts[i]!(row[i]!)
      text += '}\n'
    }
    yield encode(text)
  }
}

function jsonText(type: ValueType): (value: Value) => string {
  const plain = plainText(type)
  return (value) => (value === null ? 'null' : plain(value))
}

function plainText(type: ValueType): (value: string) => string {
  if (type === 'integer' || type === 'boolean') return (value) => value
  // JSON has no zeros before a number.
  if (type === 'decimal') return (value) => value.replace(/^(-?)0+(?=\d)/, '$1')
  // Line breaks stand only between its parts: within texts they are escaped.
  if (type === 'json') return (value) => value.replaceAll(/[\r\n]+/g, ' ')
  return (value) => JSON.stringify(value)
}
