import { identifierFaultText, type IdentifierFault } from '../../protocol/identifiers.ts'
import { itemCheckFault } from '../../protocol/item-checks.ts'
import type { Item, ItemCheck } from '../../protocol/schema.ts'
import type { Row, RowFault, Rows, SourceTable } from '../database.ts'
import { keyIndexes, keyOf } from '../row-keys.ts'

export interface CheckedRows extends Rows {
  /** Rows that are sent although a value in them fails its check. */
  warned: Row[]
}

interface PlacedCheck {
  place: number
  item: Item
  check: ItemCheck
  /** Place of the item that it depends on. */
  when: number | undefined
}

/**
 * The checks of a source's items, made ready once (regulation Art. 14: the provider answers for its data). Undefined where it has none.
 * A check that depends on an item which the agent does not read is not made. Null and empty texts are not checked.
 */
export function checkerOf(source: Pick<SourceTable, 'columns'>): ((read: Rows) => CheckedRows) | undefined {
  const checks = source.columns.flatMap(({ item }, place) => placedCheck(source, item, place))
  if (checks.length === 0) return undefined
  const keys = keyIndexes(source)
  return (read) => checkRows(read, checks, keys)
}

function placedCheck({ columns }: Pick<SourceTable, 'columns'>, item: Item, place: number): PlacedCheck[] {
  const { check } = item
  if (!check) return []
  if (!check.when) return [{ place, item, check, when: undefined }]
  const condition = columns.findIndex((column) => column.item.id === check.when!.item)
  return condition < 0 ? [] : [{ place, item, check, when: condition }]
}

function checkRows({ rows, faults }: Rows, checks: readonly PlacedCheck[], keys: readonly number[]): CheckedRows {
  const checked: CheckedRows = { rows: [], faults: [...faults], warned: [] }
  for (const row of rows) {
    let worst: PlacedCheck | undefined
    for (const check of checks) if (worst?.check.on !== 'reject' && faultOf(row, check)) worst = check
    if (worst?.check.on === 'reject') {
      checked.faults.push(rejected(row, worst, keys))
      continue
    }
    checked.rows.push(row)
    if (worst) checked.warned.push(row)
  }
  return checked
}

function faultOf(row: Row, { place, check, when }: PlacedCheck): IdentifierFault | undefined {
  return itemCheckFault(check, row[place]!, when === undefined ? undefined : row[when])
}

/** The reason names no value: the quarantine may be seen by more people than the row. */
function rejected(row: Row, placed: PlacedCheck, keys: readonly number[]): RowFault {
  const { item, check } = placed
  const reason = identifierFaultText(check.kind, faultOf(row, placed)!)
  return { key: keyOf(row, keys), code: 'QZ-ROW-CHECK', item: item.id, reason }
}
