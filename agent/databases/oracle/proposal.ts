/** Which item type an Oracle column would supply best, for those who register a resource. */
import { longestTextKey, type Item } from '../../../protocol/schema.ts'
import type { ValueLimits } from '../../../protocol/value.ts'
import type { CatalogColumn } from './catalog.ts'
import { columnReader, kindOf } from './types.ts'

/** Digits of an integer that always fits 64 bits. */
const integerDigits = 18

/** The narrowest item type that holds all the column's values; undefined where it cannot supply an item without loss. `timed`: of a DATE, whether its values have times. */
export function proposedType(column: CatalogColumn, key: boolean, timed: boolean): ValueLimits | undefined {
  const type = bestType(column, timed)
  if (!type) return undefined
  const fitted = key && type.type === 'text' ? { ...type, length: Math.min(type.length ?? longestTextKey, longestTextKey) } : type
  const item: Item = { id: 'i', name: 'i', label: 'i', openness: 'internal', key, ...fitted }
  return columnReader({ item, column: column.column }, column, { valueLimit: Infinity }) && fitted
}

function bestType(column: CatalogColumn, timed: boolean): ValueLimits | undefined {
  switch (kindOf(column)) {
    case 'text':
    case 'ntext':
    case 'char':
    case 'nchar':
      return { type: 'text', ...(column.length && { length: column.length }) }
    case 'clob':
    case 'nclob':
      return { type: 'text' }
    case 'number':
      return numberType(column)
    case 'date':
      return { type: timed ? 'timestamp' : 'date' }
    case 'timestamp':
      return { type: 'timestamp' }
    case 'timestamptz':
    case 'localtime':
      return { type: 'timestamptz' }
    case 'interval':
      return { type: 'time' }
    case 'raw':
    case 'blob':
      return { type: 'binary' }
    case undefined:
      return undefined
  }
}

/** INTEGER has no precision: who declared it meant an integer. A number of any digits is a text. */
function numberType({ type, precision, scale }: CatalogColumn): ValueLimits {
  if (type !== 'NUMBER' || (precision === undefined && scale === undefined)) return { type: 'text', length: 64 }
  if (precision === undefined) return { type: 'integer' }
  const digits = Math.max(precision, scale ?? 0) - Math.min(0, scale ?? 0)
  if ((scale ?? 0) > 0) return { type: 'decimal', precision: digits, scale: scale! }
  if (precision === 1 && (scale ?? 0) === 0) return { type: 'boolean' }
  return digits <= integerDigits ? { type: 'integer' } : { type: 'decimal', precision: digits, scale: 0 }
}
