/** Files of rows: what they hold, as rows of a source, whatever their format. */
import { open } from 'node:fs/promises'
import { extname } from 'node:path'
import type { FileFormat } from '../../database.ts'
import { encodingOf, readText } from './encoding.ts'
import { refusing, wholeFile, type Refuse } from './file-fault.ts'
import { readCsv } from './read-csv.ts'
import { readExcel } from './read-excel.ts'
import { readJsonLines } from './read-jsonl.ts'
import type { FileRow, ReadFileOptions } from './file-row.ts'

/** Rows that are handed on together. */
const chunk = 500

/**
 * The rows of a file, blank ones left out, each with what is wrong with it. Throws QZ-FILE where the file is refused as a whole, which may be
 * seen only behind its last row: nothing is to be kept before the end. Memory holds some rows, of Excel also the workbook's texts.
 */
export async function* readFileRows(options: ReadFileOptions): AsyncGenerator<FileRow[]> {
  for await (const rows of rowsOf(options)) {
    yield rows
    options.signal.throwIfAborted()
  }
}

const endings: Record<string, FileFormat['kind']> = {
  '.csv': 'csv',
  '.txt': 'csv',
  '.tsv': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.xlsx': 'excel',
  '.xlsm': 'excel',
  // Told what to do by the reader.
  '.xls': 'excel',
}

function rowsOf(options: ReadFileOptions): AsyncGenerator<FileRow[]> {
  const { path, source } = options
  const refuse = refusing(path)
  const kind = source.files!.format.kind ?? endings[extname(path).toLowerCase()]
  if (kind === 'excel') return readExcel(options, refuse, chunk)
  if (kind !== undefined) return readTextFile(kind, options, refuse)
  const ending = extname(path)
  throw refuse(
    wholeFile,
    `文件名后缀“${ending}”不说明格式：请用 .csv、.jsonl 或 .xlsx`,
    `its name's ending "${ending}" says no format: use .csv, .jsonl or .xlsx`,
  )
}

async function* readTextFile(kind: 'csv' | 'jsonl', options: ReadFileOptions, refuse: Refuse): AsyncGenerator<FileRow[]> {
  const { path, source, signal, encoding: memory } = options
  const file = await open(path)
  try {
    const opened = { file, refuse, signal }
    const encoding = await encodingOf(opened, source.files!.format.encoding, memory?.before)
    if (memory && encoding.certain) memory.certain = encoding.certain
    const text = readText(opened, encoding)
    yield* kind === 'csv' ? readCsv(text, source, refuse, chunk) : readJsonLines(text, source, refuse, chunk)
  } finally {
    await file.close()
  }
}
