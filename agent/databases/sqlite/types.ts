/** Which columns can hold an item's values without loss, and what is stored in them as portable text. */
import type { LocalizedText } from '../../../protocol/localized.ts'
import { longestTextKey, type Item } from '../../../protocol/schema.ts'
import { valueFault, type Value, type ValueLimits } from '../../../protocol/value.ts'
import type { Column } from './catalog.ts'
import type { Raw } from './session.ts'
import { exactDigits } from './sql.ts'

/** SQLite checks no type: each value is looked at when it is read. A column that would change texts, or keep less, is refused by name. */
export function canHold({ type, precision = 38 }: ValueLimits, { affinity }: Pick<Column, 'affinity'>): boolean {
  if (affinity === 'any') return true
  switch (type) {
    case 'integer':
    case 'boolean':
      return affinity === 'integer' || affinity === 'numeric'
    case 'decimal':
      return affinity === 'text' || ((affinity === 'integer' || affinity === 'numeric') && precision <= exactDigits)
    case 'binary':
      return affinity === 'blob'
    case 'text':
    case 'json':
      return affinity === 'text'
    default:
      return affinity === 'text' || affinity === 'numeric'
  }
}

/** The portable value of what is stored, or why it cannot travel. */
export function portable(item: Item, raw: Raw): { value: Value } | { fault: LocalizedText } {
  if (raw === null) return { value: null }
  const value = textOf(item, raw)
  if (value === undefined) return { fault: { zh: `${shown(raw)} 存成了其他类型`, en: `${shown(raw)} is stored as another type` } }
  const fault = valueFault(item, value)
  return fault ? { fault: { zh: `${shown(raw)} ${fault.zh}`, en: `${shown(raw)} ${fault.en}` } } : { value }
}

function textOf({ type, scale = 0 }: Item, raw: NonNullable<Raw>): string | undefined {
  if (raw instanceof Uint8Array) return type === 'binary' ? Buffer.from(raw).toString('base64') : undefined
  switch (type) {
    case 'integer':
      return typeof raw === 'bigint' ? String(raw) : undefined
    case 'boolean':
      return raw === 0n ? 'false' : raw === 1n ? 'true' : undefined
    case 'decimal':
      return typeof raw === 'string' ? raw : numberText(raw, scale)
    case 'timestamp':
    case 'timestamptz':
    case 'time':
      return typeof raw === 'string'
        ? raw
            .replace(' ', 'T')
            .replace(/(\.\d*?)0+(?=Z|$)/, '$1')
            .replace(/\.(?=Z|$)/, '')
        : undefined
    default:
      return typeof raw === 'string' ? raw : undefined
  }
}

/** A number of eight bytes as the decimal that it was written as; undefined where it has more digits. */
function numberText(raw: bigint | number, scale: number): string | undefined {
  if (typeof raw === 'bigint') return scale > 0 ? `${raw}.${'0'.repeat(scale)}` : String(raw)
  const text = raw.toFixed(scale)
  return Number(text) === raw ? text : undefined
}

function shown(raw: NonNullable<Raw>): string {
  return raw instanceof Uint8Array ? `${raw.length} bytes` : String(raw).slice(0, 60)
}

/** The item type that holds all values which the declared type means; undefined where none is meant. */
export function proposedType({ type, affinity }: Column, key: boolean): ValueLimits | undefined {
  const [length, scale] = Array.from(type.matchAll(/\d+/g), ([digits]) => Number(digits))
  if (/bool/i.test(type)) return { type: 'boolean' }
  if (/^timestamp(tz| with time zone)/i.test(type)) return { type: 'timestamptz' }
  if (affinity === 'integer') return { type: 'integer' }
  if (affinity === 'text')
    return length
      ? { type: 'text', length: key ? Math.min(length, longestTextKey) : length }
      : key
        ? { type: 'text', length: longestTextKey }
        : { type: 'text' }
  if (affinity === 'blob' && type !== '') return { type: 'binary' }
  if (/^date$/i.test(type)) return { type: 'date' }
  if (/^(datetime|timestamp)/i.test(type)) return { type: 'timestamp' }
  if (/^time/i.test(type)) return { type: 'time' }
  if (!/^(decimal|numeric)/i.test(type) || !length) return undefined
  // A whole number is kept as one of eight bytes.
  if (!scale && length <= 18) return { type: 'integer' }
  if (length <= exactDigits) return { type: 'decimal', precision: length, scale: scale ?? 0 }
  return undefined
}
