/** Masks 脱敏 in words. */
import type { Text } from './meta.ts'
import { t } from './words.tsx'

export type Mask = { readonly kind: string; readonly first?: number; readonly last?: number }

/** By item id. */
export type Masks = Readonly<Record<string, Mask>>

/** Those that are offered, with the types of items that can be masked like this; all where none is named. */
export const offeredMasks: readonly { mask: Mask; types?: readonly string[] }[] = [
  { mask: { kind: 'keep', first: 1, last: 0 }, types: ['text'] },
  { mask: { kind: 'keep', first: 1, last: 1 }, types: ['text'] },
  { mask: { kind: 'keep', first: 3, last: 4 }, types: ['text'] },
  { mask: { kind: 'keep', first: 6, last: 0 }, types: ['text'] },
  { mask: { kind: 'district' }, types: ['text'] },
  { mask: { kind: 'year' }, types: ['date', 'timestamp', 'timestamptz'] },
  { mask: { kind: 'hash' } },
  { mask: { kind: 'hide' } },
]

const words: Readonly<Record<string, Text>> = {
  district: t('地址只到区县镇街', 'address up to its district'),
  year: t('只留年份', 'the year alone'),
  hash: t('密钥哈希', 'keyed hash'),
  hide: t('不显示', 'nothing at all'),
}

export function maskWords({ kind, first = 0, last = 0 }: Mask): Text {
  if (kind !== 'keep') return words[kind] ?? t(kind, kind)
  if (last === 0) return t(`保留前 ${first} 位`, `first ${first} kept`)
  if (first === 0) return t(`保留后 ${last} 位`, `last ${last} kept`)
  if (first === last) return t(`保留首尾各 ${first} 位`, `first ${first} and last ${last} kept`)
  return t(`保留前 ${first} 后 ${last} 位`, `first ${first} and last ${last} kept`)
}

/** What each side shows masked of what is asked for or granted. */
export interface Sides {
  readonly provider: Masks
  readonly office: Masks
}

/** Of a grant, which holds both; of an application: of the office in itself, of the providers in their consents. Undefined where nothing is masked. */
export function sidesOf(read: { masks?: unknown; consents?: unknown }): Sides | undefined {
  const masks = read.masks as Masks | Sides | undefined
  if (masks === undefined) return undefined
  const consents = read.consents as readonly { masks: Masks }[] | undefined
  const sides = consents
    ? { provider: Object.assign({}, ...consents.map((one) => one.masks)) as Masks, office: masks as Masks }
    : (masks as Sides)
  return Object.keys(sides.provider).length + Object.keys(sides.office).length > 0 ? sides : undefined
}
