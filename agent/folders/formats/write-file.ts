import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Value, ValueType } from '../../../protocol/value.ts'
import { valueFault } from '../../../protocol/value.ts'
import type { SinkFiles } from '../../database.ts'
import { encodable } from './gb18030.ts'
import { writeCsv } from './write-csv.ts'
import { writeExcel } from './write-excel.ts'
import { writeJsonLines } from './write-jsonl.ts'
import type { RowsToWrite } from './rows-to-write.ts'

type Kind = NonNullable<SinkFiles['format']['kind']>

/** How one kind of file is written: its bytes piece by piece, never all of them at once. */
interface RowFormat {
  /** Of the name, without a point. */
  ending: string
  write: (rows: RowsToWrite) => AsyncIterable<Buffer>
  /** Why it cannot hold a value that any text file could. */
  fault?: (value: string, type: ValueType) => LocalizedText | undefined
}

const formats: Record<Kind, RowFormat> = {
  csv: { ending: 'csv', write: writeCsv },
  jsonl: { ending: 'jsonl', write: writeJsonLines, fault: jsonFault },
  excel: { ending: 'xlsx', write: writeExcel, fault: excelFault },
}

export function kindOf({ format }: SinkFiles): Kind {
  return format.kind ?? 'csv'
}

/** Undefined for Excel, which has one of its own. */
export function encodingOf({ format }: SinkFiles): 'utf-8' | 'gb18030' | undefined {
  return format.kind === 'excel' ? undefined : (format.encoding ?? 'utf-8')
}

export function formatOf(files: SinkFiles): RowFormat {
  return formats[kindOf(files)]
}

/** Says of a value why a file of this kind cannot hold it, or undefined where it can. */
export function valueChecker(files: SinkFiles): (value: Value, type: ValueType) => LocalizedText | undefined {
  const { fault } = formatOf(files)
  const narrow = encodingOf(files) === 'gb18030'
  return (value, type) => {
    if (value === null) return undefined
    if (value.includes('\0')) return { zh: '含有 U+0000', en: 'contains U+0000' }
    if (!value.isWellFormed()) return { zh: '不是合法的 Unicode', en: 'is not well-formed Unicode' }
    if (narrow && !encodable(value)) return { zh: '含有 GB18030 没有的字符', en: 'has a character that GB18030 has not' }
    return fault?.(value, type)
  }
}

/** These stand in JSON as they are. */
const jsonTypes: readonly ValueType[] = ['integer', 'decimal', 'boolean', 'json']

function jsonFault(value: string, type: ValueType): LocalizedText | undefined {
  if (!jsonTypes.includes(type)) return undefined
  return valueFault(type === 'decimal' ? { type, precision: 1000, scale: 500 } : { type }, value)
}

/** Characters that Excel holds in one cell. */
const longestCell = 32_767

function excelFault(value: string): LocalizedText | undefined {
  return value.length > longestCell
    ? { zh: `超过 Excel 单元格的 ${longestCell} 个字符`, en: `is longer than the ${longestCell} characters of an Excel cell` }
    : undefined
}
