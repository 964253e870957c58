import type { SourceTable } from '../../database.ts'
import { longestRow, tooLong } from '../../../protocol/csv.ts'
import { told } from '../../../protocol/told.ts'
import { lineName, type Refuse } from './file-fault.ts'
import { HeaderNames, isOperation, noOperations, type Meaning } from './header.ts'
import { rowFault, RowReader, unreadRow, type FileCells } from './row-reader.ts'
import type { FileRow } from './file-row.ts'

/**
 * JSON lines: an object per line, whose names are headers. Numbers are taken as they are written. What a line lacks is not said; a name that is
 * not known is that row's fault, since no line speaks for the others. Throws QZ-FILE where a file of the whole table tells an operation.
 */
export async function* readJsonLines(
  text: AsyncIterable<string>,
  source: SourceTable,
  refuse: Refuse,
  chunk: number,
): AsyncGenerator<FileRow[]> {
  const reader = new ObjectReader(source, refuse)
  let rows: FileRow[] = []
  let number = 0
  for await (const some of lines(text)) {
    for (const line of some) {
      number++
      if (line === undefined) rows.push(unreadRow(number, tooLong.zh, tooLong.en))
      else if (line.trim() !== '') rows.push(reader.read(number, line))
      if (rows.length < chunk) continue
      yield reader.rows.examine(rows)
      rows = []
    }
  }
  if (rows.length > 0) yield reader.rows.examine(rows)
}

/** The lines that end in each piece; undefined for one that is too long. */
async function* lines(text: AsyncIterable<string>): AsyncGenerator<(string | undefined)[]> {
  let held = ''
  let dropping = false
  for await (const piece of text) {
    const [first, ...others] = piece.split('\n')
    const all = [held + first!, ...others]
    held = all.pop()!
    const ended = all.map((line, i) => ((dropping && i === 0) || line.length > longestRow ? undefined : line))
    if (ended.length > 0) dropping = false
    if (held.length > longestRow) [held, dropping] = ['', true]
    yield ended
  }
  if (dropping) yield [undefined]
  else if (held !== '') yield [held]
}

/** Names of members that are kept with what they stand for. */
const maxNames = 10_000

class ObjectReader {
  readonly #source: SourceTable
  readonly #refuse: Refuse
  readonly #names: HeaderNames
  readonly #known = new Map<string, Meaning>()
  readonly rows: RowReader

  constructor(source: SourceTable, refuse: Refuse) {
    this.#source = source
    this.#refuse = refuse
    this.#names = new HeaderNames(source)
    // In JSON an empty text is no null.
    this.rows = new RowReader(source, true)
  }

  read(number: number, line: string): FileRow {
    let parsed: unknown
    try {
      parsed = parseExactly(line)
    } catch {
      return unreadRow(number, '不是 JSON', 'it is not JSON')
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
      return unreadRow(number, '不是 JSON 对象', 'it is no JSON object')
    return this.#readObject(number, parsed as Record<string, unknown>)
  }

  #readObject(number: number, object: Record<string, unknown>): FileRow {
    const { columns } = this.#source
    const cells: (string | null)[] = columns.map(() => null)
    const absent = new Set(columns.keys())
    const row: FileCells = { number, cells, op: undefined, deleted: undefined, faults: [] }
    const seen = new Set<Meaning>()
    for (const name of Object.keys(object)) {
      const meaning = this.#meaning(name)
      if (meaning === undefined || meaning === 'ambiguous') row.faults.push(this.#unknownName(number, name))
      else if (seen.has(meaning)) row.faults.push(rowFault(`列“${told(name)}”重复`, `column "${told(name)}" is there twice`))
      else if (meaning === 'op' || meaning === 'deleted') row[meaning] = textOf(object[name], false)
      else if (meaning !== 'source') {
        absent.delete(meaning)
        this.rows.headers[meaning] = name
        cells[meaning] = textOf(object[name], columns[meaning]!.item.type === 'json')
      }
      seen.add(meaning)
    }
    return this.rows.read(absent.size > 0 ? { ...row, absent: [...absent] } : row)
  }

  #unknownName(number: number, name: string) {
    if (this.#source.files!.whole && isOperation(name)) throw this.#refuse(lineName(number), noOperations.zh, noOperations.en)
    return rowFault(`不认识的列“${told(name)}”`, `unknown column "${told(name)}"`)
  }

  #meaning(name: string): Meaning {
    if (this.#known.has(name)) return this.#known.get(name)
    const meaning = this.#names.meaning(name)
    if (this.#known.size < maxNames) this.#known.set(name, meaning)
    return meaning
  }
}

interface RawJson {
  rawJSON: string
}

/** In the place of numbers that need it. ECMA-262 has both since 2026; the types do not yet. */
const { rawJSON, isRawJSON } = JSON as unknown as { rawJSON: (text: string) => RawJson; isRawJSON: (value: unknown) => value is RawJson }

/** Where a number is not the plain text of a double, it stays as it is written, within objects too. */
function parseExactly(line: string): unknown {
  const parsed: unknown = JSON.parse(line)
  if (typeof parsed !== 'object' || parsed === null) return parsed
  const integers = !/\d[.eE]/.test(line)
  const plain = (value: unknown): boolean =>
    typeof value === 'number' ? integers && Number.isSafeInteger(value) : typeof value !== 'object' || value === null
  return Object.values(parsed).every(plain) ? parsed : JSON.parse(line, keepNumbers as never)
}

function keepNumbers(_name: string, value: unknown, { source }: { source?: string }): unknown {
  return typeof value === 'number' ? rawJSON(source!) : value
}

/** `json`: the item takes any value as its JSON text. */
function textOf(value: unknown, json: boolean): string | null {
  if (value === null || value === undefined) return null
  if (json) return JSON.stringify(value)
  if (typeof value === 'string') return value
  // Of numbers, booleans and all else this is the plain text.
  return isRawJSON(value) ? plainNumber(value.rawJSON) : JSON.stringify(value)
}

const exponentForm = /^(-?)(\d+)(?:\.(\d+))?[eE]([+-]?\d{1,3})$/

/** `1.5e-7` as `0.00000015`; digits as they are. */
function plainNumber(text: string): string {
  const parts = exponentForm.exec(text)
  if (!parts) return text
  const [, sign, whole, fraction = '', exponent] = parts
  const [digits, point] = [whole! + fraction, whole!.length + Number(exponent)]
  const padded = digits.padEnd(point, '0').padStart(digits.length + Math.max(0, 1 - point), '0')
  const at = Math.max(point, 1)
  const behind = padded.slice(at).replace(/0+$/, '')
  return sign + padded.slice(0, at) + (behind && `.${behind}`)
}
