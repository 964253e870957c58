import { headerWithin } from '../../../protocol/excel/table.ts'
import type { SourceTable } from '../../database.ts'
import { CsvParser, unclosed } from './csv.ts'
import { lineName, type Refuse } from './file-fault.ts'
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
  yield* tableRows({ rows: rowsOf(text, source, chunk, refuse), where: lineName, even: true }, source, refuse)
}

async function* rowsOf(text: AsyncGenerator<string>, source: SourceTable, chunk: number, refuse: Refuse): AsyncGenerator<RawRow[]> {
  const first = await text.next()
  if (first.done) return
  const parser = new CsvParser(source.files!.format.separator ?? separatorOf(first.value, new HeaderNames(source)))
  yield* inChunks(parser.parse(first.value), chunk, refuse)
  for await (const piece of text) yield* inChunks(parser.parse(piece), chunk, refuse)
  yield* inChunks(parser.parse('', true), chunk, refuse)
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
