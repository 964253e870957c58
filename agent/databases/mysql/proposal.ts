/** Which item type a MySQL or MariaDB column would supply best, for those who register a resource. */
import { longestTextKey, type Item } from '../../../protocol/schema.ts'
import type { ValueLimits } from '../../../protocol/value.ts'
import type { CatalogColumn } from './catalog.ts'
import { columnReader, groups } from './types.ts'

/** Digits of an integer that always fits 64 bits. */
const integerDigits = 18

/** The narrowest item type that holds all the column's values; undefined where it cannot supply an item without loss. */
export function proposedType(column: CatalogColumn, key: boolean): ValueLimits | undefined {
  const type = bestType(column)
  if (!type) return undefined
  const fitted = key && type.type === 'text' ? { ...type, length: Math.min(type.length ?? longestTextKey, longestTextKey) } : type
  const item: Item = { id: 'i', name: 'i', label: 'i', openness: 'internal', key, ...fitted }
  return columnReader({ item, column: column.column }, column, { zeroDates: 'refuse', valueLimit: Infinity }) && fitted
}

function bestType(column: CatalogColumn): ValueLimits | undefined {
  const group = groups[column.type]
  switch (group) {
    case 'integer':
      // What MySQL calls BOOLEAN.
      return { type: column.fullType.startsWith('tinyint(1)') ? 'boolean' : 'integer' }
    case 'bit':
      return { type: column.precision === 1 ? 'boolean' : 'integer' }
    case 'decimal':
      return decimalType(column)
    case 'real':
      return { type: 'text', length: realLength(column) }
    case 'text':
    case 'name':
      return textType(column)
    case 'bytes':
      return { type: 'binary' }
    case 'datetime':
      return { type: 'timestamp' }
    case 'timestamp':
      return { type: 'timestamptz' }
    case undefined:
      return undefined
    default:
      return { type: group }
  }
}

function decimalType({ precision = 65, scale = 0 }: CatalogColumn): ValueLimits {
  return scale === 0 && precision <= integerDigits ? { type: 'integer' } : { type: 'decimal', precision, scale }
}

/** Of `text` and its kin the length is in bytes: they get none. */
function textType({ type, length }: CatalogColumn): ValueLimits {
  if (type === 'uuid') return { type: 'text', length: 36 }
  if (type.startsWith('inet')) return { type: 'text', length: 45 }
  return type.endsWith('text') || length === undefined || length < 1 ? { type: 'text' } : { type: 'text', length }
}

/** Characters of the longest text: 17 digits behind up to 16 zeros, with sign and point; with fixed decimals as many as those and 309 before them. */
function realLength({ scale }: CatalogColumn): number {
  return scale === undefined ? 40 : 311 + scale
}
