/**
 * Masking 脱敏 as part of a grant: what of a value is shown. A masked value is derived: no signature of the provider covers it. Queries
 * and the API show it; by exchange the hub countersigns it (derived.ts).
 */
import { createHmac } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { LocalizedText } from './localized.ts'
import type { Item, Schema } from './schema.ts'
import type { Value, ValueType } from './value.ts'

const closed = { additionalProperties: false }
const Kept = Type.Integer({ minimum: 0, maximum: 100 })

/** `keep`: the first and last characters, the others as `*`; `year` of a day or moment; `district`: an address up to its district or county;
 * `hash`: a keyed hash, the same for the same value within one grant; `hide`: nothing at all. */
export const Mask = Type.Union([
  Type.Object({ kind: Type.Literal('keep'), first: Kept, last: Kept }, closed),
  Type.Object({ kind: Type.Literal('year') }, closed),
  Type.Object({ kind: Type.Literal('district') }, closed),
  Type.Object({ kind: Type.Literal('hash') }, closed),
  Type.Object({ kind: Type.Literal('hide') }, closed),
])
export type Mask = Static<typeof Mask>
const maskShape = Compile(Mask)

/** A mask as it travels: of a kind that a program of before may not know. */
export const AnyMask = Type.Object({ kind: Type.String() })

/** Undefined where this program does not know it. */
export function knownMask(mask: unknown): Mask | undefined {
  return maskShape.Check(mask) ? mask : undefined
}

/** By item id. */
export type Masks = Readonly<Record<string, Mask>>

const dated: readonly ValueType[] = ['date', 'timestamp', 'timestamptz']

/** Why an item cannot be masked like this, or undefined. */
export function maskFault({ type, key }: { type: ValueType; key?: boolean }, { kind }: Mask): LocalizedText | undefined {
  if (key) return { zh: '主键不能脱敏', en: 'a key cannot be masked' }
  if (kind === 'year' && !dated.includes(type)) return { zh: '只有日期和时间可只留年份', en: 'only days and moments have a year' }
  if ((kind === 'keep' || kind === 'district') && type !== 'text')
    return { zh: '只有文本可以这样脱敏', en: 'only texts can be masked like this' }
  return undefined
}

/** What is shown of an item's values. `secret`: the grant's own, for hashes. */
export function maskOf(mask: Mask, secret: Buffer): (value: string) => Value {
  switch (mask.kind) {
    case 'hide':
      return () => null
    case 'year':
      return (value) => value.slice(0, 4)
    case 'hash':
      return (value) => createHmac('sha256', secret).update(value).digest('hex').slice(0, 32)
    case 'district':
      return upToDistrict
    case 'keep':
      return (value) => keptEnds(value, mask)
  }
}

function upToDistrict(value: string): Value {
  return /^.*?(?:区|县|旗|镇|乡|街道)/u.exec(value)?.[0] ?? null
}

/** A value that is no longer than what may be shown is hidden but for its first character: else it would be shown whole. */
function keptEnds(value: string, { first, last }: { first: number; last: number }): string {
  const characters = Array.from(value)
  const whole = characters.length > first + last
  const begin = whole ? first : Math.min(1, first, Math.max(0, characters.length - 1))
  const end = whole ? last : 0
  return [...characters.slice(0, begin), '*'.repeat(characters.length - begin - end), ...characters.slice(characters.length - end)].join('')
}

/** Whether a value can be what a mask leaves of some value: who receives it has not seen that one. */
export function isMasked(mask: Mask, value: Value): boolean {
  if (value === null) return true
  switch (mask.kind) {
    case 'hide':
      return false
    case 'year':
      return /^\d{4}$/.test(value)
    case 'hash':
      return /^[0-9a-f]{32}$/.test(value)
    case 'district':
      return upToDistrict(value) === value
    case 'keep':
      return keptEnds(value, mask) === value
  }
}

/** Of the columns of what is derived. */
const suffixes = { keep: '_part', year: '_year', district: '_district', hash: '_hash', hide: '_hidden' } as const
const longestName = 30

/**
 * An item as a receiver's table has it where it is masked: a column of its own name and label, so that nothing derived is taken for what the
 * source holds, nor stands where that stood before; never required, without check and role.
 */
export function derivedItem(
  { id, name, label, type, length, precision, scale, openness }: Item,
  { kind }: Mask,
  { items }: Pick<Schema, 'items'>,
): Item {
  const taken = new Set(items.flatMap((item) => (item.id === id ? [] : [item.name])))
  const common = { id, name: freeName(name, suffixes[kind], taken), label: `${label.slice(0, 196)}（脱敏）`, openness }
  if (kind === 'year' || kind === 'hash') return { ...common, type: 'text', length: kind === 'year' ? 4 : 32 }
  const limits = {
    ...(length !== undefined && { length }),
    ...(precision !== undefined && { precision }),
    ...(scale !== undefined && { scale }),
  }
  return { ...common, type, ...limits }
}

function freeName(name: string, suffix: string, taken: ReadonlySet<string>): string {
  for (let count = 1; ; count++) {
    const end = count === 1 ? suffix : `${suffix}${count}`
    const free = name.slice(0, longestName - end.length) + end
    if (!taken.has(free)) return free
  }
}
