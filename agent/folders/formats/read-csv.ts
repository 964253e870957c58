import { CsvParser, unclosed } from '../../../protocol/csv.ts'
import { headerWithin } from '../../../protocol/excel/table.ts'
import type { SourceTable } from '../../database.ts'
import { lineName, wholeFile, type Refuse } from './file-fault.ts'
import { HeaderNames, knownHeaders, type RawRow } from './header.ts'
import { tableRows } from './table-rows.ts'
import type { FileRow } from './file-row.ts'

/** The last one is what Chinese input makes of a comma. */
const separators = [',', ';', '\t', '|', '\uff0c']

/** The rows of a text with separators. Throws QZ-FILE. */
export async function* readCsv(
  text: AsyncGenerator<string>,
  source: SourceTable,
  refuse: Refuse,
  chunk: number,
): AsyncGenerator<FileRow[]> {
  yield* tableRows({ rows: rowsOf(withoutEnd(text, source, refuse), source, chunk, refuse), where: lineName, even: true }, source, refuse)
}

async function* rowsOf(text: AsyncGenerator<string>, source: SourceTable, chunk: number, refuse: Refuse): AsyncGenerator<RawRow[]> {
  const first = await text.next()
  if (first.done) return
  const parser = new CsvParser(source.files!.format.separator ?? separatorOf(first.value, new HeaderNames(source)))
  yield* inChunks(parser.parse(first.value), chunk, refuse)
  for await (const piece of text) yield* inChunks(parser.parse(piece), chunk, refuse)
  yield* inChunks(parser.parse('', true), chunk, refuse)
}

/** DOS ended texts with 0x1A, and some programs still do. */
async function* withoutEnd(text: AsyncGenerator<string>, source: SourceTable, refuse: Refuse): AsyncGenerator<string> {
  let held = ''
  for await (const piece of text) {
    if (held !== '') yield held
    held = piece
  }
  if (!held.endsWith('\u001a')) return yield held
  if (source.files!.format.marks === 'take') return yield held.slice(0, -1)
  throw refuse(
    wholeFile,
    '最后一个字节是 0x1A（DOS 的文件结束符）：在来源中设 marks: take 即可略去',
    'its last byte is 0x1A, by which DOS ended texts: with marks: take at the source it is left out',
  )
}

function* inChunks(rows: RawRow[], chunk: number, refuse: Refuse): Generator<RawRow[]> {
  const end = rows.at(-1)
  if (end?.wrong === unclosed) throw refuse(lineName(end.number), unclosed.zh, unclosed.en)
  for (let from = 0; from < rows.length; from += chunk) yield rows.slice(from, from + chunk)
}

/** The separator by which a row near the beginning holds most of the source's headers. */
function separatorOf(text: string, names: HeaderNames): string {
  let best = separators[0]!
  let most = 0
  for (const separator of separators) {
    const rows = new CsvParser(separator).parse(text.slice(0, sampled), text.length <= sampled)
    const known = Math.max(...rows.slice(0, headerWithin).map((row) => knownHeaders(row, names)))
    if (known > most) [best, most] = [separator, known]
  }
  return best
}

/** Characters in which the header must be. */
const sampled = 1 << 16
