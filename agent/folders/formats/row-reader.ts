import { isLocalized, same } from '../../../protocol/localized.ts'
import { told } from '../../../protocol/told.ts'
import type { Value } from '../../../protocol/value.ts'
import { boolean, converterOf, unmarked, type Convert, type Wrong } from '../../../protocol/written/cell-values.ts'
import type { RowFault, SourceTable } from '../../database.ts'
import { RowChecks } from '../../outbound/row-checks.ts'
import { keyIndexes, keyOf } from '../../row-keys.ts'
import { deletedHeader } from './header.ts'
import type { CellFault, FileRow } from './file-row.ts'

interface ReadColumn {
  convert: Convert
  /** A text item, which may be the empty text. */
  text: boolean
  id: string
  key: boolean
  required: boolean
}

export interface FileCells {
  number: number
  /** Of each of the source's columns; null is nothing, also where an empty cell is the empty text. Or why a cell is not taken. */
  cells: readonly (string | null | Wrong)[]
  /** Undefined where the file has no operations. */
  op: string | null | undefined
  /** Undefined where no row is marked. */
  deleted: string | null | undefined
  /** Places of columns that are not said. */
  absent?: readonly number[]
  /** What is wrong with it already. */
  faults: CellFault[]
}

const ops: Record<string, 'u' | 'd'> = {
  ...Object.fromEntries(['u', 'i', 'insert', 'update', 'upsert', '新增', '修改'].map((text) => [text, 'u' as const])),
  ...Object.fromEntries(['d', 'delete', '删除'].map((text) => [text, 'd' as const])),
}

const needed: Wrong = { zh: '必填', en: 'a value is required' }

/** Makes rows of a source out of cells; of a delete only the key counts. */
export class RowReader {
  readonly #columns: ReadColumn[]
  readonly #keys: number[]
  readonly #emptyText: boolean
  readonly #marks: 'refuse' | 'take' | undefined
  readonly #examined: RowChecks
  /** Of each column the header under which it was found, for faults. */
  readonly headers: (string | undefined)[]

  /** `emptyText`: an empty cell of a text item is the empty text, not null. `marks`: what becomes of other programs' marks. */
  constructor(source: SourceTable, emptyText: boolean, headers: (string | undefined)[] = [], marks?: 'refuse' | 'take') {
    this.#marks = marks
    this.#columns = source.columns.map((column) => {
      const { id, type, key = false, required = false } = column.item
      const { timezone } = source.files!.format
      return {
        convert: converterOf(column.item, { timezone, valueLimit: source.valueLimit }),
        text: type === 'text',
        id,
        key,
        required: key || required,
      }
    })
    this.#keys = keyIndexes(source)
    this.#emptyText = emptyText
    this.#examined = new RowChecks(source)
    this.headers = headers
  }

  read({ number, cells, faults, absent = [], ...said }: FileCells): FileRow {
    const op = readOp(said, faults)
    const values: Value[] = []
    let [whole, keyed] = [true, true]
    for (let place = 0; place < cells.length; place++) {
      const column = this.#columns[place]!
      const value = op === 'd' && !column.key ? null : this.#value(column, cells[place]!)
      if (typeof value === 'string' || (value === null && (!column.required || (op === 'd' && !column.key)))) {
        values.push(value)
        continue
      }
      faults.push(this.#fault(place, value ?? needed))
      values.push(null)
      whole = false
      if (column.key) keyed = false
    }
    const read: FileRow = { number, op, row: whole ? values : undefined, key: keyed ? keyOf(values, this.#keys) : undefined, faults }
    if (op === 'u' && absent.length > 0) read.absent = absent
    return read
  }

  /** Makes item checks and mappings, whose faults are those of their rows; the rows stay as they are. */
  examine(read: FileRow[]): FileRow[] {
    const good = read.filter(({ op, row, faults }) => op === 'u' && row && faults.length === 0)
    const rows = good.map(({ row }) => row!)
    if (this.#examined.take({ rows, faults: [] }).faults.length === 0) return read
    // Faults come by key, which several rows may have.
    for (const { row, faults } of good)
      for (const fault of this.#examined.take({ rows: [row!], faults: [] }).faults) faults.push(this.#examinedFault(fault))
    return read
  }

  #examinedFault({ code, item, reason = '' }: RowFault): CellFault {
    const column = this.headers[this.#columns.findIndex(({ id }) => id === item)]
    return {
      code,
      ...(column !== undefined && { column }),
      ...(item !== undefined && { item }),
      ...(isLocalized(reason) ? reason : same(reason)),
    }
  }

  #value({ convert, text, key }: ReadColumn, given: string | null | Wrong): Value | Wrong {
    const cell = this.#marks && typeof given === 'string' ? unmarked(given, this.#marks) : given
    if (cell === null || typeof cell === 'object') return cell
    if (cell === '') return text && this.#emptyText && !key ? '' : null
    const value = convert(cell)
    if (typeof value === 'string') return key && value.trim() === '' ? null : value
    return !text && cell.trim() === '' ? null : value
  }

  #fault(place: number, { zh, en }: Wrong): CellFault {
    const column = this.headers[place]
    return { code: 'QZ-ROW-VALUE', ...(column !== undefined && { column }), item: this.#columns[place]!.id, zh, en }
  }
}

function readOp({ op: written, deleted }: Pick<FileCells, 'op' | 'deleted'>, faults: CellFault[]): 'u' | 'd' {
  const op = written === undefined ? undefined : writtenOp(written ?? '', faults)
  const mark = deleted === undefined ? undefined : writtenMark(deleted ?? '', faults)
  if (op !== undefined && mark !== undefined && op !== mark)
    faults.push(rowFault('qz_op 与 qz_deleted 矛盾', 'qz_op and qz_deleted contradict each other'))
  return op ?? mark ?? 'u'
}

function writtenOp(written: string, faults: CellFault[]): 'u' | 'd' | undefined {
  const text = written.trim()
  const op = Object.hasOwn(ops, text.toLowerCase()) ? ops[text.toLowerCase()] : undefined
  if (op) return op
  const zh = `操作“${told(text)}”不是新增、修改或删除（u、d）`
  faults.push(rowFault(zh, `the operation "${told(text)}" is neither u nor d`))
  return undefined
}

function writtenMark(written: string, faults: CellFault[]): 'u' | 'd' | undefined {
  const deleted = boolean(written)
  if (typeof deleted === 'string') return deleted === 'true' ? 'd' : 'u'
  faults.push(rowFault(`${deletedHeader}：${deleted.zh}`, `${deletedHeader}: ${deleted.en}`))
  return undefined
}

/** Of a row as a whole. */
export function rowFault(zh: string, en: string): CellFault {
  return { code: 'QZ-ROW-FORM', zh, en }
}

/** A row of which nothing can be told: not even its key. */
export function unreadRow(number: number, zh: string, en: string): FileRow {
  return { number, op: 'u', row: undefined, key: undefined, faults: [rowFault(zh, en)] }
}
