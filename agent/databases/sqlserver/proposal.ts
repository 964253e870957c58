/** Which item type a SQL Server column would supply best, for those who register a resource. */
import { longestTextKey, type Item } from '../../../protocol/schema.ts'
import type { ValueLimits } from '../../../protocol/value.ts'
import type { CatalogColumn } from './catalog.ts'
import { columnReader, groups } from './types.ts'

/** Digits of an integer that always fits 64 bits. */
const integerDigits = 18

/**
 * The narrowest item type that holds all the column's values; undefined where it cannot supply an item without loss.
 * `made`: characters of the item for which `supplyTable` made the column, which has room for two code units each.
 */
export function proposedType(column: CatalogColumn, key: boolean, made?: number): ValueLimits | undefined {
  const type = bestType(column, made)
  if (!type) return undefined
  const fitted = key && type.type === 'text' ? { ...type, length: Math.min(type.length ?? longestTextKey, longestTextKey) } : type
  const item: Item = { id: 'i', name: 'i', label: 'i', openness: 'internal', key, ...fitted }
  return columnReader({ item, column: column.column }, column, Infinity) && fitted
}

function bestType(column: CatalogColumn, made?: number): ValueLimits | undefined {
  const group = groups[column.type]
  switch (group) {
    case 'decimal':
      return column.scale === 0 && column.precision <= integerDigits
        ? { type: 'integer' }
        : { type: 'decimal', precision: column.precision, scale: column.scale }
    case 'money':
      return { type: 'decimal', precision: column.type === 'money' ? 19 : 10, scale: 4 }
    case 'float':
    case 'real':
      return { type: 'text', length: 30 }
    case 'guid':
      return { type: 'text', length: 36 }
    case 'text':
      return textType(column, made)
    case 'xml':
      return { type: 'text' }
    case 'bit':
      return { type: 'boolean' }
    case 'bytes':
      return { type: 'binary' }
    case undefined:
      return undefined
    default:
      return { type: group }
  }
}

function textType({ type, bytes }: CatalogColumn, made: number | undefined): ValueLimits {
  if (bytes < 0 || type.endsWith('text')) return { type: 'text' }
  const units = type.startsWith('n') ? bytes / 2 : bytes
  return { type: 'text', length: made !== undefined && made <= units ? made : units }
}
