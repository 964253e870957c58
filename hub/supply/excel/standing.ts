/** What stands in the resource's table, beside the rows of a workbook. */
import { canonicalDecimal } from '../../../protocol/digest.ts'
import type { Value, ValueType } from '../../../protocol/value.ts'
import type { Share } from '../../sharing/share.ts'
import type { Reader, ReadRow } from '../../tables/reader.ts'
import { byKeysSql, quoted } from '../../tables/shape.ts'
import type { EnteredResource } from '../entered-resource.ts'
import type { RowChange } from '../producer.ts'
import type { ExcelRow } from './rows.ts'

export type Sound = Pick<ExcelRow, 'number'> & Required<Pick<ExcelRow, 'values' | 'key'>>

export function soundRows(rows: readonly ExcelRow[]): Sound[] {
  return rows.flatMap(({ number, values, key }) => (values && key ? [{ number, values, key }] : []))
}

/** What a row would do: nothing where it stands there as it is. `key`: of a row that changes, as it stands, which a machine may have written. */
export interface Effect {
  does: 'create' | 'change' | 'same'
  key?: readonly string[]
}

/** @returns of each row what it does to the table. `share`: undefined where nothing stands yet. */
export async function effectsOf(
  reader: Pick<Reader, 'rows'>,
  share: Share | undefined,
  { items }: Pick<EnteredResource, 'items'>,
  rows: readonly Sound[],
): Promise<Effect[]> {
  if (!share || rows.length === 0) return rows.map(() => ({ does: 'create' }))
  // Items that its table has not yet are null in every row.
  const held = items.filter(({ id }) => share.items.some((item) => item.id === id))
  const keys = share.keys.map((item) => ({ ...item, at: items.filter(({ key }) => key).findIndex(({ id }) => id === item.id) }))
  const columns = keys.map(({ at }) => JSON.stringify(rows.map(({ key }) => key[at])))
  const found = await reader.rows(held, byKeysSql({ name: share.table.name, keys: share.keys }, held), columns)
  const keyPlaces = items.filter(({ key }) => key).map(({ id }) => held.findIndex((item) => item.id === id))
  const standing = new Map(
    found.map((row) => [
      keyText(
        items,
        keyPlaces.map((place) => row[place]!),
      ),
      row,
    ]),
  )
  return rows.map(({ values, key }): Effect => {
    const row = standing.get(keyText(items, key))
    if (!row) return { does: 'create' }
    if (items.every(({ id, type }) => sameValue(type, values[id]!, valueAt(row, held, id)))) return { does: 'same' }
    return { does: 'change', key: keyPlaces.map((place) => row[place]!) }
  })
}

function valueAt(row: ReadRow, held: readonly { id: string }[], id: string): Value {
  const at = held.findIndex((item) => item.id === id)
  return at < 0 ? null : row[at]!
}

function keyText(items: EnteredResource['items'], key: readonly string[]): string {
  const types = items.flatMap((item) => (item.key ? [item.type] : []))
  return JSON.stringify(key.map((value, i) => plainValue(types[i]!, value)))
}

const plainValue = (type: ValueType, value: string) => (type === 'decimal' ? canonicalDecimal(value) : value)

/** 1.5 and 1.50 are one number. */
function sameValue(type: ValueType, a: Value, b: Value): boolean {
  return a === b || (a !== null && b !== null && plainValue(type, a) === plainValue(type, b))
}

/** Changes of the rows that are not there as they are. */
export function changesOf({ items }: Pick<EnteredResource, 'items'>, rows: readonly Sound[], effects: readonly Effect[]): RowChange[] {
  const keys = items.filter(({ key }) => key)
  return rows.flatMap(({ values }, i) => {
    const { does, key } = effects[i]!
    if (does === 'same') return []
    return [{ op: does, values: key ? { ...values, ...Object.fromEntries(keys.map(({ id }, at) => [id, key[at]!])) } : values }]
  })
}

/** Keys that stand in the table, portion by portion, in the order of the resource's key items, as the table was when it began. */
export async function* standingKeys(reader: Reader, share: Share, { items }: Pick<EnteredResource, 'items'>): AsyncGenerator<string[][]> {
  const keys = items.filter(({ key }) => key)
  const sql = `select ${keys.map(({ id }) => quoted(id)).join(', ')} from ${share.table.name}`
  for await (const rows of reader.stream(keys, sql, [], 2000)) yield rows.map((row) => keys.map((item, i) => canonicalKey(item, row[i]!)))
}

/** As keys of rows that come are written. */
function canonicalKey({ type, scale = 0 }: EnteredResource['items'][number], value: string): string {
  if (type !== 'decimal') return value
  const [whole = '', fraction = ''] = canonicalDecimal(value).split('.')
  return scale > 0 ? `${whole}.${fraction.padEnd(scale, '0')}` : whole
}
