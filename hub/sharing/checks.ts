/** Batch check 批量核验: whether values are those that the resource holds, without showing any. */
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { valueFault, type Value } from '../../protocol/value.ts'
import type { Reader } from '../tables/reader.ts'
import { castType, fromText, quoted } from '../tables/shape.ts'
import { requireItem, type Share, type SharedItem } from './share.ts'

export const maxChecked = 10_000

/** Texts by item id: each row names the whole key, and the values to be compared. */
export type CheckedRow = Readonly<Record<string, Value>>

export interface CheckResult {
  found: boolean
  /** Of each item that is no key and was given; empty where no row has the key. */
  items: Record<string, 'equal' | 'different'>
}

/**
 * One result for each row, in their order. What cannot be a value of its item is equal to none. Throws QZ-DATA-ITEM, QZ-REQUEST-INVALID
 * where a row lacks a part of the key.
 */
export async function checkRows({ reader }: { reader: Reader }, share: Share, rows: readonly CheckedRow[]): Promise<CheckResult[]> {
  if (rows.length > maxChecked) throw invalid({ zh: `超过 ${maxChecked} 行`, en: `there are more than ${maxChecked} rows` })
  const ids = new Set(rows.flatMap((row) => Object.keys(row)))
  const given = [...ids].map((id) => requireItem(share, id))
  for (const [i, row] of rows.entries()) {
    const missing = share.keys.find(({ id }) => (row[id] ?? null) === null)
    if (missing) throw invalid({ zh: `第 ${i + 1} 行缺少主键信息项 ${missing.id}`, en: `row ${i + 1} lacks the key item ${missing.id}` })
  }
  const compared = given.filter((item) => !item.key && isComparable(item))
  const uncomparable = given.find((item) => !item.key && !isComparable(item))
  if (uncomparable) {
    const { id } = uncomparable
    throw invalid({ zh: `信息项 ${id} 不能核验`, en: `item ${id} cannot be checked` })
  }
  const sound = rows.flatMap((row, at) => (share.keys.some((item) => valueFault(item, row[item.id]!)) ? [] : [at]))
  const found = await reader.texts(checkSql(share, compared), [
    JSON.stringify(sound),
    ...[...share.keys, ...compared].map((item) => JSON.stringify(sound.map((at) => soundValue(item, rows[at]![item.id] ?? null)))),
  ])
  const results = rows.map((): CheckResult => ({ found: false, items: {} }))
  for (const [at, ...equal] of found) {
    const row = rows[Number(at)]!
    const items = compared.flatMap(({ id, ...item }, i) => {
      if (!Object.hasOwn(row, id)) return []
      const fault = row[id] === null ? undefined : valueFault(item, row[id]!)
      return [[id, equal[i] === 't' && !fault ? 'equal' : 'different'] as const]
    })
    results[Number(at)] = { found: true, items: Object.fromEntries(items) }
  }
  return results
}

/** JSON has no equality, and pictures none that people mean; what is masked would be guessed. */
function isComparable({ type, mask }: SharedItem): boolean {
  return !mask && type !== 'json' && type !== 'binary'
}

function soundValue(item: SharedItem, value: Value): Value {
  return value !== null && valueFault(item, value) ? null : value
}

function checkSql({ table, keys }: Share, compared: readonly SharedItem[]): string {
  const all = [...keys, ...compared]
  const arrays = all.map((_, i) => `json_array_elements_text($${i + 2}::json)`)
  const of = ({ id, type }: SharedItem) => fromText(type, `r.${quoted(id)}`)
  const equal = compared.map((item) => `t.${quoted(item.id)} is not distinct from ${of(item)}::${castType(item.type)}`)
  return `select r."$at", ${equal.join(', ') || 'null'} from rows from (json_array_elements_text($1::json), ${arrays.join(', ')})
      as r ("$at", ${all.map(({ id }) => quoted(id)).join(', ')})
    join ${table.name} t on ${keys.map((item) => `t.${quoted(item.id)} = ${of(item)}`).join(' and ')}`
}

function invalid(reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-REQUEST-INVALID', { reason })
}
