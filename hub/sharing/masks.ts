/** Masking 脱敏 as part of a grant: what of a value is shown. A masked value is derived: no signature of the provider covers it. */
import { createHmac } from 'node:crypto'
import { Type, type Static } from 'typebox'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { Value, ValueType } from '../../protocol/value.ts'

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
      return (value) => /^.*?(?:区|县|旗|镇|乡|街道)/u.exec(value)?.[0] ?? null
    case 'keep':
      return (value) => keptEnds(value, mask)
  }
}

/** A value that is no longer than what may be shown is hidden but for its first character: else it would be shown whole. */
function keptEnds(value: string, { first, last }: { first: number; last: number }): string {
  const characters = Array.from(value)
  const whole = characters.length > first + last
  const begin = whole ? first : Math.min(1, first, Math.max(0, characters.length - 1))
  const end = whole ? last : 0
  return [...characters.slice(0, begin), '*'.repeat(characters.length - begin - end), ...characters.slice(characters.length - end)].join('')
}

/** As a grant holds them: each side sets its own. */
export interface GrantMasks {
  provider: Masks
  office: Masks
}

/** What is in force: the provider's word stands before the office's. */
export function masksInForce({ provider, office }: GrantMasks): Masks {
  return { ...office, ...provider }
}

/** What is masked by several rights together: an item that one of them shows whole is shown. */
export function commonMasks(rights: readonly { items: readonly string[]; masks: GrantMasks }[]): Masks {
  const common: Record<string, Mask> = {}
  for (const id of new Set(rights.flatMap(({ items }) => items))) {
    const masks = rights.flatMap((right) => (right.items.includes(id) ? [masksInForce(right.masks)[id]] : []))
    if (masks.every((mask) => mask !== undefined)) common[id] = masks[0]!
  }
  return common
}
