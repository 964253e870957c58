/** Whether a row that a person entered is in order: as the provider's agent checks its rows, and what the catalog says of forms beside it. */
import { QianzhiError, type Fault } from '../../protocol/errors.ts'
import { identifierFaultText } from '../../protocol/identifiers.ts'
import { itemCheckFault } from '../../protocol/item-checks.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { canonicalTime, valueFault, type Value } from '../../protocol/value.ts'
import type { CatalogItem } from '../registry/catalog/content.ts'
import { overlongRows } from '../tables/rows.ts'
import type { EnteredResource } from './entered-resource.ts'

/** Portable texts by item id. */
export type EnteredRow = Readonly<Record<string, Value>>

/** Something that is wrong with a row, or that its person should look at again. Never holds the value. */
export interface ItemFault extends Fault {
  item: string
}

export interface CheckedRow {
  /** All items, in their canonical form. */
  values: Record<string, Value>
  faults: ItemFault[]
  warnings: ItemFault[]
}

/** Items that are not given are null. */
export function checkRow({ items }: Pick<EnteredResource, 'items'>, given: EnteredRow): CheckedRow {
  const values = Object.fromEntries(items.map((item) => [item.id, canonical(item, Object.hasOwn(given, item.id) ? given[item.id]! : null)]))
  const faults = Object.keys(given).flatMap((id) => (Object.hasOwn(values, id) ? [] : [unknownItem(id)]))
  const warnings: ItemFault[] = []
  for (const item of items) {
    const fault = faultOf(item, values[item.id]!)
    if (fault) faults.push({ item: item.id, ...fault })
    const check = fault ? undefined : checkFault(item, values)
    if (check) (item.check!.on === 'reject' ? faults : warnings).push({ item: item.id, ...check })
  }
  if (faults.length === 0) faults.push(...overlong(items, values))
  return { values, faults, warnings }
}

/** Throws QZ-ROW-FORM with all that is wrong. */
export function requireSound({ faults }: CheckedRow): void {
  const [first] = faults
  if (!first) return
  const { item, zh, en } = first
  const reason =
    faults.length === 1
      ? { zh: `${item}：${zh}`, en: `${item}: ${en}` }
      : { zh: `共 ${faults.length} 处，第一处为 ${item}：${zh}`, en: `${faults.length} faults, the first: ${item}: ${en}` }
  throw new QianzhiError('QZ-ROW-FORM', { reason }, { faults })
}

function unknownItem(id: string): ItemFault {
  return { item: id.slice(0, 60), zh: '没有可填报的此信息项', en: 'there is no such item to be entered' }
}

function faultOf(item: CatalogItem, value: Value): LocalizedText | undefined {
  const { key = false, required = key, dictionary } = item
  if (required && (value === null || value === '')) return { zh: '必填', en: 'must be filled in' }
  if (value === null) return undefined
  const fault = valueFault(item, value)
  if (fault || !dictionary || dictionary.some((entry) => entry.value === value)) return fault
  return { zh: '不在字典中', en: 'is not in its list of values' }
}

function checkFault({ id, check }: CatalogItem, values: Readonly<Record<string, Value>>): LocalizedText | undefined {
  if (!check) return undefined
  const fault = itemCheckFault(check, values[id]!, check.when && values[check.when.item])
  return fault && identifierFaultText(check.kind, fault)
}

/** What no table of the hub could hold. */
function overlong(items: readonly CatalogItem[], values: Readonly<Record<string, Value>>): ItemFault[] {
  const columns = items.map(({ id }) => ({ values: [values[id]!] }))
  if (overlongRows(items, columns, 1).size === 0) return []
  return [{ item: items.find(({ key }) => key)!.id, zh: '该行过大，无法存储', en: 'the row is too large to be stored' }]
}

/** One value has one text: keys are compared as texts, and what comes back is what was sent. What is no value stays as it is. */
function canonical(item: CatalogItem, value: Value): Value {
  if (value === null || valueFault(item, value)) return value
  switch (item.type) {
    case 'timestamp':
    case 'timestamptz':
    case 'time':
      return canonicalTime(value)
    case 'decimal':
      return canonicalDecimal(value, item.key ? item.scale : undefined)
    case 'binary':
      return Buffer.from(value, 'base64').toString('base64')
    default:
      return value
  }
}

/** Without leading zeros and without a negative zero; of a key with as many decimals as the item has. */
function canonicalDecimal(value: string, scale: number | undefined): string {
  const [, sign = '', whole = '', fraction = ''] = /^(-?)0*(\d+)(?:\.(\d+))?$/.exec(value)!
  const decimals = scale === undefined ? fraction : fraction.slice(0, scale).padEnd(scale, '0')
  const digits = decimals === '' ? whole : `${whole}.${decimals}`
  return /[1-9]/.test(digits) ? sign + digits : digits
}
