/** Masks 脱敏 as grants hold them. */
import { hkdfSync, type KeyObject } from 'node:crypto'
import { QianzhiError } from '../../protocol/errors.ts'
import { isFileSchema } from '../../protocol/files.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { maskFault, type Mask, type Masks } from '../../protocol/masks.ts'
import { deliverableItems, itemById, type Item, type Schema } from '../../protocol/schema.ts'
import { rule } from './refusals.ts'

/** As a grant holds them: each side sets its own. */
export interface GrantMasks {
  provider: Masks
  office: Masks
}

/**
 * Throws QZ-RULE where files as they are would be exchanged, and QZ-REQUEST-INVALID where an item is not among `items`, or cannot be masked like
 * this.
 */
export function checkMasks(schema: Schema, items: readonly string[], mode: string, masks: Masks): void {
  if (mode === 'exchange' && isFileSchema(schema) && Object.keys(masks).length > 0)
    throw rule('原样交换的文件不能脱敏', 'files that are exchanged as they are cannot be masked')
  for (const [id, mask] of Object.entries(masks)) {
    const item = items.includes(id) ? itemById(schema, id) : undefined
    const fault = item ? maskFault(item, mask) : { zh: '不在授权之内', en: 'is not granted' }
    if (fault) throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: `信息项 ${id}：${fault.zh}`, en: `item ${id}: ${fault.en}` } })
  }
}

/** What is in force: the provider's word stands before the office's. */
export function masksInForce({ provider, office }: GrantMasks): Masks {
  return { ...office, ...provider }
}

/** Masks of what a route delivers; empty where there is nothing to be masked, as policies have it. */
export function masksOnRoute(schema: Schema, granted: readonly string[], masks: GrantMasks): { masks?: Masks } {
  const inForce = masksInForce(masks)
  const masked = deliverableItems(schema, granted).flatMap(({ id }) => (inForce[id] ? [[id, inForce[id]] as const] : []))
  return masked.length === 0 ? {} : { masks: Object.fromEntries(masked) }
}

/** Why nothing of a grant is given while an item that is to be masked cannot be any more (a later version made it a key, or gave it another type), and what ends that. */
export function unmaskable(items: readonly Item[], masks: Masks): { reason: LocalizedText; next: LocalizedText } | undefined {
  for (const item of items) {
    const fault = masks[item.id] && maskFault(item, masks[item.id]!)
    if (!fault) continue
    return {
      reason: {
        zh: `信息项 ${item.id} 应脱敏，现已不能：${fault.zh}`,
        en: `item ${item.id} is to be masked and cannot be any more: ${fault.en}`,
      },
      next: {
        zh: '提供单位审核人员或市电子政务办取消该项脱敏，或提供单位在新版本中改回',
        en: "the provider's reviewer or the office lifts its mask, or the provider changes it back in another version",
      },
    }
  }
  return undefined
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

/** The secret of a grant, for what is hashed in it; all processes of a hub have the same. */
export function maskKeyOf(hubKey: KeyObject): (grant: string) => Buffer {
  const secret = hubKey.export({ type: 'pkcs8', format: 'der' })
  return (grant) => Buffer.from(hkdfSync('sha256', secret, '', `qianzhi mask ${grant}`, 32))
}
