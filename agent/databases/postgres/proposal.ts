/** Which item type a PostgreSQL column would supply best, for those who register a resource. */
import { longestTextKey } from '../../../protocol/schema.ts'
import type { ValueLimits } from '../../../protocol/value.ts'
import type { TableColumn } from './table.ts'
import { numericPrecision, numericScale, readingOf } from './types.ts'

/** Digits of an integer that always fits 64 bits. */
const integerDigits = 18

/** Characters that texts of these base types have at most. */
const textLengths: Record<string, number> = { uuid: 36, inet: 43, cidr: 43, macaddr: 17, macaddr8: 23, float4: 30, float8: 30 }

/** The narrowest item type that holds all the column's values; undefined where it cannot supply an item without loss. */
export function proposedType(column: TableColumn, key: boolean): ValueLimits | undefined {
  const type = bestType(column)
  if (!type) return undefined
  const fitted = key && type.type === 'text' ? { ...type, length: Math.min(type.length ?? longestTextKey, longestTextKey) } : type
  return readingOf({ ...fitted, key }, column, Infinity) && fitted
}

function bestType(column: TableColumn): ValueLimits | undefined {
  if (column.isEnum) return { type: 'text', length: 63 }
  switch (column.base) {
    case 'int2':
    case 'int4':
    case 'int8':
      return { type: 'integer' }
    case 'numeric':
      return numericType(column)
    case 'bool':
      return { type: 'boolean' }
    case 'date':
    case 'timestamp':
    case 'timestamptz':
    case 'time':
      return { type: column.base }
    case 'bytea':
      return { type: 'binary' }
    case 'json':
    case 'jsonb':
      return { type: 'json' }
    default:
      return textType(column)
  }
}

/** Without limits of its own, what is usual; values beyond are set aside by name. */
function numericType(column: TableColumn): ValueLimits {
  const scale = numericScale(column)
  if (scale === undefined) return { type: 'decimal', precision: 38, scale: 10 }
  const digits = numericPrecision(column) - Math.min(scale, 0)
  if (scale <= 0 && digits <= integerDigits) return { type: 'integer' }
  return { type: 'decimal', precision: Math.min(Math.max(digits, scale), 65), scale: Math.min(Math.max(scale, 0), 38) }
}

function textType({ base, modifier }: TableColumn): ValueLimits {
  const length = ['varchar', 'bpchar'].includes(base) && modifier >= 0 ? modifier - 4 : textLengths[base]
  return length === undefined || length > 10_000_000 ? { type: 'text' } : { type: 'text', length }
}
