import { Type, type Static } from 'typebox'
import { QianzhiError } from '../../protocol/errors.ts'
import type { NarrowedItem } from '../../protocol/reconciliation.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { Item } from '../../protocol/schema.ts'
import { valueFault, type Value } from '../../protocol/value.ts'
import type { MappedColumn, RowFault, Rows, ValueMapping } from '../database.ts'
import { keyIndexes, keyOf } from '../row-keys.ts'

/**
 * The layer between engine and line where a local table writes values in its own way: codes of its own, padded texts, numbers for texts.
 * The engine sees columns whose items have the local type; everything else sees the registered item and portable values.
 */

export const LocalColumn = Type.Object(
  {
    /** Without it the item's own name. */
    column: Type.Optional(Type.String({ minLength: 1 })),
    /** Local value → portable value. */
    codes: Type.Optional(Type.Record(Type.String(), Type.String())),
    /** Sinks: portable value → local value, where several local values stand for one. */
    write: Type.Optional(Type.Record(Type.String(), Type.String())),
    /** A value that has no code: kept as it is, or null; without it its row is set aside. */
    otherwise: Type.Optional(Type.Enum(['keep', 'null'])),
    /** Spaces around a text go before anything else. */
    trim: Type.Optional(Type.Boolean()),
    /** Type of the local column where it is not the item's. */
    type: Type.Optional(Type.Enum(['text', 'integer', 'boolean'])),
  },
  { additionalProperties: false },
)
export type LocalColumn = Static<typeof LocalColumn>

/** Characters of a value that a reason may tell. */
const toldCharacters = 40

/** What the configuration says of an item's column. Throws QZ-CONFIG for a key item: keys are compared byte by byte at both ends. */
export function mappedColumn(item: Item, configured: string | LocalColumn | undefined): MappedColumn {
  if (configured === undefined || typeof configured === 'string') return { item, column: configured ?? item.name }
  const { column = item.name, ...how } = configured
  if (Object.keys(how).length === 0) return { item, column }
  if (item.key) {
    const reason = {
      zh: `${item.id} 是主键，不能换码、去空格或改类型`,
      en: `${item.id} is a key item: it cannot be mapped, trimmed or of another type`,
    }
    throw new QianzhiError('QZ-CONFIG', { key: `columns.${item.id}`, reason })
  }
  const type = how.type ?? (how.trim && !how.codes ? 'text' : item.type)
  const { length: _length, precision: _precision, scale: _scale, ...rest } = item
  const same = type === item.type && !how.codes && !how.trim
  const local = same ? item : { ...rest, type, ...(type === item.type && item.type === 'decimal' && pick(item)) }
  return { item: local, column, mapping: { item, ...how } }
}

function pick({ precision, scale }: Item) {
  return { ...(precision !== undefined && { precision }), ...(scale !== undefined && { scale }) }
}

/** Local rows as portable ones, of sources and, for comparing, of sinks; undefined where every column is as registered. */
export function portableRows(columns: readonly MappedColumn[]): ((read: Rows) => Rows) | undefined {
  const mapped = columns.flatMap(({ mapping }, place) => (mapping ? [{ place, mapping }] : []))
  if (mapped.length === 0) return undefined
  const keys = keyIndexes({ columns })
  return ({ rows, faults }) => {
    const portable: Rows = { rows: [], faults: [...faults] }
    for (const row of rows) {
      const values = [...row]
      const fault = mapped.map(({ place, mapping }) => translate(values, place, mapping)).find(Boolean)
      if (fault) portable.faults.push({ ...fault, key: keyOf(row, keys) })
      else portable.rows.push(values)
    }
    return portable
  }
}

function translate(values: Value[], place: number, mapping: ValueMapping): Omit<RowFault, 'key'> | undefined {
  const value = toPortable(values[place]!, mapping)
  const reason = value === undefined ? noCode(values[place]!) : misfit(mapping.item, value)
  if (reason !== undefined) return { code: 'QZ-ROW-VALUE', item: mapping.item.id, reason }
  values[place] = value!
  return undefined
}

function misfit(item: Item, value: Value): LocalizedText | undefined {
  const fault = valueFault(item, value)
  return fault && { zh: `换码后的值${fault.zh}`, en: `its value by the mapping ${fault.en}` }
}

function noCode(value: Value): LocalizedText {
  const told = (value ?? '').slice(0, toldCharacters)
  return { zh: `本地值“${told}”没有对应代码`, en: `the local value "${told}" has no code` }
}

/** Undefined where the value has no code. */
function toPortable(value: Value, { codes, trim, otherwise }: ValueMapping): Value | undefined {
  if (value === null) return null
  const text = trim ? value.trim() : value
  if (!codes) return text
  if (Object.hasOwn(codes, text)) return codes[text]!
  return otherwise === 'keep' ? text : otherwise === 'null' ? null : undefined
}

/** Portable values as the local column holds them; undefined for one without a local code. Undefined where the column is as registered. */
export function localValue({ mapping }: MappedColumn): ((value: Value) => Value | undefined) | undefined {
  if (!mapping) return undefined
  const { codes, write, trim, otherwise } = mapping
  const inverse =
    codes && new Map([...Object.entries(codes).map(([local, portable]) => [portable, local] as const), ...Object.entries(write ?? {})])
  return (value) => {
    if (value === null) return null
    const text = trim ? value.trim() : value
    if (!inverse) return text
    const local = inverse.get(text)
    if (local !== undefined) return local
    return otherwise === 'keep' ? text : otherwise === 'null' ? null : undefined
  }
}

/** Items whose values a sink's mapping does not keep: those without a local code are null there, or spaces around them are gone. */
export function narrowedItems(columns: readonly MappedColumn[]): NarrowedItem[] {
  return columns.flatMap(({ mapping }) => {
    if (!mapping) return []
    const { item, codes, trim, otherwise } = mapping
    const values = codes && otherwise === 'null' ? [...new Set(Object.values(codes))] : undefined
    return values || trim ? [{ item: item.id, ...(trim && { trim }), ...(values && { values }) }] : []
  })
}

/** The local value of a portable one that a column is searched by; throws QZ-REQUEST-INVALID where several, or none, are its. */
export function searchedValue({ mapping }: MappedColumn, value: Value): Value {
  if (!mapping || value === null) return value
  const { codes, trim, otherwise, item } = mapping
  const locals = codes ? Object.keys(codes).filter((local) => codes[local] === value) : [value]
  if (locals.length === 1 && !trim && otherwise !== 'keep') return locals[0]!
  throw new QianzhiError('QZ-REQUEST-INVALID', {
    reason: { zh: `filter：信息项 ${item.id} 已换码`, en: `filter: item ${item.id} is mapped to local codes` },
  })
}

/** Why a configured column cannot be used; `writes`: a sink, whose codes must lead back. */
export function mappingFault({ codes, write, otherwise }: LocalColumn, writes: boolean): LocalizedText | undefined {
  if (codes && Object.keys(codes).length === 0) return { zh: 'codes 为空', en: 'codes is empty' }
  if (otherwise && !codes) return { zh: '有 otherwise 必须有 codes', en: 'otherwise needs codes' }
  if (write && !writes) return { zh: 'write 只用于落地（sinks）', en: 'write is for sinks' }
  if (write && !codes) return { zh: '有 write 必须有 codes', en: 'write needs codes' }
  const wrong = Object.entries(write ?? {}).find(([portable, local]) => codes?.[local] !== portable)
  if (wrong)
    return { zh: `write：codes 中 ${wrong[1]} 不对应 ${wrong[0]}`, en: `write: ${wrong[1]} does not stand for ${wrong[0]} in codes` }
  if (!codes || !writes) return undefined
  const seen = new Set<string>()
  for (const portable of Object.values(codes)) {
    if (seen.has(portable) && !write?.[portable])
      return {
        zh: `codes：多个本地值对应 ${portable}，请在 write 中写明写入哪一个`,
        en: `codes: several local values stand for ${portable}: say in write which one is written`,
      }
    seen.add(portable)
  }
  return undefined
}

/** A received row with its local values, or the item that has no local code. */
export function localRows(
  columns: readonly MappedColumn[],
  values: readonly (readonly Value[])[],
): { columns: Value[][]; without: Set<number> } {
  const without = new Set<number>()
  const local = columns.map((column, i) => {
    const map = localValue(column)
    if (!map) return values[i] as Value[]
    return values[i]!.map((value, row) => {
      const written = map(value)
      if (written === undefined) without.add(row)
      return written ?? null
    })
  })
  return { columns: local, without }
}
